//! Every default of the site file, with its reason. `docs/configuration.md` repeats them for
//! operators; nothing outside this crate has a default for anything the file can say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::checked::{
    CompressionLevel, ContentCoding, Level, LogFormat, Mount, Priority, Recycle, Replace, Rotate, TlsProfile,
};

/// The only version of the file's format.
pub(crate) const VERSION: u64 = 1;

/// Beside the site file: it holds only what Tidegate makes itself and can make again.
pub(crate) const STATE_DIR: &str = ".tidegate";

/// Above 1024, so that no privilege is needed; both families on one socket.
pub(crate) const HTTPS: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8443);

/// People type addresses without a scheme: they should get to the site.
pub(crate) const REDIRECT: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8080);

/// Every client of the last ten years speaks 1.2 or 1.3, and what is weak in 1.2 is not spoken.
pub(crate) const TLS_PROFILE: TlsProfile = TlsProfile::Intermediate;

/// A renewed certificate is in use before anyone looks, and a look is a question to the file system
/// for each file.
pub(crate) const TLS_WATCH: Option<Duration> = Some(Duration::from_secs(5));

/// More often is more than file systems' times can tell.
pub(crate) const TLS_WATCH_LEAST: Duration = Duration::from_millis(100);

/// Loopback: figures about a site are not for its visitors.
pub(crate) const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9145);

/// Name of the app given by the short form `app: module:callable`.
pub(crate) const APP_NAME: &str = "app";

/// Any name: a site must answer before its names are settled.
pub(crate) const HOST_NAME: &str = "*";

/// The app sees what it would see behind other servers: SCRIPT_NAME and PATH_INFO.
pub(crate) const MOUNT: Mount = Mount::On;

/// Permanent, so that search engines follow, and with the same method, so that no form is lost.
pub(crate) const REDIRECT_STATUS: u16 = 308;

/// A year: what scanners ask for, and long enough that a visitor of last summer is still safe.
pub(crate) const HSTS_MAX_AGE: Duration = Duration::from_secs(365 * 24 * 3600);

/// What forms can send from anywhere already.
pub(crate) const CORS_METHODS: &str = "GET, HEAD, POST";

/// What browsers show above the fields; some show nothing.
pub(crate) const REALM: &str = "Restricted";

/// The app has REMOTE_USER; a password that it does not get it cannot log.
pub(crate) const FORWARD_PASSWORD: bool = false;

/// Ten minutes: one preflight for a visit; browsers' own bound is two hours or less.
pub(crate) const CORS_MAX_AGE: Duration = Duration::from_secs(600);

/// A page that has moved takes what is asked of it along.
pub(crate) const KEEP_QUERY: bool = true;

/// Open.
pub(crate) const MAINTENANCE: bool = false;

/// Long enough that crawlers do not come back while it lasts, short enough that they come back the same day.
pub(crate) const MAINTENANCE_RETRY_AFTER: Duration = Duration::from_secs(600);

/// A mebibyte of memory for each limit, and more clients than most sites have within a minute.
pub(crate) const RATE_LIMIT_KEYS: usize = 65_536;

/// Off: a limit that is written down is meant.
pub(crate) const DRY_RUN: bool = false;

/// Nobody goes first until the operator says who: then a request waits for those who came before it.
pub(crate) const PRIORITY: Priority = Priority::Normal;

/// One: apps that are being migrated hold global state, serial ports and schedulers.
pub(crate) const PROCESSES: u32 = 1;

/// Off: a worker that leaks nothing need not be replaced, and each replacement costs an import.
pub(crate) const RECYCLE: Recycle = Recycle { requests: None, lifetime: None, memory: None };

/// No gap, which almost every app allows.
pub(crate) const REPLACE: Replace = Replace::Overlap;

/// None: only the operator knows what else the host's memory is for.
pub(crate) const MEMORY_LIMIT: Option<u64> = None;

/// Enough that a quiet site's first clients do not wait for threads to start.
pub(crate) const THREADS_MIN: u32 = 4;

/// What a database with 100 connections survives; hundreds would exhaust it.
pub(crate) const THREADS_MAX: u32 = 64;

/// Long enough for slow reports, short enough that people still wait for the answer.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Twice the request timeout: a stream that began may pause, but not for ever.
pub(crate) const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// An interrupted thread that runs Python is back within milliseconds; one that does not come
/// back in this time is inside a C call that may never end.
pub(crate) const TIMEOUT_GRACE: Duration = Duration::from_secs(5);

/// Bad Gateway: what operators of the servers that Tidegate replaces watch for.
pub(crate) const TIMEOUT_STATUS: u16 = 502;

/// Large Django projects on cold disks take tens of seconds to import.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);

/// As long as a request may take, so that a drained worker loses none.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Often enough to notice a frozen process within seconds, seldom enough to cost nothing.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);

/// Ten beats: a C call that holds the interpreter for a few seconds is slow, not dead.
pub(crate) const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// A flood of a thousand users fits many times over; a waiting request costs some kilobytes.
pub(crate) const QUEUE_SIZE: usize = 16_384;

/// Longer than clients wait: the client's patience ends first, and then it leaves the queue.
pub(crate) const QUEUE_TIMEOUT: Duration = Duration::from_secs(60);

/// Off: which requests may take long only the operator knows; an app with streams or long polls would log each of
/// them. `tidegate top` shows where requests are without it, and a request that times out is always logged.
pub(crate) const SLOW_REQUEST: Option<Duration> = None;

