//! OCSP responses from files, to be stapled: whether one is for this certificate, good and current. Its signature
//! is the client's to check: a response that is not from the issuer only costs the client a question of its own.

use std::path::Path;

use time::{Date, Month, OffsetDateTime, Time};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::certificate::{date, read};

/// What became of a certificate's OCSP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Staple {
    /// It is sent to clients that ask for it.
    Sent {
        /// Until then, in seconds since 1970; none if the response names no end.
        until: Option<i64>,
    },
    /// It is not sent, for this reason.
    Ignored(String),
}

/// The response in a file, if it can be sent, and what became of it.
pub(crate) fn load(file: &Path, leaf: &[u8], now: i64) -> (Option<Vec<u8>>, Staple) {
    let ignored = |reason: String| (None, Staple::Ignored(format!("{}: {reason}", file.display())));
    let bytes = match read(file) {
        Ok(bytes) => bytes,
        Err(error) => return ignored(std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string)),
    };
    match until(&bytes, leaf, now) {
        Ok(until) => (Some(bytes), Staple::Sent { until }),
        Err(reason) => ignored(reason),
    }
}

fn until(response: &[u8], leaf: &[u8], now: i64) -> Result<Option<i64>, String> {
    const MALFORMED: &str = "it is no OCSP response in DER";
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| "the certificate is malformed".to_owned())?;
    let mut answers = answers(response).ok_or(MALFORMED)??;
    let wanted = loop {
        let answer = answers.next(SEQUENCE).ok_or("it is for another certificate")?;
        let answer = Answer::read(answer).ok_or(MALFORMED)?;
        if answer.serial == leaf.raw_serial() {
            break answer;
        }
    };
    match wanted.status & 0x1f {
        0 => {}
        1 => return Err("it says that the certificate is revoked".to_owned()),
        _ => return Err("it says that the responder does not know the certificate".to_owned()),
    }
    if wanted.from > now {
        return Err(format!("it is valid only from {} on", date(wanted.from)));
    }
    match wanted.until {
        Some(until) if until <= now => Err(format!("it expired at {}", date(until))),
        until => Ok(until),
    }
}

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const ENUMERATED: u8 = 0x0a;
const SEQUENCE: u8 = 0x30;
const GENERALIZED_TIME: u8 = 0x18;
/// The first of a structure's numbered, constructed fields.
const FIELD_0: u8 = 0xa0;

/// What stands in a DER value, one element after the other.
#[derive(Clone, Copy)]
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// The next element's tag and content.
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // No response is longer than four bytes can say.
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The next element's content, if it has this tag; else it stays.
    fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (found, content) = ahead.any()?;
        (found == tag).then(|| {
            *self = ahead;
            content
        })
    }

    fn inside(&mut self, tag: u8) -> Option<Elements<'a>> {
        self.next(tag).map(Elements)
    }
}

/// The answers of a response (RFC 6960 section 4.2.1), or why it has none.
fn answers(response: &[u8]) -> Option<Result<Elements<'_>, String>> {
    let mut response = Elements(response).inside(SEQUENCE)?;
    if response.next(ENUMERATED)? != [0] {
        return Some(Err("the responder answered with an error".to_owned()));
    }
    let mut bytes = response.inside(FIELD_0)?.inside(SEQUENCE)?;
    bytes.next(OID)?;
    let mut data = Elements(bytes.next(OCTETS)?).inside(SEQUENCE)?.inside(SEQUENCE)?;
    data.next(FIELD_0);
    // Who the responder is, in one of two ways.
    data.any()?;
    data.next(GENERALIZED_TIME)?;
    data.inside(SEQUENCE).map(Ok)
}

/// What a response says about one certificate.
struct Answer<'a> {
    serial: &'a [u8],
    status: u8,
    from: i64,
    until: Option<i64>,
}

impl<'a> Answer<'a> {
    fn read(content: &'a [u8]) -> Option<Self> {
        let mut answer = Elements(content);
        let mut id = answer.inside(SEQUENCE)?;
        id.next(SEQUENCE)?;
        id.next(OCTETS)?;
        id.next(OCTETS)?;
        let serial = id.next(INTEGER)?;
        let (status, _) = answer.any()?;
        let from = seconds(answer.next(GENERALIZED_TIME)?)?;
        let until = match answer.inside(FIELD_0) {
            None => None,
            Some(mut field) => Some(seconds(field.next(GENERALIZED_TIME)?)?),
        };
        Some(Self { serial, status, from, until })
    }
}

