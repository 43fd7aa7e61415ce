//! Clients that believe nothing: HTTP/1.1 over the bytes of a connection, HTTP/2 through the `h2` crate, and TLS that
//! accepts the certificates of the test alone.

mod browser;
pub mod frames;
mod http1;
mod http2;
mod response;
mod tls;

pub use browser::Browser;
pub use http1::{Connection, Socket};
pub use http2::{Http2, Stream};
pub use response::{End, Response};
pub use tls::{Presented, Tls};
