//! Names of services that an upgrade has stopped, in the registry, where only administrators write: another's list would start
//! services.

use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_SUCCESS};
use windows_sys::Win32::System::Registry::{
    HKEY_LOCAL_MACHINE, REG_SZ, RRF_RT_REG_SZ, RegDeleteKeyValueW, RegGetValueW, RegSetKeyValueW,
};

use super::file::wide;

const KEY: &str = r"SOFTWARE\Tidegate";
const VALUE: &str = "StoppedServices";
/// Names have at most 32 letters and the part's.
const LONGEST: usize = 32 << 10;

/// Replaces the list. Names have no spaces.
pub(crate) fn remember(names: &[String]) -> io::Result<()> {
    let (key, value) = (wide(KEY), wide(VALUE));
    let code = if names.is_empty() {
        // SAFETY: both names end in NUL.
        unsafe { RegDeleteKeyValueW(HKEY_LOCAL_MACHINE, key.as_ptr(), value.as_ptr()) }
    } else {
        let text = wide(names.join(" "));
        let size = u32::try_from(size_of_val(text.as_slice())).map_err(io::Error::other)?;
        // SAFETY: both names end in NUL, and the text has as many bytes as said.
        unsafe { RegSetKeyValueW(HKEY_LOCAL_MACHINE, key.as_ptr(), value.as_ptr(), REG_SZ, text.as_ptr().cast(), size) }
    };
    match code {
        ERROR_SUCCESS => Ok(()),
        ERROR_FILE_NOT_FOUND if names.is_empty() => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.cast_signed())),
    }
}

pub(crate) fn remembered() -> io::Result<Vec<String>> {
    let (key, value) = (wide(KEY), wide(VALUE));
    let mut text = vec![0_u16; LONGEST];
    let mut size = u32::try_from(size_of_val(text.as_slice())).map_err(io::Error::other)?;
    // SAFETY: both names end in NUL, and the text is writable and as large as said.
    let code = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            key.as_ptr(),
            value.as_ptr(),
            RRF_RT_REG_SZ,
            ptr::null_mut(),
            text.as_mut_ptr().cast(),
            &mut size,
        )
    };
    match code {
        ERROR_SUCCESS => {
            let text = String::from_utf16_lossy(&text[..size as usize / size_of::<u16>()]);
            Ok(text.trim_end_matches('\0').split_whitespace().map(str::to_owned).collect())
        }
        ERROR_FILE_NOT_FOUND => Ok(Vec::new()),
        code => Err(io::Error::from_raw_os_error(code.cast_signed())),
    }
}
