//! The conformance mode: reports what an app does against PEP 3333 that would pass otherwise. What cannot pass (a body
//! of `str`, no `start_response`) is an error of the app with or without it, and what `Content-Length` promises is
//! always watched. Never changes a response.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use tidegate_contract::FromWorker;

use super::head::is_ours;
use crate::request::Request;
use crate::shared::Shared;

/// The same breach is reported again after this time: every request may have it.
const AGAIN: Duration = Duration::from_secs(60);
/// Breaches to remember; they hold names that the app chooses.
const MOST: usize = 256;

pub(super) const NOT_STARTED: &str =
    "yielded a chunk before it called start_response (PEP 3333, \"The start_response() Callable\")";
pub(super) const WRITE_WHILE_ITERATED: &str =
    "called write() from within its iterable (PEP 3333, \"The write() Callable\")";
pub(super) const WRITE_AFTER_END: &str =
    "called write() after its response had ended; the data is lost (PEP 3333, \"The write() Callable\")";

/// What was reported lately.
#[derive(Default)]
pub(crate) struct Violations {
    reported: Mutex<HashMap<String, Instant>>,
}

impl Violations {
    fn is_due(&self, violation: &str, now: Instant) -> bool {
        let mut reported = self.reported.lock();
        if reported.get(violation).is_some_and(|at| now.saturating_duration_since(*at) < AGAIN) {
            return false;
        }
        if reported.len() >= MOST {
            reported.clear();
        }
        reported.insert(violation.to_owned(), now);
        true
    }
}

/// Reports a breach, in which the app is the one who did it.
pub(super) fn report(shared: &Shared, request: &Request, violation: &str) {
    if shared.violations.is_due(violation, Instant::now()) {
        shared.supervisor.say(FromWorker::Violation {
            request_id: request.dispatch.request_id.clone(),
            method: request.head.method.to_string(),
            path: request.head.uri.path().to_owned(),
            violation: violation.to_owned(),
        });
    }
}

/// What is wrong with the arguments of a `start_response` that were taken.
pub(super) fn head(
    status: &Bound<'_, PyAny>,
    headers: &Bound<'_, PyAny>,
    exc_info: Option<&Bound<'_, PyAny>>,
) -> PyResult<Vec<String>> {
    const STATUS: &str = "PEP 3333, \"The start_response() Callable\"";
    let mut wrong = Vec::new();
    if !status.is_exact_instance_of::<PyString>() {
        wrong.push(format!(
            "gave a status of type {}, not str itself (PEP 3333, \"A Note On String Types\")",
            kind(status)
        ));
    }
    let line = status.cast::<PyString>()?.to_string_lossy();
    let code = line.split(' ').next().unwrap_or_default().to_owned();
    if line.split_once(' ').is_none_or(|(_, reason)| reason.trim().is_empty()) {
        wrong.push(format!("gave the status {line:?} without a reason phrase ({STATUS})"));
    } else if line.trim() != line {
        wrong.push(format!("gave the status {line:?} with white space around it ({STATUS})"));
    }
    if !headers.is_exact_instance_of::<PyList>() {
        wrong.push(format!("gave headers of type {}, not list itself ({STATUS})", kind(headers)));
    }
    for pair in headers.cast::<PyList>()? {
        if !pair.is_exact_instance_of::<PyTuple>() {
            wrong.push(format!("gave a header of type {}, not tuple itself ({STATUS})", kind(&pair)));
        }
        field(&pair, &code, &mut wrong)?;
    }
    if let Some(exc_info) = exc_info
        && !exc_info.cast::<PyTuple>().is_ok_and(|tuple| tuple.len() == 3)
    {
        wrong.push(format!("gave exc_info of type {}, not a tuple of three ({STATUS})", kind(exc_info)));
    }
    Ok(wrong)
}

fn field(pair: &Bound<'_, PyAny>, code: &str, wrong: &mut Vec<String>) -> PyResult<()> {
    const HEADERS: &str = "PEP 3333, \"The start_response() Callable\"";
    let pair = pair.cast::<PyTuple>()?;
    let (name, value) = (pair.get_item(0)?, pair.get_item(1)?);
    for (what, text) in [("name", &name), ("value", &value)] {
        if !text.is_exact_instance_of::<PyString>() {
            let kind = kind(text);
            wrong.push(format!(
                "gave a header {what} of type {kind}, not str itself (PEP 3333, \"A Note On String Types\")"
            ));
        }
    }
    let name = name.cast::<PyString>()?.to_string_lossy().to_ascii_lowercase();
    if value.cast::<PyString>()?.to_string_lossy().contains(|letter: char| letter.is_ascii_control()) {
        wrong.push(format!("gave the header {name} a value with a control character ({HEADERS})"));
    }
    if name == "status" {
        wrong.push(format!("gave a header named Status, which is CGI's; the status is an argument ({HEADERS})"));
    }
    if http::HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| is_ours(&name)) {
        wrong.push(format!("gave the header {name}, which only a server may (PEP 3333, \"Other HTTP Features\")"));
    }
    if name == "content-length" && code == "204" {
        wrong.push("gave a 204 response a Content-Length (RFC 9110, 8.6)".to_owned());
    }
    Ok(())
}

/// What is wrong with a chunk that was taken.
pub(super) fn chunk(chunk: &Bound<'_, PyAny>) -> Option<String> {
    let exact = chunk.is_exact_instance_of::<PyBytes>();
    (!exact).then(|| {
        format!("returned a chunk of type {}, not bytes itself (PEP 3333, \"A Note On String Types\")", kind(chunk))
    })
}

/// What is wrong with a body where there can be none.
pub(super) fn body_without_place(status: http::StatusCode) -> String {
    format!("gave a {} response a body, which is lost (RFC 9110, 6.4.1)", status.as_u16())
}

fn kind(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map(|name| name.to_string()).unwrap_or_default()
}
