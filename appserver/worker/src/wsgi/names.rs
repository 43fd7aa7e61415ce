//! The keys and common values of `environ`, made once and shared by every request.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use http::{HeaderName, Method, header};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::text::latin1;

/// Interned strings.
pub(super) struct Names {
    pub(super) close: Py<PyString>,
    pub(super) request_method: Py<PyString>,
    pub(super) script_name: Py<PyString>,
    pub(super) path_info: Py<PyString>,
    pub(super) query_string: Py<PyString>,
    pub(super) raw_uri: Py<PyString>,
    pub(super) request_uri: Py<PyString>,
    pub(super) server_protocol: Py<PyString>,
    pub(super) server_name: Py<PyString>,
    pub(super) server_port: Py<PyString>,
    pub(super) remote_addr: Py<PyString>,
    pub(super) remote_port: Py<PyString>,
    pub(super) url_scheme: Py<PyString>,
    pub(super) input: Py<PyString>,
    pub(super) https: Py<PyString>,
    pub(super) on: Py<PyString>,
    pub(super) https_scheme: Py<PyString>,
    pub(super) http_10: Py<PyString>,
    pub(super) http_2: Py<PyString>,
    pub(super) request_id: Py<PyString>,
    methods: Vec<(Method, Py<PyString>)>,
    fields: HashMap<HeaderName, Py<PyString>, BuildHasherDefault<NameHasher>>,
}

/// Header fields that requests usually have.
const USUAL: [HeaderName; 32] = [
    header::ACCEPT,
    header::ACCEPT_CHARSET,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::DNT,
    header::EXPECT,
    header::FORWARDED,
    header::HOST,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::ORIGIN,
    header::PRAGMA,
    header::RANGE,
    header::REFERER,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE_INSECURE_REQUESTS,
    header::USER_AGENT,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-requested-with"),
];

impl Names {
    pub(super) fn new(py: Python<'_>) -> PyResult<Self> {
        let intern = |text: &str| PyString::intern(py, text).unbind();
        let methods =
            [Method::GET, Method::POST, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH];
        let mut fields = HashMap::default();
        for name in USUAL {
            let key = intern(&key(name.as_str()));
            fields.insert(name, key);
        }
        Ok(Self {
            close: intern("close"),
            request_method: intern("REQUEST_METHOD"),
            script_name: intern("SCRIPT_NAME"),
            path_info: intern("PATH_INFO"),
            query_string: intern("QUERY_STRING"),
            raw_uri: intern("RAW_URI"),
            request_uri: intern("REQUEST_URI"),
            server_protocol: intern("SERVER_PROTOCOL"),
            server_name: intern("SERVER_NAME"),
            server_port: intern("SERVER_PORT"),
            remote_addr: intern("REMOTE_ADDR"),
            remote_port: intern("REMOTE_PORT"),
            url_scheme: intern("wsgi.url_scheme"),
            input: intern("wsgi.input"),
            https: intern("HTTPS"),
            on: intern("on"),
            https_scheme: intern("https"),
            http_10: intern("HTTP/1.0"),
            http_2: intern("HTTP/2"),
            request_id: intern("tidegate.request_id"),
            methods: methods.into_iter().map(|method| (method.clone(), intern(method.as_str()))).collect(),
            fields,
        })
    }

    /// The method as a string.
    pub(super) fn method<'py>(&self, py: Python<'py>, method: &Method) -> PyResult<Bound<'py, PyString>> {
        match self.methods.iter().find(|(known, _)| known == method) {
            Some((_, name)) => Ok(name.bind(py).clone()),
            None => latin1(py, method.as_str().as_bytes()),
        }
    }

    /// The key of a header field; nothing for fields that apps must not see: names with an
    /// underscore would pass for the one with a dash, and `Proxy` for an environment variable
    /// that HTTP clients obey.
    pub(super) fn field<'py>(&self, py: Python<'py>, name: &HeaderName) -> PyResult<Option<Bound<'py, PyString>>> {
        if let Some(key) = self.fields.get(name) {
            return Ok(Some(key.bind(py).clone()));
        }
        let text = name.as_str();
        if text.contains('_') || text == "proxy" {
            return Ok(None);
        }
        latin1(py, key(text).as_bytes()).map(Some)
    }
}

fn key(name: &str) -> String {
    let prefix = if name == "content-length" || name == "content-type" { "" } else { "HTTP_" };
    let mut key = String::with_capacity(prefix.len() + name.len());
    key.push_str(prefix);
    key.extend(name.chars().map(|letter| if letter == '-' { '_' } else { letter.to_ascii_uppercase() }));
    key
}

/// The table never grows after start-up, so clients cannot make it slow by choosing names.
#[derive(Default)]
struct NameHasher(u64);

impl NameHasher {
    fn mix(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.mix(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