/// `20270131120000Z`, the only form that is allowed here.
fn seconds(text: &[u8]) -> Option<i64> {
    let digits = text.strip_suffix(b"Z").filter(|digits| digits.len() == 14)?;
    let number = |from: usize, to: usize| std::str::from_utf8(&digits[from..to]).ok()?.parse::<u16>().ok();
    let small = |from: usize| number(from, from + 2).and_then(|number| u8::try_from(number).ok());
    let day = Date::from_calendar_date(i32::from(number(0, 4)?), Month::try_from(small(4)?).ok()?, small(6)?).ok()?;
    let time = Time::from_hms(small(8)?, small(10)?, small(12)?).ok()?;
    Some(OffsetDateTime::new_utc(day, time).unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{P256, certificate};

    const NOW: i64 = 1_800_000_000;

    fn element(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        let content = content.concat();
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], &content[..]].concat()
    }

    fn response(serial: &[u8], status: u8, from: &str, until: Option<&str>) -> Vec<u8> {
        let time = |text: &str| element(GENERALIZED_TIME, &[text.as_bytes()]);
        let hash = element(OCTETS, &[&[7; 20]]);
        let id = element(SEQUENCE, &[&element(SEQUENCE, &[]), &hash, &hash, &element(INTEGER, &[serial])]);
        let until = until.map(|until| element(FIELD_0, &[&time(until)])).unwrap_or_default();
        let other_id = element(SEQUENCE, &[&element(SEQUENCE, &[]), &hash, &hash, &element(INTEGER, &[&[1]])]);
        let other = element(SEQUENCE, &[&other_id, &[0x80, 0], &time("20260101000000Z")]);
        let answer = element(SEQUENCE, &[&id, &[status, 0], &time(from), &until]);
        let responder = element(0xa2, &[&hash]);
        let answers = element(SEQUENCE, &[&other, &answer]);
        let data = element(SEQUENCE, &[&responder, &time("20260101000000Z"), &answers]);
        let basic = element(SEQUENCE, &[&data]);
        let bytes = element(SEQUENCE, &[&element(OID, &[&[1]]), &element(OCTETS, &[&basic])]);
        element(SEQUENCE, &[&[ENUMERATED, 1, 0], &element(FIELD_0, &[&bytes])])
    }

    #[test]
    fn only_a_current_good_response_for_the_certificate_is_sent() {
        let certificate = certificate(&["shop.example"], P256);
        let leaf = certificate.key.cert[0].as_ref();
        let (_, parsed) = X509Certificate::from_der(leaf).unwrap();
        let serial = parsed.raw_serial();
        // NOW is 2027-01-15T08:00:00Z.
        let (before, after) = ("20270115075959Z", "20270115080001Z");
        for (bytes, expected) in [
            (response(serial, 0x80, before, Some(after)), Ok(Some(NOW + 1))),
            (response(serial, 0x80, before, None), Ok(None)),
            (response(serial, 0x80, before, Some(before)), Err("it expired at 2027-01-15T07:59:59Z")),
            (response(serial, 0x80, after, None), Err("it is valid only from 2027-01-15T08:00:01Z on")),
            (response(serial, 0xa1, before, None), Err("it says that the certificate is revoked")),
            (response(serial, 0x82, before, None), Err("it says that the responder does not know the certificate")),
            (response(&[5, 5], 0x80, before, None), Err("it is for another certificate")),
            (vec![0x30, 3, ENUMERATED, 1, 6], Err("the responder answered with an error")),
            (b"-----BEGIN".to_vec(), Err("it is no OCSP response in DER")),
            (Vec::new(), Err("it is no OCSP response in DER")),
        ] {
            assert_eq!(until(&bytes, leaf, NOW), expected.map_err(str::to_owned));
        }
    }

    #[test]
    fn a_response_that_is_cut_off_is_malformed_and_nothing_worse() {
        let certificate = certificate(&["shop.example"], P256);
        let leaf = certificate.key.cert[0].as_ref();
        let (_, parsed) = X509Certificate::from_der(leaf).unwrap();
        let whole = response(parsed.raw_serial(), 0x80, "20270115075959Z", None);
        for length in 0..whole.len() {
            assert!(until(&whole[..length], leaf, NOW).is_err(), "{length}");
        }
    }
}
