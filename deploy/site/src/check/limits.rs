//! `limits`: what a client may cost.

use std::path::Path;

use crate::check::duration;
use crate::check::paths::Base;
use crate::checked::{BufferLimits, Limits};
use crate::defaults;
use crate::raw::Table;

/// Keys of `limits`.
pub(crate) const LIMITS: &[&str] = &[
    "connections",
    "connections_per_address",
    "handshake_timeout",
    "header_timeout",
    "header_size",
    "header_fields",
    "keep_alive",
    "client_timeout",
    "min_receive_rate",
    "min_send_rate",
    "body_size",
    "http2_streams",
    "drain_timeout",
    "buffer_memory",
    "buffer_disk",
    "buffer_response",
    "buffer_dir",
    "static_cache",
];

/// The largest body that can be allowed: beyond it a unit is mistyped.
pub(crate) const LARGEST_BODY: u64 = 16 << 40;

/// The most memory that files may be kept in: beyond it a unit is mistyped.
const LARGEST_CACHE: u64 = 1 << 40;

/// No line is so fast that a client on it may be asked for more.
const FASTEST_MINIMUM: u64 = 1 << 30;

/// The limits, or their defaults.
pub(crate) fn read(root: &Table<'_>, base: &Base, state_dir: &Path) -> Option<Limits> {
    let default = default(state_dir);
    let Some(node) = root.get("limits") else {
        return Some(default);
    };
    let table = node.table(LIMITS)?;
    let connections = table.read("connections", default.connections, |node| node.integer(1..=1_000_000));
    let connections_per_address = table.read("connections_per_address", default.connections_per_address, |node| {
        if node.is_off() { Some(None) } else { node.integer(1..=1_000_000).map(Some) }
    });
    let handshake_timeout = duration(&table, "handshake_timeout", default.handshake_timeout);
    let header_timeout = duration(&table, "header_timeout", default.header_timeout);
    // The HTTP/1.1 parser below the proxy ends at 1 MiB and 256 fields.
    let header_size = table.read("header_size", default.header_size, |node| {
        node.size(1 << 10..=1 << 20).and_then(|size| usize::try_from(size).ok())
    });
    let header_fields = table.read("header_fields", default.header_fields, |node| node.integer(1..=256));
    let keep_alive = duration(&table, "keep_alive", default.keep_alive);
    let client_timeout = duration(&table, "client_timeout", default.client_timeout);
    let min_receive_rate =
        table.read("min_receive_rate", default.min_receive_rate, |node| node.size(0..=FASTEST_MINIMUM));
    let min_send_rate = table.read("min_send_rate", default.min_send_rate, |node| node.size(0..=FASTEST_MINIMUM));
    let body_size = table.read("body_size", default.body_size, |node| node.size(0..=LARGEST_BODY));
    let http2_streams = table.read("http2_streams", default.http2_streams, |node| node.integer(1..=10_000));
    let drain_timeout = duration(&table, "drain_timeout", default.drain_timeout);
    let buffer = buffer(&table, base, default.buffer);
    let static_cache = table.read("static_cache", default.static_cache, |node| node.size(0..=LARGEST_CACHE));
    Some(Limits {
        connections: connections?,
        connections_per_address: connections_per_address?,
        handshake_timeout: handshake_timeout?,
        header_timeout: header_timeout?,
        header_size: header_size?,
        header_fields: header_fields?,
        keep_alive: keep_alive?,
        client_timeout: client_timeout?,
        min_receive_rate: min_receive_rate?,
        min_send_rate: min_send_rate?,
        body_size: body_size?,
        http2_streams: http2_streams?,
        drain_timeout: drain_timeout?,
        buffer: buffer?,
        static_cache: static_cache?,
    })
}

fn buffer(table: &Table<'_>, base: &Base, default: BufferLimits) -> Option<BufferLimits> {
    // Files are written and read in pieces of this size too: small ones would cost a system call each.
    let memory = table.read("buffer_memory", default.memory, |node| {
        node.size(4 << 10..=1 << 30).and_then(|size| usize::try_from(size).ok())
    });
    let disk = table.read("buffer_disk", default.disk, |node| node.size(0..=LARGEST_BODY));
    let response = table.read("buffer_response", default.response, |node| node.size(0..=LARGEST_BODY));
    let directory = table.read("buffer_dir", default.directory, |node| base.directory_to_be(&node));
    Some(BufferLimits { memory: memory?, disk: disk?, response: response?, directory: directory? })
}

fn default(state_dir: &Path) -> Limits {
    Limits {
        connections: defaults::CONNECTIONS,
        connections_per_address: defaults::CONNECTIONS_PER_ADDRESS,
        handshake_timeout: defaults::HANDSHAKE_TIMEOUT,
        header_timeout: defaults::HEADER_TIMEOUT,
        header_size: defaults::HEADER_SIZE,
        header_fields: defaults::HEADER_FIELDS,
        keep_alive: defaults::KEEP_ALIVE,
        client_timeout: defaults::CLIENT_TIMEOUT,
        min_receive_rate: defaults::MIN_RECEIVE_RATE,
        min_send_rate: defaults::MIN_SEND_RATE,
        body_size: defaults::BODY_SIZE,
        http2_streams: defaults::HTTP2_STREAMS,
        drain_timeout: defaults::PROXY_DRAIN_TIMEOUT,
        buffer: BufferLimits {
            memory: defaults::BUFFER_MEMORY,
            disk: defaults::BUFFER_DISK,
            response: defaults::BUFFER_RESPONSE,
            directory: state_dir.join(defaults::BUFFER_DIR),
        },
        static_cache: defaults::STATIC_CACHE,
    }
}
