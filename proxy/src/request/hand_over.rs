//! A response of an app that names a file in place of a body: `X-Accel-Redirect` with a path of the site, or `X-Sendfile`
//! with a path on the disk. Called by the request's story. Serves only what is below a route with `internal: on` of the
//! same host, by the same rules as any other file; both fields are taken off whether they are used or not.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Component, Path};

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    LAST_MODIFIED,
};
use http::{HeaderMap, Method, StatusCode};
use tidegate_contract::Cause;
use tidegate_site::{Files, Target, VirtualHost};

use super::error::Failure;
use super::{Story, compress, route, split_target};
use crate::reply::Reply;
use crate::static_files::{self, Served, StaticRequest};

const ACCEL_REDIRECT: HeaderName = HeaderName::from_static("x-accel-redirect");
const SENDFILE: HeaderName = HeaderName::from_static("x-sendfile");

/// What an app says of a body that it does not send; the file's own replaces it.
const OF_THE_BODY: [HeaderName; 5] = [CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED, ACCEPT_RANGES];

/// A file that an app named, and the fields of its response.
#[derive(Debug)]
pub(crate) struct HandOver {
    named: Named,
    headers: HeaderMap,
}

#[derive(Debug, PartialEq, Eq)]
enum Named {
    /// A path of the site.
    Path(String),
    /// A path on the disk.
    File(String),
}

/// Takes both fields off an app's response; gives back what is to be done if one of them counts.
pub(super) fn taken_from(status: StatusCode, headers: &mut HeaderMap) -> Option<HandOver> {
    if !headers.contains_key(ACCEL_REDIRECT) && !headers.contains_key(SENDFILE) {
        return None;
    }
    let path = headers.remove(ACCEL_REDIRECT).map(|value| Named::Path(text(value.as_bytes()).into_owned()));
    let file = headers.remove(SENDFILE).map(|value| Named::File(text(value.as_bytes()).into_owned()));
    // An app that says that there is nothing, or that it is elsewhere, means that.
    let named = path.or(file).filter(|_| status.is_success())?;
    Some(HandOver { named, headers: std::mem::take(headers) })
}

/// Apps send what they have: UTF-8 if they know better, else text as WSGI has it, a byte a character.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

impl Story<'_> {
    /// Answers with the file that an app named.
    pub(super) async fn hand_over(&mut self, host: &VirtualHost, handed: HandOver) -> Result<(), Failure> {
        let HandOver { named, headers } = handed;
        let (files, rest) = place(host, &named)?;
        self.trace.is_file = true;
        // As nginx does: whatever the client asked the app for, the answer is the file.
        let method = if self.facts.method == Method::HEAD { Method::HEAD } else { Method::GET };
        let asked = &self.exchange.request().headers;
        let request = StaticRequest { method: &method, rest: &rest, target: &self.facts.target, headers: asked };
        let served = static_files::serve(self.live.files.of(files)?, &request).await;
        if let Err(failure) = &served
            && failure.status == StatusCode::NOT_FOUND
        {
            tracing::warn!(?named, request_id = %self.facts.id, "an app named a file that is not there");
        }
        let reply = match served? {
            Served::Reply(reply) if !reply.status.is_redirection() || reply.status == StatusCode::NOT_MODIFIED => reply,
            _ => return Err(invalid(&named, "is a directory")),
        };
        let reply = merged(reply, headers);
        let reply = self.shared.compressors.reply(files.compress.as_deref(), asked, &method, reply).await;
        self.send(reply.map_err(compress::failed)?).await
    }
}

/// The internal route that a name leads to, and the path below it.
fn place<'h>(host: &'h VirtualHost, named: &Named) -> Result<(&'h Files, String), Failure> {
    let outside = "is not below a route with `internal: on`";
    match named {
        Named::Path(target) => {
            let (path, _) = split_target(target);
            if let Ok(found) = route::find(host, path)
                && let Target::Files(files) = &found.route.target
                && files.internal
            {
                return Ok((files, found.rest.to_owned()));
            }
            Err(invalid(named, outside))
        }
        Named::File(file) => {
            let internal = host.routes.iter().filter_map(|route| match &route.target {
                Target::Files(files) if files.internal => Some(files),
                _ => None,
            });
            let below = |files: &'h Files| Some((files, rest(Path::new(file).strip_prefix(&files.root).ok()?)?));
            // The innermost, where one directory is below another.
            let found = internal.filter_map(below).min_by_key(|(_, rest)| rest.len());
            found.ok_or_else(|| invalid(named, outside))
        }
    }
}