/// Off: what it finds works, and is for the app's developers.
pub(crate) const VALIDATE: bool = false;

/// Off: an exception at any line is nothing that apps are written for, and it costs the worker.
pub(crate) const CANCEL_WHEN_CLIENT_GONE: bool = false;

/// Bounds memory at some hundreds of megabytes even if every connection is busy.
pub(crate) const CONNECTIONS: usize = 20_000;

/// Off: whole offices and hospitals come from one address, and a limit that is too low locks all of them out.
pub(crate) const CONNECTIONS_PER_ADDRESS: Option<usize> = None;

/// A handshake is two round trips; on the worst mobile link that is seconds.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// For the whole header, so that a byte now and then does not keep a connection.
pub(crate) const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Large single-sign-on cookies fit; common servers stop at 8 to 64 KiB.
pub(crate) const HEADER_SIZE: usize = 64 << 10;

/// Browsers send about 20, chains of proxies some more.
pub(crate) const HEADER_FIELDS: usize = 100;

/// Longer than the 60 s after which common load balancers drop idle connections, so that they
/// never send a request into a connection that is being closed.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A minute without one byte read or written is a client that has gone.
pub(crate) const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// A tenth of what the slowest phones send. A body that is dripped to hold a place for hours is slower.
pub(crate) const MIN_RECEIVE_RATE: u64 = 500;

/// The slowest lines take several times as much; 64 KiB, which are written at a time, in about a minute.
pub(crate) const MIN_SEND_RATE: u64 = 1 << 10;

/// Uploads of documents and pictures fit; what needs more says so on its route.
pub(crate) const BODY_SIZE: u64 = 100 << 20;

/// What browsers expect at least (RFC 9113 recommends no fewer than 100).
pub(crate) const HTTP2_STREAMS: u32 = 128;

/// As long as a request may take; service managers kill after 30 to 90 s.
pub(crate) const PROXY_DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A slow client, reading or writing, is the proxy's to wait for; what streams both ways says so.
pub(crate) const BUFFERING: bool = true;

/// Forms and pages fit; ten thousand slow clients cost less than a gigabyte.
pub(crate) const BUFFER_MEMORY: usize = 64 << 10;

/// Forty uploads of the largest body at once, on any disk that holds a site.
pub(crate) const BUFFER_DISK: u64 = 4 << 30;

/// Larger than what people wait for; a quarter of the disk's share, so that one download leaves room.
pub(crate) const BUFFER_RESPONSE: u64 = 1 << 30;

/// Below the state directory, which Tidegate may write to.
pub(crate) const BUFFER_DIR: &str = "buffers";

/// Off: a list may show more than was meant.
pub(crate) const LISTING: bool = false;

/// Off: `.git`, `.env` and `.htpasswd` lie in many a directory by mistake.
pub(crate) const HIDDEN_FILES: bool = false;

/// On: a compressed neighbour was made to be sent, and a file without one costs nothing.
pub(crate) const PRECOMPRESSED: bool = true;

/// Whatever writes texts today writes them so; without a charset, browsers guess.
pub(crate) const CHARSET: &str = "utf-8";

/// The styles, scripts and pictures of nearly any site; what does not fit is read again, from the system's cache.
pub(crate) const STATIC_CACHE: u64 = 64 << 20;

/// Off: files are for clients.
pub(crate) const INTERNAL: bool = false;

/// zstd first: it was made for speed, and a response waits for it.
pub(crate) const COMPRESS_CODINGS: [ContentCoding; 3] =
    [ContentCoding::Zstd, ContentCoding::Brotli, ContentCoding::Gzip];

/// What is smaller goes into one packet as it is.
pub(crate) const COMPRESS_MIN_SIZE: u64 = 1 << 10;

/// A response waits for it.
pub(crate) const COMPRESS_LEVEL: CompressionLevel = CompressionLevel::Balanced;

/// What is text in one way or another. Pictures, films, archives and WOFF fonts are compressed already.
pub(crate) const COMPRESS_TYPES: [&str; 14] = [
    "text/*",
    "*+json",
    "*+xml",
    "application/javascript",
    "application/json",
    "application/ndjson",
    "application/x-javascript",
    "application/x-ndjson",
    "application/xml",
    "application/wasm",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/x-icon",
];

/// Off: a trace that begins here has decided for the app's own tracer that it is recorded. Where nothing traces, the
/// request id does the same.
pub(crate) const TRACE_CONTEXT: bool = false;

/// Each: who was served what is the first thing that is asked after an incident.
pub(crate) const ACCESS_SAMPLE: u32 = 1;

/// A day a file and two weeks of them, as log rotation is set up on most systems; no file that editors cannot open, and
/// at most one and a half gigabytes.
pub(crate) const ROTATE: Rotate =
    Rotate { size: Some(100 << 20), age: Some(Duration::from_secs(24 * 3600)), keep: 14, compress: false };

/// What an operator wants to know, without clients' mistakes.
pub(crate) const LOG_LEVEL: Level = Level::Info;

/// People read it first; machines are set up later.
pub(crate) const LOG_FORMAT: LogFormat = LogFormat::Text;

/// In `state_dir`, for a Windows service that is told nothing else: nobody reads its standard error.
pub(crate) const LOG_FILE: &str = "logs/tidegate.log";
