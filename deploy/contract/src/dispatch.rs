//! The one internal header of a dispatched request and of its response.
//!
//! The proxy strips the header from whatever a client sends, and the worker from whatever an
//! app returns, so on the local socket it always speaks for Tidegate itself. Fields are
//! `key=value`, separated by one space; values hold no spaces.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

use crate::{Cause, ClientCertificate};

/// Name of the internal header, in both directions.
pub const INTERNAL_HEADER: &str = "x-tidegate";

/// What is encoded in a target, which is shown to apps and not decoded.
const ENCODED_IN_TARGET: &AsciiSet = &CONTROLS.add(b' ');
/// What is encoded in a name.
const ENCODED_IN_NAME: &AsciiSet = &ENCODED_IN_TARGET.add(b'%');

/// What the proxy tells a worker about a request beside the request itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// Number of this dispatch, unique in one life of the proxy; names the slot it holds.
    pub number: u64,
    /// Milliseconds from arrival at the worker to the response head.
    pub timeout_ms: u64,
    /// Milliseconds the app may take between two chunks of its response.
    pub idle_ms: u64,
    /// `https` or `http`, as the client used it (or as a trusted proxy says).
    pub https: bool,
    /// The client's address (from a trusted proxy's header where one is configured).
    pub client: IpAddr,
    /// The client's port; 0 if unknown.
    pub client_port: u16,
    /// The listener's port, for `SERVER_PORT` when the Host header has none.
    pub server_port: u16,
    /// The request's protocol: 10, 11 or 20.
    pub version: u8,
    /// Where the app is mounted: empty, or `/prefix` without a slash at its end.
    pub mount: String,
    /// The request id, `[A-Za-z0-9._-]{1,128}`.
    pub request_id: String,
    /// Path and query as the client sent them, where the request's own are others (rewritten, or without
    /// their prefix). Bytes outside ASCII are percent-encoded.
    pub original: Option<String>,
    /// The name of the user whose password the proxy has checked; not empty.
    pub user: Option<String>,
    /// The certificate the client has shown, on a listener that asks for one.
    pub client_certificate: Option<Arc<ClientCertificate>>,
}

/// Why an internal header could not be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("internal header is malformed at {0:?}")]
pub struct DispatchError(pub String);

impl Dispatch {
    /// The header's value.
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(160);
        let mut digits = itoa::Buffer::new();
        // Without a formatter, which would cost every request more than all of its routing.
        for (key, number) in [("n=", self.number), (" t=", self.timeout_ms), (" i=", self.idle_ms)] {
            out.push_str(key);
            out.push_str(digits.format(number));
        }
        out.push_str(if self.https { " s=1 a=" } else { " s=0 a=" });
        push_address(&mut out, self.client);
        for (key, number) in [(" p=", self.client_port), (" l=", self.server_port), (" v=", self.version.into())] {
            out.push_str(key);
            out.push_str(digits.format(number));
        }
        for (key, text) in [(" m=", &self.mount), (" r=", &self.request_id)] {
            out.push_str(key);
            out.push_str(text);
        }
        for (key, value, kept) in [("o", &self.original, ENCODED_IN_TARGET), ("u", &self.user, ENCODED_IN_NAME)] {
            if let Some(value) = value {
                // Writing to a String cannot fail.
                let _ = write!(out, " {key}={}", utf8_percent_encode(value, kept));
            }
        }
        if let Some(certificate) = &self.client_certificate {
            out.push_str(" c=");
            out.push_str(&certificate.encode());
        }
        out
    }

    /// Reads a header's value.
    pub fn parse(value: &str) -> Result<Self, DispatchError> {
        fn number<T: std::str::FromStr>(field: &str, value: &str) -> Result<T, DispatchError> {
            value.parse().map_err(|_| DispatchError(field.to_owned()))
        }
        let mut fields = value.split(' ');
        let mut next = |key: &str| {
            let field = fields.next().unwrap_or("");
            match field.split_once('=') {
                Some((found, value)) if found == key => Ok((field, value)),
                _ => Err(DispatchError(field.to_owned())),
            }
        };
        let mut dispatch = {
            let parse = |(field, value): (&str, &str)| number::<u64>(field, value);
            Self {
                number: parse(next("n")?)?,
                timeout_ms: parse(next("t")?)?,
                idle_ms: parse(next("i")?)?,
                https: next("s")?.1 == "1",
                client: next("a").and_then(|(field, value)| number(field, value))?,
                client_port: next("p").and_then(|(field, value)| number(field, value))?,
                server_port: next("l").and_then(|(field, value)| number(field, value))?,
                version: next("v").and_then(|(field, value)| number(field, value))?,
                mount: next("m")?.1.to_owned(),
                request_id: next("r")?.1.to_owned(),
                original: None,
                user: None,
                client_certificate: None,
            }
        };
        for field in fields {
            let malformed = || DispatchError(field.to_owned());
            match field.split_once('=').ok_or_else(malformed)? {
                ("o", target) => dispatch.original = Some(target.to_owned()),
                ("u", name) => {
                    let name = percent_decode_str(name).decode_utf8().map_err(|_| malformed())?;
                    dispatch.user = Some(name.into_owned());
                }
                ("c", certificate) => {
                    let certificate = ClientCertificate::parse(certificate).ok_or_else(malformed)?;
                    dispatch.client_certificate = Some(Arc::new(certificate));
                }
                _ => return Err(malformed()),
            }
        }
        Ok(dispatch)
    }
}