/// A path below a root as a client would have to write it.
fn rest(relative: &Path) -> Option<String> {
    let mut rest = String::new();
    for part in relative.components() {
        let Component::Normal(name) = part else { return None };
        rest.push('/');
        for byte in name.to_str()?.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                rest.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(rest, "%{byte:02X}");
            }
        }
    }
    (!rest.is_empty()).then_some(rest)
}

/// The file's reply with the app's fields, but for those that describe a body.
fn merged(reply: Reply, mut headers: HeaderMap) -> Reply {
    for name in OF_THE_BODY {
        headers.remove(name);
    }
    let is_parts = reply.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"multipart/"));
    if reply.headers.contains_key(CONTENT_ENCODING) || reply.status == StatusCode::NOT_MODIFIED {
        headers.remove(CONTENT_ENCODING);
    }
    for (name, value) in &reply.headers {
        let is_apps = *name == CACHE_CONTROL || (*name == CONTENT_TYPE && !is_parts);
        if *name == http::header::VARY {
            headers.append(name, value.clone());
        } else if !is_apps || !headers.contains_key(name) {
            headers.insert(name, value.clone());
        }
    }
    Reply { headers, ..reply }
}

fn invalid(named: &Named, what: &str) -> Failure {
    let (field, value) = match named {
        Named::Path(path) => ("X-Accel-Redirect", path),
        Named::File(file) => ("X-Sendfile", file),
    };
    Failure::new(Cause::WorkerInvalid, format!("{field} {value:?} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Body;

    #[test]
    fn both_fields_are_taken_off_and_count_for_a_success_only() {
        for (status, fields, expected) in [
            (200, &[("x-accel-redirect", "/a b")][..], Some(Named::Path("/a b".to_owned()))),
            (206, &[("x-sendfile", "/srv/a")], Some(Named::File("/srv/a".to_owned()))),
            (200, &[("x-sendfile", "/srv/a"), ("x-accel-redirect", "/a")], Some(Named::Path("/a".to_owned()))),
            (404, &[("x-accel-redirect", "/a")], None),
            (302, &[("x-sendfile", "/a")], None),
            (200, &[("x-accel-expires", "0")], None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.insert(*name, value.parse().unwrap());
            }
            let handed = taken_from(StatusCode::from_u16(status).unwrap(), &mut headers);
            assert_eq!(handed.map(|handed| handed.named), expected, "{status} {fields:?}");
            assert!(!headers.contains_key(ACCEL_REDIRECT) && !headers.contains_key(SENDFILE));
        }
        assert_eq!(text("é".as_bytes()), "é");
        assert_eq!(text(b"\xe9"), "é");
    }

    #[test]
    fn a_path_on_the_disk_is_written_as_a_client_would() {
        for (path, expected) in [
            ("a.txt", Some("/a.txt")),
            ("a b/c%.txt", Some("/a%20b/c%25.txt")),
            ("é", Some("/%C3%A9")),
            ("a/../b", None),
            ("..", None),
            ("", None),
        ] {
            assert_eq!(rest(Path::new(path)).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn the_apps_fields_stay_and_the_files_describe_the_body() {
        let fields = |all: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in all {
                headers.append(*name, value.parse().unwrap());
            }
            headers
        };
        let file = fields(&[("content-type", "text/css"), ("etag", "\"f\""), ("content-length", "9"), ("vary", "b")]);
        let app = fields(&[
            ("content-type", "application/pdf"),
            ("content-length", "0"),
            ("etag", "\"a\""),
            ("set-cookie", "a=1"),
            ("vary", "Cookie"),
        ]);
        let reply = merged(Reply { status: StatusCode::OK, headers: file, body: Body::Empty }, app);
        let expected = fields(&[
            ("content-type", "application/pdf"),
            ("set-cookie", "a=1"),
            ("vary", "Cookie"),
            ("vary", "b"),
            ("etag", "\"f\""),
            ("content-length", "9"),
        ]);
        assert_eq!(reply.headers, expected);
    }
}
