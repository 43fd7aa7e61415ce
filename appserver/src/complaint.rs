//! Keeps a crash loop from filling the log: the same failure is told in full once. Used by
//! `pool`.

use crate::end::End;

/// The last failure and how often it has come in a row.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    last: Option<End>,
    times: u64,
}

impl Complaints {
    /// Which time in a row this failure comes, from 1. Ends of processes that had served are
    /// compared as well: a worker killed for memory every minute says the same each time.
    pub(crate) fn hear(&mut self, end: &End) -> u64 {
        if self.last.as_ref() == Some(end) {
            self.times += 1;
        } else {
            self.last = Some(end.clone());
            self.times = 1;
        }
        self.times
    }

    /// A worker became ready: the next failure is news.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_is_news_once_until_a_worker_was_ready() {
        let (a, b) = (End::NotReady, End::Exited("exit code 3".to_owned()));
        let mut complaints = Complaints::default();
        let heard: Vec<_> = [&a, &a, &b, &b, &b, &a].into_iter().map(|end| complaints.hear(end)).collect();
        assert_eq!(heard, [1, 2, 1, 2, 3, 1]);
        complaints.forget();
        assert_eq!(complaints.hear(&a), 1);
    }
}
