//! Values of the registry below HKEY_LOCAL_MACHINE. Used by what `tidegate doctor` asks of the machine, and for the services
//! that an upgrade has stopped; writes nothing.

use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, ERROR_SUCCESS};
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_LOCAL_MACHINE, KEY_READ, REG_SZ, RRF_RT_REG_DWORD, RegCloseKey, RegEnumValueW, RegGetValueW,
    RegOpenKeyExW,
};

use super::file::wide;

/// The longest text that is read; a rule of the firewall is some hundred characters long.
const LONGEST_TEXT: usize = 16 << 10;
/// The longest name of a value.
const LONGEST_NAME: usize = 16_384;

/// A value of a key.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) name: String,
    /// What it holds, if that is a text.
    pub(super) text: Option<String>,
}

/// A number. `NotFound` if there is none.
pub(super) fn number(key: &str, name: &str) -> io::Result<u32> {
    let (key, name) = (wide(key), wide(name));
    let mut value = 0_u32;
    let mut size = size_of::<u32>() as u32;
    // SAFETY: both names end in NUL; the value has the size given.
    result(unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            key.as_ptr(),
            name.as_ptr(),
            RRF_RT_REG_DWORD,
            ptr::null_mut(),
            (&raw mut value).cast(),
            &mut size,
        )
    })?;
    Ok(value)
}

/// A text. `NotFound` if there is none.
pub(super) fn text(key: &str, name: &str) -> io::Result<String> {
    let mut all = values(key)?.into_iter();
    let found = all.find(|value| value.name.eq_ignore_ascii_case(name)).and_then(|value| value.text);
    found.ok_or_else(|| result(ERROR_FILE_NOT_FOUND).err().unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

/// The values of a key; none where there is no such key.
pub(super) fn values_if_any(key: &str) -> io::Result<Vec<Value>> {
    match values(key) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found,
    }
}

/// An open key.
struct Key(HKEY);

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: open, and closed once.
        unsafe { RegCloseKey(self.0) };
    }
}

/// The values of a key. `NotFound` if there is no such key.
pub(super) fn values(key: &str) -> io::Result<Vec<Value>> {
    let name = wide(key);
    let mut opened: HKEY = ptr::null_mut();
    // SAFETY: the name ends in NUL, and `opened` is writable.
    result(unsafe { RegOpenKeyExW(HKEY_LOCAL_MACHINE, name.as_ptr(), 0, KEY_READ, &mut opened) })?;
    let key = Key(opened);
    let mut found = Vec::new();
    let mut name = vec![0_u16; LONGEST_NAME];
    let mut value = vec![0_u16; LONGEST_TEXT];
    for at in 0.. {
        let mut name_length = name.len() as u32;
        let mut size = size_of_val(value.as_slice()) as u32;
        let mut kind = 0;
        // SAFETY: the key is open, and both buffers are writable and as large as said.
        let code = unsafe {
            RegEnumValueW(
                key.0,
                at,
                name.as_mut_ptr(),
                &mut name_length,
                ptr::null(),
                &mut kind,
                value.as_mut_ptr().cast(),
                &mut size,
            )
        };
        match code {
            ERROR_NO_MORE_ITEMS => break,
            // None that anybody asks for is as long.
            ERROR_MORE_DATA => continue,
            code => result(code)?,
        }
        let shown = |buffer: &[u16], length: usize| {
            let text = String::from_utf16_lossy(buffer.get(..length).unwrap_or_default());
            text.trim_end_matches('\0').to_owned()
        };
        let text = (kind == REG_SZ).then(|| shown(&value, size as usize / 2));
        found.push(Value { name: shown(&name, name_length as usize), text });
    }
    Ok(found)
}

fn result(code: u32) -> io::Result<()> {
    match code {
        ERROR_SUCCESS => Ok(()),
        ERROR_FILE_NOT_FOUND => Err(io::Error::new(io::ErrorKind::NotFound, "the registry does not have it")),
        code => Err(io::Error::from_raw_os_error(code.cast_signed())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_read() {
        const VERSION: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion";
        assert!(text(VERSION, "productname").unwrap().contains("Windows"));
        let missing = [
            values(r"SOFTWARE\no such key").map(|_| ()),
            text(VERSION, "no such value").map(|_| ()),
            number(VERSION, "no such value").map(|_| ()),
        ];
        for outcome in missing {
            assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        assert!(values_if_any(r"SOFTWARE\no such key").unwrap().is_empty());
    }
}
