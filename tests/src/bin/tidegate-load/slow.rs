//! A slow client: one connection, on which an answer is taken, or a body sent, a byte a second. One task each, run by
//! `users`; it neither keeps what it reads nor asks twice.
//!
//! It counts as good if the server has held it to the end of the run, or it has come to its own end.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at};

use crate::options::Slow;
use crate::tally::{Failure, Tally};
use crate::target::Target;

const STEP: Duration = Duration::from_secs(1);
/// With what the system would choose, the whole answer would wait on this side. The least that systems grant is more.
const RECEIVE_BUFFER: u32 = 4096;
/// `HTTP/1.1 200`.
const STATUS_LINE: usize = 12;

/// From its arrival to the end of the run.
pub(crate) async fn run(tally: Rc<RefCell<Tally>>, target: Arc<Target>, how: Slow, arrival: Instant, end: Instant) {
    sleep_until(arrival).await;
    let life = async {
        let mut stream = connect(&target).await?;
        tally.borrow_mut().connections += 1;
        stream.write_all(&target.head).await.map_err(|_| Failure::Closed)?;
        match how {
            Slow::Read => read(&mut stream, &tally).await,
            Slow::Write => write(&mut stream, target.body).await,
        }
    };
    // The end of the run comes before that of most clients.
    match timeout_at(end, life).await {
        Ok(Err(failure)) => tally.borrow_mut().fail(failure),
        Ok(Ok(())) | Err(_) => tally.borrow_mut().succeed(arrival.elapsed()),
    }
}

async fn connect(target: &Target) -> Result<TcpStream, Failure> {
    let open = || -> std::io::Result<TcpSocket> {
        let socket = if target.address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Before connecting, which is when the window is agreed on.
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_nodelay(true)?;
        Ok(socket)
    };
    let socket = open().map_err(|_| Failure::Connect)?;
    socket.connect(target.address).await.map_err(|_| Failure::Connect)
}

/// Until the server ends the connection, which is the answer's own end only by chance.
async fn read(stream: &mut TcpStream, tally: &RefCell<Tally>) -> Result<(), Failure> {
    let mut ticks = interval(STEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut beginning = Vec::new();
    loop {
        ticks.tick().await;
        let mut byte = [0];
        match stream.read(&mut byte).await {
            Ok(1) => tally.borrow_mut().received += 1,
            _ => return Err(Failure::Closed),
        }
        if beginning.len() < STATUS_LINE {
            beginning.extend(byte);
            if beginning.len() == STATUS_LINE {
                refuse_errors(&beginning)?;
            }
        }
    }
}

/// Until the body is sent. An answer before that is a refusal.
async fn write(stream: &mut TcpStream, length: u64) -> Result<(), Failure> {
    let mut ticks = interval(STEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..length {
        ticks.tick().await;
        let mut early = [0; STATUS_LINE];
        match stream.try_read(&mut early) {
            Ok(0) => return Err(Failure::Closed),
            Ok(read) => return refuse_errors(&early[..read]).and(Err(Failure::Malformed)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(Failure::Closed),
        }
        stream.write_all(b"x").await.map_err(|_| Failure::Closed)?;
    }
    let mut beginning = [0; STATUS_LINE];
    stream.read_exact(&mut beginning).await.map_err(|_| Failure::Closed)?;
    refuse_errors(&beginning)
}

/// The status of an answer that begins like this.
fn refuse_errors(beginning: &[u8]) -> Result<(), Failure> {
    let status = beginning.get(STATUS_LINE - 3..).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    match status {
        None => Err(Failure::Malformed),
        Some(status) if status >= 400 => Err(Failure::Status(status)),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_from_the_first_bytes() {
        assert_eq!(refuse_errors(b"HTTP/1.1 200"), Ok(()));
        assert_eq!(refuse_errors(b"HTTP/1.1 408"), Err(Failure::Status(408)));
        for other in [&b"HTTP/1"[..], b"SSH-2.0-abcd", b""] {
            assert_eq!(refuse_errors(other), Err(Failure::Malformed));
        }
    }
}
