//! Names of services that an upgrade has stopped, in the registry, where only administrators write: another's list would start
//! services.

use std::io;

use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_SUCCESS};
use windows_sys::Win32::System::Registry::{HKEY_LOCAL_MACHINE, REG_SZ, RegDeleteKeyValueW, RegSetKeyValueW};

use super::file::wide;
use super::registry::values_if_any;

const KEY: &str = r"SOFTWARE\Tidegate";
const VALUE: &str = "StoppedServices";

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
    let values = values_if_any(KEY)?;
    let text = values.into_iter().find(|value| value.name == VALUE).and_then(|value| value.text).unwrap_or_default();
    Ok(text.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}
