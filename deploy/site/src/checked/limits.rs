//! Checked: what clients may cost.

use std::path::PathBuf;
use std::time::Duration;

/// Limits towards clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections over all listeners; above it idle ones end, and the listeners stop accepting.
    pub connections: usize,
    /// Connections of one address (IPv6: of one /64) that is no trusted proxy's.
    pub connections_per_address: Option<usize>,
    /// For a TLS handshake.
    pub handshake_timeout: Duration,
    /// For a whole request header.
    pub header_timeout: Duration,
    /// Size of a request header in bytes.
    pub header_size: usize,
    /// Number of header fields.
    pub header_fields: usize,
    /// Idle time between two requests.
    pub keep_alive: Duration,
    /// Between two reads of a request body, for each write to the client, and below the minimum rates.
    pub client_timeout: Duration,
    /// Bytes a second of a request body, over time; 0 for `client_timeout` alone.
    pub min_receive_rate: u64,
    /// Bytes a second that a client takes of its responses, over time; 0 for `client_timeout` alone.
    pub min_send_rate: u64,
    /// Size of a request body in bytes.
    pub body_size: u64,
    /// Concurrent streams of an HTTP/2 connection.
    pub http2_streams: u32,
    /// How long a stopping proxy finishes requests.
    pub drain_timeout: Duration,
    /// What bodies may take while they wait for a slow client or a busy app.
    pub buffer: BufferLimits,
    /// Bytes of small static files, and of what is known of larger ones, in memory; 0 for none.
    pub static_cache: u64,
}

/// Where bodies wait, and how much of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferLimits {
    /// Bytes of one body in memory; what is more goes to a file.
    pub memory: usize,
    /// Bytes of all bodies in files; 0 for memory alone.
    pub disk: u64,
    /// Bytes of one response in its file; above it the app waits for its client.
    pub response: u64,
    /// Directory of the files, absolute.
    pub directory: PathBuf,
}
