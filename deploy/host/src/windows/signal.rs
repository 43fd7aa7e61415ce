//! Events of the console, and what the service control manager asks of a service, which has no console.

use std::future::{Future as _, pending, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::signal::windows::{self, CtrlBreak, CtrlC, CtrlClose, CtrlShutdown};

use crate::Signal;
use crate::requests::Requests;

#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: CtrlC,
    break_: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
    service: Option<Arc<Requests>>,
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
        let requests = self.service.clone();
        let mut request = pin!(async {
            match &requests {
                Some(requests) => requests.next().await,
                None => pending().await,
            }
        });
        poll_fn(|cx| {
            let stop = self.interrupt.poll_recv(cx).is_ready()
                || self.break_.poll_recv(cx).is_ready()
                || self.close.poll_recv(cx).is_ready()
                || self.shutdown.poll_recv(cx).is_ready();
            if stop { Poll::Ready(Signal::Stop) } else { request.as_mut().poll(cx) }
        })
        .await
    }
}
