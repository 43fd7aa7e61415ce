//! Status and headers as the app gives them to `start_response`, checked.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::ext::ReasonPhrase;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use std::sync::Once;

use super::text::to_bytes;
use crate::io::INTERNAL;
use crate::log;

/// The head of a response.
pub(super) struct Head {
    pub(super) status: StatusCode,
    /// Unless it is the usual one for the status.
    pub(super) reason: Option<ReasonPhrase>,
    /// Without Content-Length.
    pub(super) headers: HeaderMap,
    /// Content-Length.
    pub(super) length: Option<u64>,
}

impl Head {
    /// Checks what the app said; the exception goes back into the app.
    pub(super) fn parse(status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (status, reason) = parse_status(status)?;
        let list = headers
            .cast::<PyList>()
            .map_err(|_| PyTypeError::new_err(format!("headers must be a list, not {}", kind(headers))))?;
        let mut head = Self { status, reason, headers: HeaderMap::with_capacity(list.len() + 2), length: None };
        for item in list {
            let pair = item.cast::<PyTuple>().ok().filter(|pair| pair.len() == 2);
            let Some(pair) = pair else {
                return Err(PyTypeError::new_err(format!(
                    "each header must be a tuple of name and value, not {}",
                    item.repr()?
                )));
            };
            head.add(&pair.get_item(0)?, &pair.get_item(1)?)?;
        }
        // The body is a file that the proxy sends; frameworks declare that one's length and send nothing.
        if head.headers.contains_key("x-sendfile") || head.headers.contains_key("x-accel-redirect") {
            head.length = None;
        }
        Ok(head)
    }

    fn add(&mut self, name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let refuse = |what: &str, thing: &Bound<'_, PyAny>| -> PyErr {
            let shown = thing.repr().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
            PyValueError::new_err(format!("header {what} {shown} is not allowed"))
        };
        let name_bytes = to_bytes(text(name, "header name")?)?;
        let value_bytes = to_bytes(text(value, "header value")?)?;
        let parsed = HeaderName::from_bytes(name_bytes.as_bytes()).map_err(|_| refuse("name", name))?;
        let content = HeaderValue::from_bytes(value_bytes.as_bytes()).map_err(|_| refuse("value", value))?;
        if parsed == header::CONTENT_LENGTH {
            let length = std::str::from_utf8(content.as_bytes())
                .ok()
                .map(str::trim)
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .filter(|&length| self.length.is_none_or(|earlier| earlier == length));
            self.length = Some(length.ok_or_else(|| refuse("value", value))?);
        } else if is_ours(&parsed) {
            // Framing belongs to the server (PEP 3333, "Other HTTP Features").
            static ONCE: Once = Once::new();
            ONCE.call_once(|| log::line(&format!("the app sets {parsed}, which only a server may: left out")));
        } else {
            self.headers.append(parsed, content);
        }
        Ok(())
    }

    /// Whether a response to a request with this method has no body whatever the app returns.
    pub(super) fn is_bodyless(&self, method: &http::Method) -> bool {
        method == http::Method::HEAD || self.status == StatusCode::NO_CONTENT || self.status == StatusCode::NOT_MODIFIED
    }
}

pub(super) fn is_ours(name: &HeaderName) -> bool {
    *name == header::CONNECTION
        || *name == header::TRANSFER_ENCODING
        || *name == header::UPGRADE
        || *name == header::TRAILER
        || *name == header::TE
        || *name == header::PROXY_AUTHENTICATE
        || *name == header::PROXY_AUTHORIZATION
        || *name == INTERNAL
        || name.as_str() == "keep-alive"
        || name.as_str() == "proxy-connection"
}

fn parse_status(status: &Bound<'_, PyAny>) -> PyResult<(StatusCode, Option<ReasonPhrase>)> {
    let bytes = to_bytes(text(status, "status")?)?;
    let bytes = bytes.as_bytes();
    let refuse = || -> PyErr {
        let shown = status.repr().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
        PyValueError::new_err(format!("status must be like '200 OK', not {shown}"))
    };
    let (code, reason) = match bytes.iter().position(|&byte| byte == b' ') {
        Some(space) => (&bytes[..space], &bytes[space + 1..]),
        None => (bytes, &b""[..]),
    };
    let code = StatusCode::from_bytes(code).map_err(|_| refuse())?;
    if code.is_informational() {
        return Err(refuse());
    }
    let usual = code.canonical_reason().unwrap_or("");
    if reason == usual.as_bytes() && !usual.is_empty() || reason.is_empty() && !usual.is_empty() {
        return Ok((code, None));
    }
    let reason = if reason.is_empty() { &b"Unknown"[..] } else { reason };
    let reason = ReasonPhrase::try_from(reason).map_err(|_| refuse())?;
    Ok((code, Some(reason)))
}

fn text<'a, 'py>(value: &'a Bound<'py, PyAny>, what: &str) -> PyResult<&'a Bound<'py, PyString>> {
    value.cast::<PyString>().map_err(|_| PyTypeError::new_err(format!("{what} must be str, not {}", kind(value))))
}

fn kind(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map(|name| name.to_string()).unwrap_or_default()
}