/// Appends an address in its usual form; an IPv4 one costs next to nothing.
pub fn push_address(out: &mut String, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push('.');
                }
                out.push_str(itoa::Buffer::new().format(octet));
            }
        }
        IpAddr::V6(address) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{address}");
        }
    }
}

/// What a worker tells the proxy about a response beside the response itself. Absent for an
/// ordinary response whose thread is back by the time its last byte is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The app's Content-Length. The message itself is chunked then, so that its end says that
    /// the thread is back; the proxy frames its own response by this length.
    pub length: Option<u64>,
    /// The response stands for this failure; the proxy answers with its own page.
    pub cause: Option<Cause>,
}

impl Outcome {
    /// The header's value, or nothing if there is nothing to say.
    pub fn encode(&self) -> Option<String> {
        match (self.length, self.cause) {
            (None, None) => None,
            (Some(length), None) => Some(format!("length={length}")),
            (_, Some(cause)) => Some(format!("cause={}", cause.label())),
        }
    }

    /// Reads a header's value.
    pub fn parse(value: &str) -> Result<Self, DispatchError> {
        let malformed = || DispatchError(value.to_owned());
        match value.split_once('=').ok_or_else(malformed)? {
            ("length", digits) => Ok(Self { length: Some(digits.parse().map_err(|_| malformed())?), cause: None }),
            ("cause", label) => Ok(Self { length: None, cause: Some(Cause::from_label(label).ok_or_else(malformed)?) }),
            _ => Err(malformed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dispatch() -> Dispatch {
        Dispatch {
            number: 7,
            timeout_ms: 30_000,
            idle_ms: 60_000,
            https: true,
            client: "2001:db8::1".parse().unwrap(),
            client_port: 50_123,
            server_port: 8443,
            version: 20,
            mount: "/shop".to_owned(),
            request_id: "a-1".to_owned(),
            original: None,
            user: None,
            client_certificate: None,
        }
    }

    #[test]
    fn a_dispatch_survives_the_wire() {
        let with_empty_mount = Dispatch { mount: String::new(), https: false, ..dispatch() };
        let with_more = Dispatch {
            original: Some("/a%20b?c=%C3%A9".to_owned()),
            user: Some("Zo\u{eb} 100% = r=1".to_owned()),
            client_certificate: Some(Arc::new(ClientCertificate::None)),
            ..dispatch()
        };
        for dispatch in [dispatch(), with_empty_mount, with_more] {
            assert_eq!(Dispatch::parse(&dispatch.encode()), Ok(dispatch));
        }
    }

    #[test]
    fn an_address_has_its_usual_form() {
        for text in ["127.0.0.1", "0.0.0.0", "255.10.9.100", "2001:db8::1", "::ffff:1.2.3.4"] {
            let mut out = String::new();
            push_address(&mut out, text.parse().unwrap());
            assert_eq!(out, text);
        }
    }

    #[test]
    fn a_malformed_dispatch_names_the_field() {
        for (value, field) in
            [("", ""), ("n=x t=1", "n=x"), ("n=1 i=1", "i=1"), (&format!("{} x=1", dispatch().encode()), "x=1")]
        {
            assert_eq!(Dispatch::parse(value), Err(DispatchError(field.to_owned())));
        }
    }

    #[test]
    fn an_outcome_survives_the_wire() {
        for outcome in
            [Outcome { length: Some(12), cause: None }, Outcome { length: None, cause: Some(Cause::WorkerTimeout) }]
        {
            assert_eq!(Outcome::parse(&outcome.encode().unwrap()), Ok(outcome));
        }
        assert_eq!(Outcome::default().encode(), None);
        assert!(Outcome::parse("cause=nonsense").is_err());
    }
}
