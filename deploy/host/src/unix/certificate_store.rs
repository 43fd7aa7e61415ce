//! There is no certificate store: keys are in files.

use std::io;

use crate::access::Changed;
use crate::certificate_store::{StoreName, Stored};

pub(crate) const AVAILABLE: bool = false;

/// There is none.
#[derive(Debug)]
pub(crate) enum Key {}

impl Key {
    pub(crate) fn schemes(&self) -> Vec<u16> {
        match *self {}
    }

    pub(crate) fn sign(&self, _scheme: u16, _message: &[u8]) -> io::Result<Vec<u8>> {
        match *self {}
    }
}

pub(crate) fn open(_store: &StoreName, _thumbprint: &str) -> io::Result<(Key, Vec<Vec<u8>>)> {
    Err(none())
}

pub(crate) fn list(_store: &StoreName) -> io::Result<Vec<Stored>> {
    Err(none())
}

pub(crate) fn import(_store: &StoreName, _pfx: &[u8], _password: &str, _exportable: bool) -> io::Result<Vec<String>> {
    Err(none())
}

pub(crate) fn grant_key(_store: &StoreName, _thumbprint: &str, _account: &str) -> io::Result<Option<Changed>> {
    Err(none())
}

pub(crate) fn may_use_key(_store: &StoreName, _thumbprint: &str, _account: &str) -> io::Result<Option<bool>> {
    Err(none())
}

fn none() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "only Windows has a certificate store; here certificates are files")
}
