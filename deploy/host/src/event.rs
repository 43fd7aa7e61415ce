//! What the system's own log is told: which events there are, how grave each is, and how many of a kind it gets. Used by the
//! programs, which report one where they log it. It never formats what they say.

/// An event, with a number that never changes: docs/windows.md lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Event {
    /// The service serves.
    Started = 1,
    /// The service has ended as it was asked to.
    Stopped = 2,
    /// A reload has put another configuration in force.
    Reloaded = 3,
    /// The site file is wrong, and the service has ended.
    BadConfiguration = 10,
    /// The service ended because of a failure.
    Failed = 11,
    /// A reload was refused: the configuration before serves on.
    ReloadRefused = 12,
    /// A worker ended by itself, or did not start.
    WorkerFailed = 20,
    /// A worker is replaced because a request held it for too long.
    WorkerReplaced = 21,
    /// Something is wrong with a certificate in use: it ends soon, say.
    CertificateWarning = 30,
    /// Certificates have changed and cannot be loaded: those before stay.
    CertificateNotLoaded = 31,
}

#[cfg(windows)]
pub(crate) use self::told::{Limit, Severity};

#[cfg(any(windows, test))]
mod told {
    use std::collections::HashMap;
    use std::time::{Duration, Instant};

    use super::Event;

    /// Of a kind that comes more often, this many in each of these times are told; the rest is in Tidegate's own log.
    const MOST: u32 = 10;
    const PERIOD: Duration = Duration::from_secs(10 * 60);

    /// How an event is shown.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Severity {
        Information,
        Warning,
        Error,
    }

    impl Event {
        pub(crate) fn severity(self) -> Severity {
            match self {
                Self::Started | Self::Stopped | Self::Reloaded => Severity::Information,
                Self::ReloadRefused | Self::WorkerReplaced | Self::CertificateWarning => Severity::Warning,
                Self::BadConfiguration | Self::Failed | Self::WorkerFailed | Self::CertificateNotLoaded => {
                    Severity::Error
                }
            }
        }
    }

    /// Keeps an app whose workers end all the time from filling the log of the whole machine.
    #[derive(Debug, Default)]
    pub(crate) struct Limit {
        kinds: HashMap<Event, Kind>,
    }

    #[derive(Debug)]
    struct Kind {
        since: Instant,
        told: u32,
        untold: u32,
    }

    impl Limit {
        /// Whether an event is to be told, and how many of its kind were not since the last that was.
        pub(crate) fn admit(&mut self, event: Event, now: Instant) -> Option<u32> {
            let kind = self.kinds.entry(event).or_insert(Kind { since: now, told: 0, untold: 0 });
            if now.duration_since(kind.since) >= PERIOD {
                kind.since = now;
                kind.told = 0;
            }
            if kind.told >= MOST {
                kind.untold += 1;
                return None;
            }
            kind.told += 1;
            Some(std::mem::take(&mut kind.untold))
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn each_event_has_its_number_and_its_row_in_the_documentation() {
            let root = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
            let root = std::path::PathBuf::from(root);
            let page = std::fs::read_to_string(root.join("../../docs/windows.md")).unwrap();
            for (event, number, severity, shown) in [
                (Event::Started, 1, Severity::Information, "information"),
                (Event::Stopped, 2, Severity::Information, "information"),
                (Event::Reloaded, 3, Severity::Information, "information"),
                (Event::BadConfiguration, 10, Severity::Error, "error"),
                (Event::Failed, 11, Severity::Error, "error"),
                (Event::ReloadRefused, 12, Severity::Warning, "warning"),
                (Event::WorkerFailed, 20, Severity::Error, "error"),
                (Event::WorkerReplaced, 21, Severity::Warning, "warning"),
                (Event::CertificateWarning, 30, Severity::Warning, "warning"),
                (Event::CertificateNotLoaded, 31, Severity::Error, "error"),
            ] {
                assert_eq!((event as u32, event.severity()), (number, severity), "{event:?}");
                let row = format!("| {number} | {shown} |");
                assert!(page.lines().any(|line| line.starts_with(&row)), "docs/windows.md has no row {row}");
            }
        }

        #[test]
        fn a_kind_that_comes_all_the_time_is_told_now_and_then() {
            let mut limit = Limit::default();
            let start = Instant::now();
            for _ in 0..MOST {
                assert_eq!(limit.admit(Event::WorkerFailed, start), Some(0));
            }
            assert_eq!(limit.admit(Event::WorkerFailed, start), None);
            assert_eq!(limit.admit(Event::WorkerFailed, start), None);
            assert_eq!(limit.admit(Event::ReloadRefused, start), Some(0), "another kind");
            assert_eq!(limit.admit(Event::WorkerFailed, start + PERIOD), Some(2));
            assert_eq!(limit.admit(Event::WorkerFailed, start + PERIOD), Some(0));
        }
    }
}
