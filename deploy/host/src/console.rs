//! The console that a command was typed into. Used where a password is typed; reads nothing itself.

use std::io;

use crate::sys;

/// Keeps what is typed from being shown, until it is dropped.
#[derive(Debug)]
pub struct Quiet {
    /// What it was before.
    _restored: sys::console::Quiet,
}

impl Quiet {
    /// An error where standard input is no console.
    pub fn start() -> io::Result<Self> {
        sys::console::Quiet::start().map(|restored| Self { _restored: restored })
    }
}
