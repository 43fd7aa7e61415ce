//! Events of the console. A service gets none; its control handler is another matter.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use tokio::signal::windows::{self, CtrlBreak, CtrlC, CtrlClose, CtrlShutdown};

use crate::Signal;

#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: CtrlC,
    break_: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

impl Signals {
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: windows::ctrl_c()?,
            break_: windows::ctrl_break()?,
            close: windows::ctrl_close()?,
            shutdown: windows::ctrl_shutdown()?,
        })
    }

    /// There is no event that means "reload".
    pub(crate) async fn next(&mut self) -> Signal {
        poll_fn(|cx| {
            let stop = self.interrupt.poll_recv(cx).is_ready()
                || self.break_.poll_recv(cx).is_ready()
                || self.close.poll_recv(cx).is_ready()
                || self.shutdown.poll_recv(cx).is_ready();
            if stop { Poll::Ready(Signal::Stop) } else { Poll::Pending }
        })
        .await
    }
}
