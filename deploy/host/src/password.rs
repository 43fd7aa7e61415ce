//! A password on its way from whoever types it to the system. Never shown, and its memory is wiped when it goes; what the
//! standard library's buffer of standard input had of it stays until the process ends.

use std::fmt;

use zeroize::Zeroizing;

/// A password, as it was typed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Takes it over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As Windows' functions want it, with a NUL at the end; nothing if it is no text, or has a NUL itself.
    #[cfg(any(windows, test))]
    pub(crate) fn wide(&self) -> Option<Zeroizing<Vec<u16>>> {
        let text = std::str::from_utf8(&self.0).ok().filter(|text| !text.contains('\0'))?;
        // Enough at once: a buffer that grows leaves copies.
        let mut wide = Zeroizing::new(Vec::with_capacity(text.len() + 1));
        wide.extend(text.encode_utf16());
        wide.push(0);
        Some(wide)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_passed_on_as_text_and_never_shown() {
        for (bytes, expected) in [
            (&b"a b"[..], Some(&[97, 32, 98, 0][..])),
            ("\u{e4}\u{1f511}".as_bytes(), Some(&[0xe4, 0xd83d, 0xdd11, 0])),
            (b"", Some(&[0])),
            (b"a\0b", None),
            (b"\xff", None),
        ] {
            let password = Password::new(bytes.to_owned());
            assert_eq!(password.wide().as_deref().map(Vec::as_slice), expected, "{bytes:?}");
            assert_eq!(format!("{password:?}"), "Password");
        }
    }
}
