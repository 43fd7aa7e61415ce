//! `environ`, built from a request.

use std::borrow::Cow;

use http::header;
use percent_encoding::percent_decode_str;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use tidegate_contract::ClientCertificate;

use super::App;
use super::errors::Errors;
use super::file_wrapper::FileWrapper;
use super::input::Input;
use super::names::Names;
use super::text::latin1;
use crate::request::Request;
use crate::shared::Shared;

const SOFTWARE: &str = concat!("Tidegate/", env!("CARGO_PKG_VERSION"));

/// What every request's `environ` starts as: all keys that every request has, with the values
/// that most have.
pub(super) fn template<'py>(
    py: Python<'py>,
    shared: &'static Shared,
    names: &Names,
    errors: &Py<Errors>,
) -> PyResult<Bound<'py, PyDict>> {
    let environ = PyDict::new(py);
    environ.set_item("wsgi.version", (1, 0))?;
    environ.set_item("wsgi.errors", errors)?;
    environ.set_item("wsgi.multithread", shared.launch.threads_max > 1)?;
    environ.set_item("wsgi.multiprocess", shared.launch.multiprocess)?;
    environ.set_item("wsgi.run_once", false)?;
    environ.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
    environ.set_item("wsgi.input_terminated", true)?;
    environ.set_item("SERVER_SOFTWARE", SOFTWARE)?;
    environ.set_item("GATEWAY_INTERFACE", "CGI/1.1")?;
    environ.set_item(&names.url_scheme, "http")?;
    environ.set_item(&names.input, Input::empty(py, shared)?)?;
    environ.set_item(&names.request_method, "GET")?;
    environ.set_item(&names.server_protocol, "HTTP/1.1")?;
    for name in [
        &names.script_name,
        &names.path_info,
        &names.query_string,
        &names.raw_uri,
        &names.request_uri,
        &names.server_name,
        &names.server_port,
        &names.remote_addr,
        &names.remote_port,
        &names.request_id,
    ] {
        environ.set_item(name, "")?;
    }
    Ok(environ)
}

/// The `environ` of a request; `input` unless it has no body.
pub(super) fn build<'py>(
    py: Python<'py>,
    app: &App,
    request: &Request,
    input: Option<Bound<'py, Input>>,
) -> PyResult<Bound<'py, PyDict>> {
    let names = &app.names;
    let environ = app.template.bind(py).copy()?;
    let (head, dispatch) = (&request.head, &request.dispatch);
    let set = |key: &Py<PyString>, value: &[u8]| environ.set_item(key.bind(py), latin1(py, value)?);

    environ.set_item(names.request_method.bind(py), names.method(py, &head.method)?)?;
    let target = head.uri.path_and_query().map_or("", |target| target.as_str());
    // As in other servers: what the client asked for, whatever the proxy has made of it.
    let raw = latin1(py, dispatch.original.as_deref().unwrap_or(target).as_bytes())?;
    environ.set_item(names.raw_uri.bind(py), &raw)?;
    environ.set_item(names.request_uri.bind(py), &raw)?;
    let path = decode(head.uri.path());
    match split_mount(&path, &dispatch.mount) {
        Some(rest) => {
            set(&names.script_name, dispatch.mount.as_bytes())?;
            set(&names.path_info, rest)?;
        }
        None => set(&names.path_info, &path)?,
    }
    if let Some(query) = head.uri.query() {
        set(&names.query_string, query.as_bytes())?;
    }

    let host = head.headers.get(header::HOST).map_or(&b""[..], |host| host.as_bytes());
    let (name, port) = split_host(host);
    set(&names.server_name, if name.is_empty() { b"localhost" } else { name })?;
    match port {
        Some(port) => set(&names.server_port, port)?,
        None => set(&names.server_port, dispatch.server_port.to_string().as_bytes())?,
    }
    match dispatch.version {
        10 => environ.set_item(names.server_protocol.bind(py), names.http_10.bind(py))?,
        20 => environ.set_item(names.server_protocol.bind(py), names.http_2.bind(py))?,
        _ => {}
    }
    set(&names.remote_addr, dispatch.client.to_string().as_bytes())?;
    if dispatch.client_port != 0 {
        set(&names.remote_port, dispatch.client_port.to_string().as_bytes())?;
    }
    if dispatch.https {
        environ.set_item(names.url_scheme.bind(py), names.https_scheme.bind(py))?;
        environ.set_item(names.https.bind(py), names.on.bind(py))?;
    }
    if let Some(user) = &dispatch.user {
        environ.set_item("REMOTE_USER", latin1(py, user.as_bytes())?)?;
        environ.set_item("AUTH_TYPE", "Basic")?;
    }
    set(&names.request_id, dispatch.request_id.as_bytes())?;
    if let Some(certificate) = &dispatch.client_certificate {
        client_certificate(py, certificate, &environ)?;
    }
    if let Some(input) = input {
        environ.set_item(names.input.bind(py), input)?;
    }
    fields(py, names, request, &environ)?;
    Ok(environ)
}

