//! What an operator should know of certificates that load: whether they are in time, and which names have none. Said by
//! the proxy's log and by `tidegate check` in the same words.

use std::fmt;

use crate::{Certificate, Staple};

/// Days before the end of a certificate from which on it is warned of: renewal has failed twice by then, usually.
pub const EXPIRY_WARNING_DAYS: i64 = 21;

const DAY: i64 = 24 * 3600;

/// Whether a certificate is valid at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// So many days are left, which are few.
    Ends(i64),
    /// So many days are left.
    Good(i64),
}

impl Certificate {
    /// Whether it is valid at this time, in seconds since 1970.
    pub fn validity(&self, now: i64) -> Validity {
        Validity::at(self.not_before, self.not_after, now)
    }

    /// Everything about it that is worth a warning at this time.
    pub fn warnings(&self, now: i64) -> Vec<String> {
        let mut warnings = Vec::new();
        match self.validity(now) {
            Validity::Good(_) => {}
            Validity::NotYet => {
                warnings.push(format!(
                    "{} is valid only from {} on: clients refuse it until then",
                    self.source,
                    self.not_before_text()
                ));
            }
            validity => warnings.push(format!("{} ends at {}: {validity}", self.source, self.not_after_text())),
        }
        if let Some(Staple::Ignored(reason)) = &self.staple {
            warnings.push(format!("OCSP response left out: {reason}"));
        }
        warnings
    }
}

impl Validity {
    /// Of what is valid between two times.
    pub(crate) fn at(not_before: i64, not_after: i64, now: i64) -> Self {
        match (not_after - now).div_euclid(DAY) {
            _ if now < not_before => Self::NotYet,
            ..0 => Self::Expired,
            days @ 0..EXPIRY_WARNING_DAYS => Self::Ends(days),
            days => Self::Good(days),
        }
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("expired; renew it"),
            Self::NotYet => f.write_str("not valid yet"),
            Self::Ends(days) => write!(f, "{days} days left; renew it"),
            Self::Good(days) => write!(f, "{days} days left"),
        }
    }
}

/// The names that no certificate is for; `*` is none.
pub fn uncovered<'a>(certificates: &[Certificate], names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let is_covered = |name: &str| certificates.iter().any(|certificate| certificate.covers(name));
    names.into_iter().filter(|name| *name != "*" && !is_covered(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{P256, certificate};

    #[test]
    fn the_end_of_a_certificate_is_warned_of_in_time() {
        // It ends at 1,900,000,000.
        let certificate = certificate(&["a.example"], P256);
        let at = |days: i64| 1_900_000_000 - days * DAY;
        for (now, validity) in [
            (at(-1), Validity::Expired),
            (at(0), Validity::Ends(0)),
            (at(20), Validity::Ends(20)),
            (at(21), Validity::Good(21)),
            (certificate.not_before - 1, Validity::NotYet),
        ] {
            assert_eq!(certificate.validity(now), validity);
            assert_eq!(certificate.warnings(now).is_empty(), matches!(validity, Validity::Good(_)));
        }
    }

    #[test]
    fn names_without_a_certificate_are_found() {
        let certificates = [certificate(&["a.example", "*.b.example"], P256)];
        let names = ["a.example", "*", "x.b.example", "*.b.example", "b.example", "192.0.2.1"];
        assert_eq!(uncovered(&certificates, names), ["b.example", "192.0.2.1"]);
    }
}
