//! Events of the console, and what the service control manager asks of a service, which has no console.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use tokio::signal::windows::{self, CtrlBreak, CtrlC, CtrlClose, CtrlShutdown};
use tokio::sync::mpsc;

use crate::Signal;

#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: CtrlC,
    break_: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
    service: Option<mpsc::Receiver<Signal>>,
}

impl Signals {
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: windows::ctrl_c()?,
            break_: windows::ctrl_break()?,
            close: windows::ctrl_close()?,
            shutdown: windows::ctrl_shutdown()?,
            service: super::service_program::take_requests(),
        })
    }

    /// No event of a console means "reload"; a service is told by a changed parameter.
    pub(crate) async fn next(&mut self) -> Signal {
        poll_fn(|cx| {
            let stop = self.interrupt.poll_recv(cx).is_ready()
                || self.break_.poll_recv(cx).is_ready()
                || self.close.poll_recv(cx).is_ready()
                || self.shutdown.poll_recv(cx).is_ready();
            if stop {
                return Poll::Ready(Signal::Stop);
            }
            match &mut self.service {
                // The sender lives as long as the process.
                Some(requests) => requests.poll_recv(cx).map(|request| request.unwrap_or(Signal::Stop)),
                None => Poll::Pending,
            }
        })
        .await
    }
}
