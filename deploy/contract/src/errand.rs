//! What one start of the app server's service may be asked for instead of serving: to import the apps, say how that went, and
//! stop. `tidegate doctor` asks in the arguments of that start, which nothing keeps; the app server's `main` understands them.

use std::fmt;
use std::str::FromStr;

/// What the argument begins with.
const ARGUMENT: &str = "--check-imports=";

/// Such a request. Its number names the endpoint where the one who asked is answered, so that nobody can be there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errand(u64);

/// An argument that begins like an errand and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no errand: expected {ARGUMENT} with 16 hexadecimal digits")]
pub struct ErrandError(String);

impl Errand {
    /// One with this number, which has to be random.
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// The errand among the arguments of a start. Others are passed over: people may type some into services.msc.
    pub fn among<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Option<Result<Self, ErrandError>> {
        arguments.into_iter().find(|argument| argument.starts_with(ARGUMENT)).map(str::parse)
    }

    /// The name of its endpoint.
    pub fn endpoint_name(self) -> String {
        format!("errand-{:016x}", self.0)
    }
}

/// The argument.
impl fmt::Display for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ARGUMENT}{:016x}", self.0)
    }
}

impl FromStr for Errand {
    type Err = ErrandError;

    fn from_str(text: &str) -> Result<Self, ErrandError> {
        let digits = text.strip_prefix(ARGUMENT).filter(|digits| {
            digits.len() == 16 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        });
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.map(Self).ok_or_else(|| ErrandError(text.escape_debug().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errand_is_understood_as_it_was_asked() {
        for number in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            let errand = Errand::new(number);
            let argument = errand.to_string();
            assert_eq!(Errand::among(["TidegateAppserver", "x", &argument]), Some(Ok(errand)), "{argument}");
        }
        assert_eq!(Errand::new(10).endpoint_name(), "errand-000000000000000a");
    }

    #[test]
    fn what_is_no_errand_is_refused_and_other_arguments_are_passed_over() {
        for arguments in [&[][..], &["TidegateAppserver"], &["--check-imports"], &["check-imports=0123456789abcdef"]] {
            assert_eq!(Errand::among(arguments.iter().copied()), None, "{arguments:?}");
        }
        for digits in [
            "",
            "0",
            "0123456789abcde",
            "0123456789abcdef0",
            "0123456789ABCDEF",
            "+123456789abcdef",
            "..\\..\\0123456789",
        ] {
            let argument = format!("--check-imports={digits}");
            let found = Errand::among([argument.as_str()]);
            assert!(matches!(&found, Some(Err(error)) if error.to_string().contains("16 hexadecimal")), "{digits}");
        }
    }
}