/// Under the names that Apache's mod_ssl made known. None of them begins with `HTTP_`, so no client can send one.
fn client_certificate(py: Python<'_>, certificate: &ClientCertificate, environ: &Bound<'_, PyDict>) -> PyResult<()> {
    let ClientCertificate::Verified { subject, common_name, issuer, serial, fingerprint } = certificate else {
        return environ.set_item("SSL_CLIENT_VERIFY", "NONE");
    };
    environ.set_item("SSL_CLIENT_VERIFY", "SUCCESS")?;
    for (key, value) in [
        ("SSL_CLIENT_S_DN", subject),
        ("SSL_CLIENT_S_DN_CN", common_name),
        ("SSL_CLIENT_I_DN", issuer),
        ("SSL_CLIENT_M_SERIAL", serial),
        ("SSL_CLIENT_FINGERPRINT", fingerprint),
    ] {
        environ.set_item(key, latin1(py, value.as_bytes())?)?;
    }
    Ok(())
}

fn fields(py: Python<'_>, names: &Names, request: &Request, environ: &Bound<'_, PyDict>) -> PyResult<()> {
    let headers = &request.head.headers;
    if headers.len() == headers.keys_len() {
        for (name, value) in headers {
            if let Some(key) = names.field(py, name)? {
                environ.set_item(key, latin1(py, value.as_bytes())?)?;
            }
        }
        return Ok(());
    }
    for name in headers.keys() {
        let Some(key) = names.field(py, name)? else { continue };
        // RFC 9110 section 5.3, and RFC 9113 section 8.2.3 for the crumbs of a cookie.
        let separator: &[u8] = if name == header::COOKIE { b"; " } else { b"," };
        let mut joined = Vec::new();
        for (place, value) in headers.get_all(name).iter().enumerate() {
            if place > 0 {
                joined.extend_from_slice(separator);
            }
            joined.extend_from_slice(value.as_bytes());
        }
        environ.set_item(key, latin1(py, &joined)?)?;
    }
    Ok(())
}

fn decode(path: &str) -> Cow<'_, [u8]> {
    if path.contains('%') { percent_decode_str(path).into() } else { Cow::Borrowed(path.as_bytes()) }
}

/// What follows the mount point, if the path lies below it.
fn split_mount<'a>(path: &'a [u8], mount: &str) -> Option<&'a [u8]> {
    if mount.is_empty() {
        return None;
    }
    let rest = path.strip_prefix(mount.as_bytes())?;
    (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
}

/// Name and port of a Host header; the brackets of an IPv6 address belong to its name.
fn split_host(host: &[u8]) -> (&[u8], Option<&[u8]>) {
    let after_address = host.iter().rposition(|&byte| byte == b']').map_or(0, |place| place + 1);
    match host[after_address..].iter().position(|&byte| byte == b':') {
        Some(colon) => {
            let (name, port) = host.split_at(after_address + colon);
            let port = &port[1..];
            let valid = !port.is_empty() && port.iter().all(u8::is_ascii_digit);
            (name, valid.then_some(port))
        }
        None => (host, None),
    }
}
