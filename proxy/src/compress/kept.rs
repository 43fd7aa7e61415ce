//! Compressed forms of small files, kept beside the static store's own copies, so that a page's styles are compressed
//! once and not for each visitor. Called by `reply`. Bounded, and forgotten when it is full: what is asked for is soon
//! there again.

use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use parking_lot::Mutex;

use super::plan::Plan;
use super::{Compressors, Planned};

/// Bytes of plain and compressed forms together.
const CAPACITY: usize = 32 << 20;

/// What was compressed before.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Forms>);

#[derive(Debug, Default)]
struct Forms {
    forms: HashMap<(usize, Plan), Form>,
    size: usize,
}

#[derive(Debug)]
struct Form {
    /// For as long as this is here, no other body has its address.
    plain: Bytes,
    compressed: Bytes,
}

impl Kept {
    fn find(&self, plan: Plan, plain: &Bytes) -> Option<Bytes> {
        let forms = self.0.lock();
        let form = forms.forms.get(&(plain.as_ptr() as usize, plan))?;
        (form.plain.len() == plain.len()).then(|| form.compressed.clone())
    }

    fn keep(&self, plan: Plan, plain: Bytes, compressed: Bytes) {
        let size = plain.len() + compressed.len();
        let mut forms = self.0.lock();
        if forms.size + size > CAPACITY {
            *forms = Forms::default();
        }
        forms.size += size;
        let at = (plain.as_ptr() as usize, plan);
        if let Some(before) = forms.forms.insert(at, Form { plain, compressed }) {
            forms.size -= before.plain.len() + before.compressed.len();
        }
    }
}

impl Compressors {
    /// A whole body compressed, now or earlier.
    pub(super) async fn kept_or_whole(&self, planned: Planned, body: Bytes) -> io::Result<Bytes> {
        let plan = planned.plan;
        if let Some(compressed) = self.kept.find(plan, &body) {
            return Ok(compressed);
        }
        // Nobody else has it: the next request will have another copy.
        if body.is_unique() {
            return self.whole(planned, body).await;
        }
        let compressed = self.whole(planned, body.clone()).await?;
        self.kept.keep(plan, body, compressed.clone());
        Ok(compressed)
    }
}

#[cfg(test)]
mod tests {
    use tidegate_site::CompressionLevel;

    use super::*;
    use crate::negotiate::Coding;

    #[test]
    fn a_form_is_found_by_its_body_and_the_rest_forgotten_when_there_is_no_room() {
        let plan = |coding| Plan { coding, level: CompressionLevel::Fast };
        let kept = Kept::default();
        let (one, two) = (Bytes::from(vec![1; 1000]), Bytes::from(vec![1; 1000]));
        kept.keep(plan(Coding::Gzip), one.clone(), Bytes::from_static(b"packed"));
        assert_eq!(kept.find(plan(Coding::Gzip), &one).as_deref(), Some(&b"packed"[..]));
        assert_eq!(kept.find(plan(Coding::Zstd), &one), None);
        assert_eq!(kept.find(plan(Coding::Gzip), &two), None);
        assert_eq!(kept.find(plan(Coding::Gzip), &one.slice(..10)), None, "a part is another body");
        kept.keep(plan(Coding::Gzip), Bytes::from(vec![0; CAPACITY - 100]), Bytes::new());
        assert_eq!(kept.find(plan(Coding::Gzip), &one), None);
    }
}
