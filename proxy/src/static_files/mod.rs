//! Answers a request with a file below a route's root. Called by the request's story for routes to
//! files. Reads top to bottom: which file is meant, open it, may it be sent, which part of it.
//! Never lists a directory, never tells why there is nothing to see.

mod media;
mod path;
mod range;
mod validator;

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tidegate_contract::Cause;
use tidegate_host::file::open_within;
use tidegate_site::Files;

use self::range::Selected;
use self::validator::{Conditions, Validator, Verdict};
use crate::reply::{Body, FileBody, Piece, Reply};
use crate::request::error::Failure;

/// Bodies up to this size are read together with the opening, in one trip to the blocking pool.
const SMALL: u64 = 64 << 10;

/// A request for a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StaticRequest<'a> {
    /// The method.
    pub(crate) method: &'a Method,
    /// The raw path after the route's prefix: empty, or starts with `/`.
    pub(crate) rest: &'a str,
    /// The whole raw path and query, for redirects.
    pub(crate) target: &'a str,
    /// The request's fields.
    pub(crate) headers: &'a HeaderMap,
}

/// The reply to a request for a file below `files.root`.
pub(crate) async fn serve(files: &Files, request: &StaticRequest<'_>) -> Result<Reply, Failure> {
    if request.method != Method::GET && request.method != Method::HEAD {
        return Err(Failure::method_not_allowed("GET, HEAD"));
    }
    let named = path::segments(request.rest).map_err(|refused| Failure::not_found(refused.to_string()))?;
    let relative = match (&files.index, named.directory) {
        (_, false) => named.relative,
        (Some(index), true) => named.relative.join(index),
        (None, true) => return Err(Failure::not_found("a directory without an index")),
    };
    let lookup = Lookup {
        root: files.root.clone(),
        relative,
        index: if named.directory { None } else { files.index.clone() },
        head: request.method == Method::HEAD,
        conditions: Conditions::of(request.headers),
        cache_control: files.cache_control.as_deref().and_then(|value| HeaderValue::from_str(value).ok()),
    };
    let answer = tokio::task::spawn_blocking(move || lookup.answer());
    match answer.await {
        Ok(Ok(Answer::Reply(reply))) => Ok(reply),
        Ok(Ok(Answer::Directory)) => redirect(request.target),
        Ok(Err(failure)) => Err(failure),
        Err(panic) => Err(Failure::new(Cause::Internal, format!("reading a file: {panic}"))),
    }
}

/// Everything the blocking pool needs to know.
struct Lookup {
    root: PathBuf,
    relative: PathBuf,
    /// The index to look for if the path turns out to be a directory.
    index: Option<String>,
    head: bool,
    conditions: Conditions,
    cache_control: Option<HeaderValue>,
}

/// What is at a path.
enum Answer {
    Reply(Reply),
    /// A directory that has an index; its path lacks the slash at the end.
    Directory,
}

impl Lookup {
    /// Opens the file and makes the reply; blocking.
    fn answer(self) -> Result<Answer, Failure> {
        let file = match open_within(&self.root, &self.relative) {
            Ok(file) => file,
            Err(error) => return self.nothing_there(&error),
        };
        let failed = |error: io::Error| Failure::new(Cause::Internal, format!("reading a file: {error}"));
        let metadata = file.metadata().map_err(failed)?;
        let length = metadata.len();
        let validator = Validator::of(length, metadata.modified().ok());
        let mut headers = self.headers(&validator);
        match self.conditions.verdict(&validator) {
            Verdict::Send => {}
            Verdict::NotModified => {
                return Ok(Answer::Reply(Reply { status: StatusCode::NOT_MODIFIED, headers, body: Body::Empty }));
            }
            Verdict::Failed => return Err(Failure::precondition_failed()),
        }
        let media = media::of(&self.relative);
        // Range means something for GET only (RFC 9110 section 14.2).
        let range = if self.head { None } else { self.conditions.range(&validator) };
        let selected = range.map_or(Selected::Whole, |range| range::select(range.as_bytes(), length));
        let (status, pieces) = match selected {
            Selected::Whole => {
                headers.insert(CONTENT_TYPE, media);
                (StatusCode::OK, vec![Piece::Range { start: 0, length }])
            }
            Selected::One(span) => {
                headers.insert(CONTENT_TYPE, media);
                insert(&mut headers, CONTENT_RANGE, span.content_range(length));
                (StatusCode::PARTIAL_CONTENT, vec![Piece::Range { start: span.start, length: span.length }])
            }
            Selected::Many(spans) => {
                let boundary = range::boundary();
                insert(&mut headers, CONTENT_TYPE, format!("multipart/byteranges; boundary={boundary}"));
                (StatusCode::PARTIAL_CONTENT, range::parts(&spans, length, &media, &boundary))
            }
            Selected::Nothing => return Err(Failure::range_not_satisfiable(length)),
        };
        let body_length = pieces.iter().map(Piece::len).sum::<u64>();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body_length));
        let body = match body_length {
            _ if self.head => Body::Empty,
            0 => Body::Full(Bytes::new()),
            1..=SMALL => Body::Full(FileBody::new(file, pieces).read_all().map_err(failed)?),
            _ => Body::File(FileBody::new(file, pieces)),
        };
        Ok(Answer::Reply(Reply { status, headers, body }))
    }

    /// Fields that 200, 206 and 304 have in common.
    fn headers(&self, validator: &Validator) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        // Files of doubtful origin (uploads) must not become scripts by a browser's guess.
        headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
        if let Some(tag) = validator.tag() {
            insert(&mut headers, ETAG, tag.to_owned());
        }
        if let Some(date) = validator.last_modified() {
            insert(&mut headers, LAST_MODIFIED, date);
        }
        if let Some(value) = &self.cache_control {
            headers.insert(CACHE_CONTROL, value.clone());
        }
        headers
    }

    /// A path that cannot be opened: a directory with an index, or nothing that may be seen.
    fn nothing_there(&self, error: &io::Error) -> Result<Answer, Failure> {
        use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied};
        let absent = |error: &io::Error| {
            matches!(
                error.kind(),
                NotFound | PermissionDenied | NotADirectory | IsADirectory | InvalidFilename | InvalidInput
            )
        };
        if !absent(error) {
            return Err(Failure::new(Cause::Internal, format!("opening a file: {error}")));
        }
        // Asking for the index, not for the directory, keeps every check in `open_within`: a
        // directory outside the root, or one with nothing to show, does not exist.
        let index = self.index.as_deref().map(|index| self.relative.join(Path::new(index)));
        if index.is_some_and(|index| open_within(&self.root, &index).is_ok()) {
            return Ok(Answer::Directory);
        }
        Err(Failure::not_found(format!("opening a file: {error}")))
    }
}

/// Inserts a value made here; one that cannot be a field value is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// 308 to the same path with a slash at its end. The location is relative and starts with `./`, so
/// that no path of a client's making (`//host`, `/\host`) can lead to another site.
fn redirect(target: &str) -> Result<Reply, Failure> {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let last = path.rsplit('/').next().unwrap_or("");
    let location = HeaderValue::try_from(format!("./{last}/{query}"))
        .map_err(|_| Failure::not_found("a target that cannot be a location"))?;
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(LOCATION, location);
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    Ok(Reply { status: StatusCode::PERMANENT_REDIRECT, headers, body: Body::Empty })
}

#[cfg(test)]
mod tests;
