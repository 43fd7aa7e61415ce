//! What a browser adds to a client, as far as forms need it: cookies, a referrer, and form fields that were sent with
//! the page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use super::response::Response;
use super::tls::Tls;

/// A person's browser, on `https://localhost/`.
#[derive(Debug)]
pub struct Browser {
    tls: Tls,
    address: SocketAddr,
    cookies: BTreeMap<String, String>,
    page: String,
}

impl Browser {
    /// A browser without cookies.
    pub fn new(tls: Tls, address: SocketAddr) -> Self {
        Self { tls, address, cookies: BTreeMap::new(), page: "/".to_owned() }
    }

    /// Opens a page. Redirects are the test's to follow.
    pub async fn get(&mut self, target: &str) -> Response {
        self.send("GET", target, &[], String::new()).await
    }

    /// Sends a form from the page that was opened last.
    pub async fn submit(&mut self, target: &str, fields: &[(&str, &str)]) -> Response {
        let form: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        self.send("POST", target, &[("Content-Type", "application/x-www-form-urlencoded")], form.join("&")).await
    }

    /// A cookie's value.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    async fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: String) -> Response {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (cookies, referrer) = (cookies.join("; "), format!("https://localhost{}", self.page));
        let mut all = vec![("Referer", referrer.as_str()), ("Accept", "text/html")];
        if !cookies.is_empty() {
            all.push(("Cookie", &cookies));
        }
        all.extend_from_slice(headers);
        let mut connection = self.tls.http1(self.address, "localhost").await;
        connection.request(method, target, &all, body.as_bytes()).await;
        let response = connection.response(method).await;
        for cookie in response.header_values("set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        target.clone_into(&mut self.page);
        response
    }
}

fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap();
        }
    }
    out
}
