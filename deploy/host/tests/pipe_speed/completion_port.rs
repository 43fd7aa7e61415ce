//! The same overlapped I/O for tasks of tokio's, on the threads that the programs have: what could take the place of tokio's own pipes.
//! A thread waits for completions and wakes the tasks; what completes at once wakes nobody.

use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use std::{io, ptr};

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use windows_sys::Win32::Foundation::{ERROR_IO_PENDING, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{ReadFile, SetFileCompletionNotificationModes, WriteFile};
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatus, OVERLAPPED, PostQueuedCompletionStatus,
};

use crate::overlapped::Pipe;

use crate::{COUNTED, MESSAGE, PIECE, TRANSFER, programs};

/// `FILE_SKIP_COMPLETION_PORT_ON_SUCCESS` and `FILE_SKIP_SET_EVENT_ON_HANDLE`.
const TELL_NOBODY_OF_SUCCESS: u8 = 1 | 2;

/// One for each process, with its thread.
struct Port(OwnedHandle);

/// What is under way: the system has its first field, and we find the rest by it.
#[repr(C)]
struct Operation {
    overlapped: OVERLAPPED,
    done: oneshot::Sender<io::Result<usize>>,
}

impl Port {
    fn open() -> Arc<Self> {
        // SAFETY: makes a port without a file.
        let port = Arc::new(Self(unsafe {
            OwnedHandle::from_raw_handle(CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 0))
        }));
        let waited = Arc::clone(&port);
        thread::spawn(move || waited.wake_tasks());
        port
    }

    fn wake_tasks(&self) {
        loop {
            let (mut size, mut key) = (0, 0);
            let mut overlapped: *mut OVERLAPPED = ptr::null_mut();
            // SAFETY: all three are writable.
            let good = unsafe {
                GetQueuedCompletionStatus(self.0.as_raw_handle(), &mut size, &mut key, &mut overlapped, u32::MAX)
            };
            if overlapped.is_null() {
                return;
            }
            let outcome = if good == 0 { Err(io::Error::last_os_error()) } else { Ok(size as usize) };
            // SAFETY: `AsyncPipe::finish` gave it away, and the system is done with it.
            let operation = unsafe { Box::from_raw(overlapped.cast::<Operation>()) };
            let _ = operation.done.send(outcome);
        }
    }

    fn close(&self) {
        // SAFETY: the port is open; without a structure it ends the thread.
        unsafe { PostQueuedCompletionStatus(self.0.as_raw_handle(), 0, 0, ptr::null()) };
    }

    fn add(&self, pipe: Pipe) -> AsyncPipe {
        // SAFETY: both handles are open.
        unsafe {
            assert!(!CreateIoCompletionPort(pipe.handle.as_raw_handle(), self.0.as_raw_handle(), 1, 0).is_null());
            SetFileCompletionNotificationModes(pipe.handle.as_raw_handle(), TELL_NOBODY_OF_SUCCESS);
        }
        AsyncPipe(pipe)
    }
}

struct AsyncPipe(Pipe);

impl AsyncPipe {
    /// The futures below are never dropped before their end, so their buffers live as long as the operation.
    async fn finish(&self, start: impl FnOnce(*mut OVERLAPPED) -> i32) -> io::Result<usize> {
        let (done, outcome) = oneshot::channel();
        {
            let operation = Box::into_raw(Box::new(Operation { overlapped: OVERLAPPED::default(), done }));
            if start(operation.cast()) != 0 {
                // SAFETY: it completed, and the port is not told of that.
                let operation = unsafe { Box::from_raw(operation) };
                return Ok(operation.overlapped.InternalHigh);
            }
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(ERROR_IO_PENDING.cast_signed()) {
                // SAFETY: it was not begun.
                drop(unsafe { Box::from_raw(operation) });
                return Err(error);
            }
        }
        outcome.await.unwrap()
    }

    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (handle, to, size) = (self.0.handle.as_raw_handle() as usize, buffer.as_mut_ptr() as usize, buffer.len());
        // SAFETY: the buffer is writable until `finish` returns.
        let start =
            |overlapped| unsafe { ReadFile(handle as *mut _, to as *mut u8, size as u32, ptr::null_mut(), overlapped) };
        self.finish(start).await
    }

    async fn read_exact(&self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let size = self.read(buffer).await?;
            buffer = &mut buffer[size..];
        }
        Ok(())
    }

    async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (handle, from, size) = (self.0.handle.as_raw_handle() as usize, bytes.as_ptr() as usize, bytes.len());
            // SAFETY: the bytes stay until `finish` returns.
            let start = |overlapped| unsafe {
                WriteFile(handle as *mut _, from as *const u8, size as u32, ptr::null_mut(), overlapped)
            };
            let size = self.finish(start).await?;
            bytes = &bytes[size..];
        }
        Ok(())
    }
}

/// Connected pairs: servers of one port, clients of another, as in two processes.
fn pairs(name: &str, count: usize) -> ([Arc<Port>; 2], Vec<AsyncPipe>, Vec<AsyncPipe>) {
    let ports = [Port::open(), Port::open()];
    let (mut servers, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (server, client) = (Pipe::server(name), Pipe::client(name));
        server.accept();
        servers.push(ports[0].add(server));
        clients.push(ports[1].add(client));
    }
    (ports, servers, clients)
}

/// Round trips a second, over so many connections at once.
pub(crate) fn round_trips(name: &str, connections: usize) -> f64 {
    let (ports, servers, clients) = pairs(name, connections);
    let worker = thread::spawn(move || {
        programs::worker().block_on(async {
            let mut serving = JoinSet::new();
            for server in servers {
                serving.spawn(async move {
                    let mut message = [0; MESSAGE];
                    while server.read_exact(&mut message).await.is_ok() {
                        server.write_all(&message).await.unwrap();
                    }
                });
            }
            serving.join_all().await;
        });
    });
    let counted: u64 = programs::proxy().block_on(async {
        let mut asking = JoinSet::new();
        for client in clients {
            asking.spawn(async move {
                let mut message = [7; MESSAGE];
                let (started, mut count) = (Instant::now(), 0);
                while started.elapsed() < COUNTED {
                    client.write_all(&message).await.unwrap();
                    client.read_exact(&mut message).await.unwrap();
                    count += 1;
                }
                count
            });
        }
        asking.join_all().await.into_iter().sum()
    });
    worker.join().unwrap();
    ports.iter().for_each(|port| port.close());
    counted as f64 / COUNTED.as_secs_f64()
}

/// The time of a large body from the worker to the proxy.
pub(crate) fn transfer(name: &str) -> Duration {
    let (ports, mut servers, mut clients) = pairs(name, 1);
    let (server, client) = (servers.remove(0), clients.remove(0));
    let worker = thread::spawn(move || {
        programs::worker().block_on(async {
            let piece = vec![7; PIECE];
            for _ in 0..TRANSFER / PIECE {
                server.write_all(&piece).await.unwrap();
            }
            // A pipe that is closed may forget what was not read.
            let _ = server.read(&mut [0; 1]).await;
        });
    });
    let took = programs::proxy().block_on(async {
        let (mut buffer, mut left) = (vec![0; PIECE], TRANSFER);
        let started = Instant::now();
        while left > 0 {
            left -= client.read(&mut buffer).await.unwrap();
        }
        started.elapsed()
    });
    drop(client);
    worker.join().unwrap();
    ports.iter().for_each(|port| port.close());
    took
}
