//! From a file that was found to the reply: may it be sent, and which part of it. Called by `mod.rs`.
//! Reads from the disk only what is too large to be kept, and then describes what it opened, not what
//! was found before: header and body are always of one state of the file.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use smallvec::{SmallVec, smallvec};
use tidegate_contract::Cause;
use tidegate_host::file::{Stamp, stamp};

use super::StaticRequest;
use super::look::{Forms, failed, open};
use super::opened::Opened;
use super::range::{self, Selected};
use super::route::StaticRoute;
use super::validator::{Conditions, Verdict};
use crate::negotiate::vary_on;
use crate::reply::{Body, FileBody, Piece, Reply};
use crate::request::error::Failure;

const NOSNIFF: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));

/// A reply whose body, if it has one, is still in the file.
struct Outline {
    status: StatusCode,
    headers: HeaderMap,
    /// One, nearly always.
    pieces: SmallVec<[Piece; 1]>,
}

/// The reply with a file that was found.
pub(super) async fn file(
    route: &Arc<StaticRoute>,
    forms: &Forms,
    request: &StaticRequest<'_>,
) -> Result<Reply, Failure> {
    let opened = forms.choose(request.headers);
    let is_one_of_many = !forms.coded.is_empty();
    let Outline { status, mut headers, pieces } = outline(opened, is_one_of_many, request)?;
    let is_head = request.method == Method::HEAD;
    if pieces.is_empty() || is_head {
        if is_head && status != StatusCode::NOT_MODIFIED {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length(&pieces)));
        }
        return Ok(Reply { status, headers, body: Body::Empty });
    }
    if let Some(content) = &opened.content {
        return Ok(Reply { status, headers, body: Body::Full(cut(content, &pieces)) });
    }
    let (body, now) = begin(route, opened, pieces).await?;
    if now == opened.stamp {
        return Ok(Reply { status, headers, body: Body::File(body) });
    }
    // It changed since it was found: the conditions and the range are the new state's to answer.
    let opened = opened.in_state(now);
    let Outline { status, headers, pieces } = outline(&opened, is_one_of_many, request)?;
    let body = if length(&pieces) == 0 { Body::Empty } else { Body::File(body.anew(pieces)) };
    Ok(Reply { status, headers, body })
}

/// Opens a large file and reads its first piece, in one trip to the blocking pool.
async fn begin(
    route: &Arc<StaticRoute>,
    opened: &Arc<Opened>,
    pieces: SmallVec<[Piece; 1]>,
) -> Result<(FileBody, Stamp), Failure> {
    let (route, opened) = (Arc::clone(route), Arc::clone(opened));
    let begun = tokio::task::spawn_blocking(move || {
        let file = open(&route.root, &opened.name)?.ok_or_else(|| Failure::not_found("the file has gone"))?;
        let now = stamp(&file).map_err(failed)?;
        let mut body = FileBody::new(file, pieces);
        if now == opened.stamp {
            body.begin().map_err(failed)?;
        }
        Ok((body, now))
    });
    begun.await.unwrap_or_else(|panic| Err(Failure::new(Cause::Internal, format!("reading a file: {panic}"))))
}

/// Conditions and range against a state of the file.
fn outline(opened: &Opened, is_one_of_many: bool, request: &StaticRequest<'_>) -> Result<Outline, Failure> {
    let conditions = Conditions(request.headers);
    let mut headers = headers(opened);
    if is_one_of_many {
        vary_on(&mut headers, "Accept-Encoding");
    }
    match conditions.verdict(&opened.validator) {
        Verdict::Send => {}
        Verdict::NotModified => {
            return Ok(Outline { status: StatusCode::NOT_MODIFIED, headers, pieces: SmallVec::new() });
        }
        Verdict::Failed => return Err(Failure::precondition_failed()),
    }
    let total = opened.stamp.length;
    // Range means something for GET only (RFC 9110 section 14.2).
    let range = if request.method == Method::GET {
        // The forms of a file may have one date; its tag is of one form alone.
        conditions.range(&opened.validator, opened.is_settled && !is_one_of_many)
    } else {
        None
    };
    let selected = range.map_or(Selected::Whole, |range| range::select(range.as_bytes(), total));
    let (status, pieces) = match selected {
        Selected::Whole => {
            headers.insert(CONTENT_TYPE, opened.media.clone());
            (StatusCode::OK, smallvec![Piece::Range { start: 0, length: total }])
        }
        Selected::One(span) => {
            headers.insert(CONTENT_TYPE, opened.media.clone());
            insert(&mut headers, CONTENT_RANGE, span.content_range(total));
            (StatusCode::PARTIAL_CONTENT, smallvec![Piece::Range { start: span.start, length: span.length }])
        }
        Selected::Many(spans) => {
            let boundary = range::boundary();
            insert(&mut headers, CONTENT_TYPE, format!("multipart/byteranges; boundary={boundary}"));
            (StatusCode::PARTIAL_CONTENT, range::parts(&spans, total, &opened.media, &boundary).into())
        }
        Selected::Nothing => return Err(Failure::range_not_satisfiable(total)),
    };
    Ok(Outline { status, headers, pieces })
}

/// Fields that 200, 206 and 304 have in common.
fn headers(opened: &Opened) -> HeaderMap {
    // Room for what the story, the session and the protocol add, so that the map never grows.
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Files of doubtful origin (uploads) must not become scripts by a browser's guess.
    headers.insert(NOSNIFF.0, NOSNIFF.1);
    if let Some(tag) = opened.validator.tag() {
        headers.insert(ETAG, tag.clone());
    }
    if let Some(date) = opened.validator.last_modified() {
        headers.insert(LAST_MODIFIED, date.clone());
    }
    if let Some(value) = &opened.cache_control {
        headers.insert(CACHE_CONTROL, value.clone());
    }
    if let Some(coding) = opened.coding {
        headers.insert(CONTENT_ENCODING, coding.header());
    }
    headers
}

fn length(pieces: &[Piece]) -> u64 {
    pieces.iter().map(Piece::len).sum()
}

/// Pieces of a file whose content is here.
fn cut(content: &Bytes, pieces: &[Piece]) -> Bytes {
    let slice = |start: u64, length: u64| {
        // Spans lie within the file, and the file is small.
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(content.len());
        let end = usize::try_from(length).map_or(content.len(), |length| start.saturating_add(length));
        content.slice(start..end.min(content.len()))
    };
    if let [Piece::Range { start, length }] = pieces {
        return slice(*start, *length);
    }
    let mut all = BytesMut::with_capacity(usize::try_from(length(pieces)).unwrap_or(0));
    for piece in pieces {
        match piece {
            Piece::Text(text) => all.extend_from_slice(text),
            Piece::Range { start, length } => all.extend_from_slice(&slice(*start, *length)),
        }
    }
    all.freeze()
}

/// Inserts a value made here; one that cannot be a field value is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}
