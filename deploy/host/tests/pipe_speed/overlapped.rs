//! Overlapped ReadFile and WriteFile, straight to and from the caller's buffer, by a thread for each end that waits for its own
//! event. That is the least that I/O of our own could cost: in the programs it would have to wake tokio's tasks besides.

use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::thread;
use std::time::{Duration, Instant};
use std::{io, ptr};

use windows_sys::Win32::Foundation::{
    ERROR_IO_PENDING, ERROR_PIPE_CONNECTED, GENERIC_READ, GENERIC_WRITE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_OVERLAPPED, OPEN_EXISTING, PIPE_ACCESS_DUPLEX, ReadFile, WriteFile,
};
use windows_sys::Win32::System::IO::{GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeW, PIPE_REJECT_REMOTE_CLIENTS, PIPE_UNLIMITED_INSTANCES,
};
use windows_sys::Win32::System::Threading::CreateEventW;

use crate::{COUNTED, MESSAGE, PIECE, TRANSFER};

/// Either end.
pub(crate) struct Pipe {
    pub(crate) handle: OwnedHandle,
    event: OwnedHandle,
}

fn wide(name: &str) -> Vec<u16> {
    format!(r"\\.\pipe\tidegate-{name}").encode_utf16().chain([0]).collect()
}

impl Pipe {
    fn over(handle: *mut core::ffi::c_void) -> Self {
        assert_ne!(handle, INVALID_HANDLE_VALUE, "{}", io::Error::last_os_error());
        // SAFETY: the handle was just opened and is ours alone; the event has no name.
        unsafe {
            let event = CreateEventW(ptr::null(), 1, 0, ptr::null());
            assert!(!event.is_null());
            Self { handle: OwnedHandle::from_raw_handle(handle), event: OwnedHandle::from_raw_handle(event) }
        }
    }

    pub(crate) fn server(name: &str) -> Self {
        let name = wide(name);
        // SAFETY: the name ends in NUL.
        Self::over(unsafe {
            CreateNamedPipeW(
                name.as_ptr(),
                PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED,
                PIPE_REJECT_REMOTE_CLIENTS,
                PIPE_UNLIMITED_INSTANCES,
                PIECE as u32,
                PIECE as u32,
                0,
                ptr::null(),
            )
        })
    }

    pub(crate) fn client(name: &str) -> Self {
        let name = wide(name);
        // SAFETY: the name ends in NUL.
        Self::over(unsafe {
            CreateFileW(
                name.as_ptr(),
                GENERIC_READ | GENERIC_WRITE,
                0,
                ptr::null(),
                OPEN_EXISTING,
                FILE_FLAG_OVERLAPPED,
                ptr::null_mut(),
            )
        })
    }

    /// Starts an operation, waits for its end and returns how many bytes it took.
    fn finish(&self, start: impl FnOnce(*mut OVERLAPPED) -> i32) -> io::Result<usize> {
        let mut overlapped = OVERLAPPED { hEvent: self.event.as_raw_handle(), ..OVERLAPPED::default() };
        if start(&mut overlapped) == 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(ERROR_IO_PENDING.cast_signed()) {
                return Err(error);
            }
        }
        let mut size = 0;
        // SAFETY: the operation was started with this structure, which lives until it has ended: this waits for that.
        if unsafe { GetOverlappedResult(self.handle.as_raw_handle(), &overlapped, &mut size, 1) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(size as usize)
    }

    pub(crate) fn accept(&self) {
        // SAFETY: `finish` waits until the system has done with the structure.
        let outcome = self.finish(|overlapped| unsafe { ConnectNamedPipe(self.handle.as_raw_handle(), overlapped) });
        // The client may have been there first.
        if let Err(error) = outcome {
            assert_eq!(error.raw_os_error(), Some(ERROR_PIPE_CONNECTED.cast_signed()), "{error}");
        }
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the buffer is writable until `finish` returns, which waits for the end.
        self.finish(|overlapped| unsafe {
            ReadFile(self.handle.as_raw_handle(), buffer.as_mut_ptr(), buffer.len() as u32, ptr::null_mut(), overlapped)
        })
    }

    fn read_exact(&self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let size = self.read(buffer)?;
            buffer = &mut buffer[size..];
        }
        Ok(())
    }

    fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // SAFETY: the bytes stay until `finish` returns, which waits for the end.
            let size = self.finish(|overlapped| unsafe {
                WriteFile(self.handle.as_raw_handle(), bytes.as_ptr(), bytes.len() as u32, ptr::null_mut(), overlapped)
            })?;
            bytes = &bytes[size..];
        }
        Ok(())
    }
}

/// Round trips a second, over so many connections at once.
pub(crate) fn round_trips(name: &str, connections: usize) -> f64 {
    let ends: Vec<_> = (0..connections)
        .map(|_| {
            let server = Pipe::server(name);
            let client = Pipe::client(name);
            server.accept();
            (server, client)
        })
        .collect();
    let asking: Vec<_> = ends
        .into_iter()
        .map(|(server, client)| {
            let serving = thread::spawn(move || {
                let mut message = [0; MESSAGE];
                while server.read_exact(&mut message).is_ok() {
                    server.write_all(&message).unwrap();
                }
            });
            thread::spawn(move || {
                let mut message = [7; MESSAGE];
                let (started, mut count) = (Instant::now(), 0_u64);
                while started.elapsed() < COUNTED {
                    client.write_all(&message).unwrap();
                    client.read_exact(&mut message).unwrap();
                    count += 1;
                }
                drop(client);
                serving.join().unwrap();
                count
            })
        })
        .collect();
    let counted: u64 = asking.into_iter().map(|asking| asking.join().unwrap()).sum();
    counted as f64 / COUNTED.as_secs_f64()
}

/// The time of a large body from one end to the other.
pub(crate) fn transfer(name: &str) -> Duration {
    let (server, client) = (Pipe::server(name), Pipe::client(name));
    server.accept();
    let writing = thread::spawn(move || {
        let piece = vec![7; PIECE];
        for _ in 0..TRANSFER / PIECE {
            server.write_all(&piece).unwrap();
        }
        // A pipe that is closed may forget what was not read.
        let _ = server.read(&mut [0; 1]);
    });
    let (mut buffer, mut left) = (vec![0; PIECE], TRANSFER);
    let started = Instant::now();
    while left > 0 {
        left -= client.read(&mut buffer).unwrap();
    }
    let took = started.elapsed();
    drop(client);
    writing.join().unwrap();
    took
}
