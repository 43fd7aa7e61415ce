//! A response, whichever version brought it.

/// How a response's body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At its declared length, with the last chunk, or with END_STREAM.
    Proper,
    /// With the end of the connection, which is all that says so.
    Closed,
    /// The connection or stream ended before the message did.
    Cut,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The reason phrase; empty in HTTP/2.
    pub reason: String,
    /// Names in lower case and values, in their order.
    pub headers: Vec<(String, String)>,
    /// The body, as far as it came.
    pub body: Vec<u8>,
    /// How it ended.
    pub end: End,
}

impl Response {
    /// The value of a header that there is once at the most.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.header_values(name);
        assert!(values.len() <= 1, "more than one {name}: {values:?}");
        values.first().copied()
    }

    /// Every value of a header.
    pub fn header_values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The cause that an error page names.
    pub fn cause(&self) -> Option<String> {
        self.text().lines().find_map(|line| line.strip_prefix("cause: ").map(str::to_owned))
    }

    /// Status and cause of an error page.
    #[track_caller]
    pub fn assert_failure(&self, status: u16, cause: &str) {
        assert_eq!((self.status, self.cause().as_deref(), self.end), (status, Some(cause), End::Proper), "{self:?}");
    }

    /// A whole answer with this status and text.
    #[track_caller]
    pub fn assert_text(&self, status: u16, text: &str) {
        assert_eq!((self.status, self.text().as_str()), (status, text), "{self:?}");
        assert_ne!(self.end, End::Cut, "{self:?}");
    }
}
