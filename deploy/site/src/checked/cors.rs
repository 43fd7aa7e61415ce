//! Checked: which other sites' scripts may use a route (CORS).

use std::time::Duration;

use http::HeaderValue;

/// What scripts of other origins may do.
#[derive(Debug, Clone, PartialEq)]
pub struct Cors {
    /// Whose scripts.
    pub origins: Origins,
    /// The methods that they may use, as a field's value.
    pub methods: HeaderValue,
    /// The request fields that they may set.
    pub headers: RequestFields,
    /// The response fields that they may read, as a field's value.
    pub expose: Option<HeaderValue>,
    /// Whether cookies and passwords go along. Never with [`Origins::Any`].
    pub credentials: bool,
    /// How long a browser may remember the answer to a preflight.
    pub max_age: Duration,
}

/// Origins whose scripts may use a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// All.
    Any,
    /// These, as browsers write them: `https://shop.example`, lower case, without a slash at the end.
    These(Vec<String>),
}

/// Request fields that scripts may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestFields {
    /// Any that they ask for.
    Any,
    /// These, as a field's value; none beyond those that need no leave.
    These(Option<HeaderValue>),
}
