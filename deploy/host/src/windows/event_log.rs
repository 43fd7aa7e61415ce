//! The event log: a few events with fixed numbers. Everything else is in Tidegate's own log.

use std::io;
use std::ptr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use windows_sys::Win32::Foundation::ERROR_SUCCESS;
use windows_sys::Win32::System::EventLog::{
    DeregisterEventSource, EVENTLOG_ERROR_TYPE, EVENTLOG_INFORMATION_TYPE, EVENTLOG_WARNING_TYPE, RegisterEventSourceW,
    ReportEventW,
};
use windows_sys::Win32::System::Registry::{
    HKEY_LOCAL_MACHINE, REG_DWORD, REG_EXPAND_SZ, RegDeleteKeyW, RegSetKeyValueW,
};

use super::file::wide;
use crate::event::{Event, Limit, Severity};

/// The system's own program for events made by commands: its messages 1 to 1000 are nothing but the text given. So the
/// viewer shows ours without a library of ours being loaded into it.
const MESSAGES: &str = r"%SystemRoot%\System32\EventCreate.exe";
/// Errors, warnings and information.
const TYPES: u32 = 7;

/// More letters of one text the log refuses, with the whole event.
const LONGEST: usize = 31_839;
const CUT: &str = " ...";

fn key(source: &str) -> Vec<u16> {
    wide(format!(r"SYSTEM\CurrentControlSet\Services\EventLog\Application\{source}").as_str())
}

/// Makes a service known as a source, so that the viewer shows its texts.
pub(super) fn register(source: &str) -> io::Result<()> {
    let key = key(source);
    let file = wide(MESSAGES);
    set(&key, "EventMessageFile", REG_EXPAND_SZ, file.as_ptr().cast(), size_of_val(file.as_slice()))?;
    set(&key, "TypesSupported", REG_DWORD, ptr::from_ref(&TYPES).cast(), size_of_val(&TYPES))
}

fn set(key: &[u16], name: &str, kind: u32, value: *const u8, size: usize) -> io::Result<()> {
    let name = wide(name);
    let size = u32::try_from(size).map_err(io::Error::other)?;
    // SAFETY: both names end in NUL, and `value` has as many bytes as said.
    let code = unsafe { RegSetKeyValueW(HKEY_LOCAL_MACHINE, key.as_ptr(), name.as_ptr(), kind, value.cast(), size) };
    if code == ERROR_SUCCESS { Ok(()) } else { Err(io::Error::from_raw_os_error(code.cast_signed())) }
}

/// Forgets a source; what it has reported stays, without its texts.
pub(super) fn unregister(source: &str) {
    let key = key(source);
    // SAFETY: the name ends in NUL. One that is not there is as good as deleted.
    unsafe { RegDeleteKeyW(HKEY_LOCAL_MACHINE, key.as_ptr()) };
}

/// Reports an event. A log that does not take it has nobody to be told.
pub(super) fn report(source: &str, event: Event, text: &str) {
    static LIMIT: Mutex<Option<Limit>> = Mutex::new(None);
    let admitted = {
        let mut limit = LIMIT.lock().unwrap_or_else(PoisonError::into_inner);
        limit.get_or_insert_default().admit(event, Instant::now())
    };
    let text = match admitted {
        None => return,
        Some(0) => text.to_owned(),
        Some(more) => {
            format!("{text}\r\n\r\n{more} more of this kind since the event before are in Tidegate's own log only.")
        }
    };
    let kind = match event.severity() {
        Severity::Information => EVENTLOG_INFORMATION_TYPE,
        Severity::Warning => EVENTLOG_WARNING_TYPE,
        Severity::Error => EVENTLOG_ERROR_TYPE,
    };
    let (source, text) = (wide(source), shortened(&text));
    let texts = [text.as_ptr()];
    // SAFETY: the names end in NUL, there is one text and no data, and the source is closed once.
    unsafe {
        let log = RegisterEventSourceW(ptr::null(), source.as_ptr());
        if !log.is_null() {
            ReportEventW(log, kind, 0, event as u32, ptr::null_mut(), 1, 0, texts.as_ptr(), ptr::null());
            DeregisterEventSource(log);
        }
    }
}

/// As much of a text as the log takes, ended by NUL.
fn shortened(text: &str) -> Vec<u16> {
    let mut letters: Vec<u16> = text.encode_utf16().filter(|letter| *letter != 0).take(LONGEST + 1).collect();
    if letters.len() > LONGEST {
        letters.truncate(LONGEST - CUT.len());
        // Not half of a letter.
        if letters.last().is_some_and(|last| (0xd800..0xdc00).contains(last)) {
            letters.pop();
        }
        letters.extend(CUT.encode_utf16());
    }
    letters.push(0);
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_to_what_the_log_takes() {
        let seen = |text: &str| String::from_utf16(&shortened(text)).unwrap().trim_end_matches('\0').to_owned();
        assert_eq!(seen("short\0er"), "shorter");
        assert_eq!(seen(&"x".repeat(LONGEST)).len(), LONGEST);
        let cut = seen(&"x".repeat(LONGEST + 1));
        assert!(cut.len() == LONGEST && cut.ends_with("x ..."), "{}", cut.len());
        // Two to a letter, and the cut between them.
        assert!(seen(&format!("x{}", "\u{1f300}".repeat(LONGEST))).ends_with("\u{1f300} ..."));
    }
}
