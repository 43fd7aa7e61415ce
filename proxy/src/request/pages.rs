//! The reply for a failure, in the form the client asked for: a small page, a line of text, or
//! JSON. The request's story calls it once it has given up. Shows the request id and the cause's
//! label, never the detail, which is for the log.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tidegate_contract::Cause;
use tidegate_site::{ErrorPage, ErrorPages, PageForm, Rules};

use super::custom::{self, Fields};
use super::error::{Failure, Field};
use super::words::{by_status, name, sentence};
use crate::reply::{Body, Reply};

/// The forms of a page, in the order in which they win a tie among types the client named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A page for browsers.
    Html,
    /// JSON.
    Json,
    /// Lines.
    Text,
}

/// The reply that tells a client of `failure`, with the operator's own page where there is one.
pub(crate) fn reply(failure: &Failure, request: &HeaderMap, request_id: &str, own: Option<&ErrorPages>) -> Reply {
    let form = form(request);
    let own = own.and_then(|own| own.of(failure.status.as_u16())).filter(|page| suits(page, form));
    let (content_type, body) = match (own, form) {
        (Some(page), _) => {
            let cause = failure.cause.map(Cause::label);
            let fields = Fields { status: failure.status, cause, request_id, message: sentence(failure) };
            (custom::content_type(page), custom::render(page, fields))
        }
        (None, Form::Html) => ("text/html; charset=utf-8", html(failure, request_id).into()),
        (None, Form::Json) => ("application/json", json(failure, request_id).into()),
        (None, Form::Text) => ("text/plain; charset=utf-8", text(failure, request_id).into()),
    };
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    if let Some(seconds) = failure.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    match &failure.field {
        Some(Field::Authenticate(challenge)) => {
            headers.insert(WWW_AUTHENTICATE, challenge.clone());
        }
        Some(Field::Allow(methods)) => {
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        Some(Field::ContentRange(length)) => {
            if let Ok(value) = HeaderValue::try_from(format!("bytes */{length}")) {
                headers.insert(CONTENT_RANGE, value);
            }
        }
        None => {}
    }
    Reply { status: failure.status, headers, body: Body::Full(body) }
}

/// The operator's own page in place of an app's answer of this status, and its media type. Not for clients
/// that ask for JSON: they are programs, and read what the app says.
pub(crate) fn in_place_of(
    rules: &Rules,
    status: StatusCode,
    request: &HeaderMap,
    request_id: &str,
) -> Option<(&'static str, Bytes)> {
    if !rules.error_pages_for_app || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let page = rules.error_pages.as_ref()?.of(status.as_u16()).filter(|page| suits(page, form(request)))?;
    let fields = Fields { status, cause: None, request_id, message: by_status(status) };
    Some((custom::content_type(page), custom::render(page, fields)))
}

/// Who asks for JSON gets JSON.
fn suits(page: &ErrorPage, form: Form) -> bool {
    form != Form::Json || page.form == PageForm::Json
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2630;--soft:#5c6b7a;--line:#d9e0e6;--sea:#0b6e86;--paper:#f6f8f9}\
@media(prefers-color-scheme:dark){:root{--ink:#e6ebef;--soft:#93a1ae;--line:#2c3843;--sea:#5cc3d9;--paper:#12181d}}\
*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;\
background:var(--paper);color:var(--ink);font:1rem/1.6 system-ui,-apple-system,'Segoe UI',sans-serif}\
main{width:100%;max-width:34rem;border-top:4px solid var(--sea);padding-top:1.5rem}\
.status{margin:0;color:var(--sea);font-size:3.5rem;line-height:1;font-weight:700;letter-spacing:-.03em}\
h1{margin:.5rem 0 .75rem;font-size:1.35rem}p{margin:0 0 1.5rem}\
dl{margin:0;padding-top:1rem;border-top:1px solid var(--line);display:grid;\
grid-template-columns:auto 1fr;gap:.25rem 1rem;font-size:.85rem;color:var(--soft)}\
dd{margin:0;font-family:ui-monospace,Consolas,monospace;overflow-wrap:anywhere}";

fn html(failure: &Failure, request_id: &str) -> String {
    let (code, name) = (failure.status.as_u16(), name(failure.status));
    let mut page = String::with_capacity(STYLE.len() + 1024);
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{code} {name}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<p class=\"status\">{code}</p>\n<h1>{name}</h1>\n<p>{}</p>\n\
         <dl>\n<dt>Request</dt><dd>{}</dd>\n",
        escape(sentence(failure)),
        escape(request_id),
    );
    if let Some(cause) = failure.cause {
        let _ = writeln!(page, "<dt>Cause</dt><dd>{}</dd>", escape(cause.label()));
    }
    page.push_str("</dl>\n</main>\n</body>\n</html>\n");
    page
}

fn text(failure: &Failure, request_id: &str) -> String {
    let mut page = format!("{} {}\n{}\n", failure.status.as_u16(), name(failure.status), sentence(failure));
    if let Some(cause) = failure.cause {
        let _ = writeln!(page, "cause: {}", cause.label());
    }
    let _ = writeln!(page, "request: {request_id}");
    page
}

fn json(failure: &Failure, request_id: &str) -> String {
    let mut page = serde_json::json!({
        "status": failure.status.as_u16(),
        "error": name(failure.status),
        "message": sentence(failure),
        "request_id": request_id,
    });
    if let Some(cause) = failure.cause {
        page["cause"] = cause.label().into();
    }
    let mut page = page.to_string();
    page.push('\n');
    page
}

/// Escapes text for HTML content and quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

/// Chooses by Accept (RFC 9110 section 12.5.1): the type with the highest quality among those the
/// client names. One that names none of them (a command-line tool, `*/*`) gets text.
pub(crate) fn form(request: &HeaderMap) -> Form {
    let mut best = (0, Form::Text);
    for value in request.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or("").split(',') {
            let mut parts = range.split(';').map(str::trim);
            let Some(form) = parts.next().and_then(named) else { continue };
            let quality = parts.find_map(quality).unwrap_or(1000);
            if quality > best.0 || (quality == best.0 && quality > 0 && (form as u8) < (best.1 as u8)) {
                best = (quality, form);
            }
        }
    }
    best.1
}

/// The form that a media range names.
fn named(media: &str) -> Option<Form> {
    let is = |name: &str| media.eq_ignore_ascii_case(name);
    if is("text/html") || is("application/xhtml+xml") {
        Some(Form::Html)
    } else if is("application/json") || is("application/problem+json") {
        Some(Form::Json)
    } else if is("text/plain") {
        Some(Form::Text)
    } else {
        None
    }
}

/// `q=0.8` as 800. Nonsense counts as 0.
fn quality(parameter: &str) -> Option<u16> {
    let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?;
    let value: f32 = value.trim().parse().unwrap_or(0.0);
    // The cast takes NaN to 0.
    Some((value.clamp(0.0, 1.0) * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(value).unwrap());
        headers
    }

    fn body(reply: &Reply) -> &str {
        match &reply.body {
            Body::Full(bytes) => std::str::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_form_follows_accept() {
        for (value, expected) in [
            ("", Form::Text),
            ("*/*", Form::Text),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", Form::Html),
            ("application/json", Form::Json),
            ("application/json, text/plain, */*", Form::Json),
            ("text/html;q=0.2, application/json;q=0.9", Form::Json),
            ("text/html; Q=0.2, text/plain", Form::Text),
            ("TEXT/HTML", Form::Html),
            ("text/html;q=0", Form::Text),
            ("text/html;q=nonsense, application/json;q=0.1", Form::Json),
            ("application/problem+json", Form::Json),
            ("text/html;level=1;q=0.5,text/plain;q=0.4", Form::Html),
            ("image/png", Form::Text),
            (",;,=;q=,", Form::Text),
        ] {
            assert_eq!(form(&accept(value)), expected, "{value:?}");
        }
        assert_eq!(form(&HeaderMap::new()), Form::Text);
    }

    #[test]
    fn json_has_status_cause_and_request_id() {
        let failure = Failure::worker_timeout(502, "internals");
        let reply = reply(&failure, &accept("application/json"), "id-1", None);
        assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
        let page: serde_json::Value = serde_json::from_str(body(&reply)).unwrap();
        assert_eq!(page["status"], 502);
        assert_eq!(page["error"], "Bad Gateway");
        assert_eq!(page["cause"], "worker_timeout");
        assert_eq!(page["request_id"], "id-1");
        assert_eq!(reply.headers[CONTENT_LENGTH], body(&reply).len().to_string());
        assert_eq!(reply.headers[CACHE_CONTROL], "no-store");
    }

    #[test]
    fn no_form_shows_the_detail_or_unescaped_text() {
        let failure = Failure::new(Cause::Internal, "secret-detail");
        for form in ["text/html", "application/json", "text/plain"] {
            let reply = reply(&failure, &accept(form), "<script>\"'&", None);
            assert!(!body(&reply).contains("secret-detail"), "{form}");
            assert!(form != "text/html" || !body(&reply).contains("<script>"));
            assert!(body(&reply).contains("internal"), "{form}");
        }
        assert_eq!(escape("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
    }

    #[test]
    fn statuses_bring_the_fields_they_require() {
        let headers = |failure: Failure| reply(&failure, &HeaderMap::new(), "x", None).headers;
        assert_eq!(headers(Failure::new(Cause::QueueFull, ""))[RETRY_AFTER], "5");
        assert_eq!(headers(Failure::method_not_allowed("GET, HEAD"))[ALLOW], "GET, HEAD");
        assert_eq!(headers(Failure::range_not_satisfiable(7))[CONTENT_RANGE], "bytes */7");
    }
}
