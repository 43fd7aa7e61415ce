//! Which content coding a client takes (RFC 9110 section 12.5.3). Pure; asked by whoever has, or can
//! make, more than one form of a body. Never looks at the body.

use http::header::{ACCEPT_ENCODING, VARY};
use http::{HeaderMap, HeaderValue};

/// A content coding that the proxy can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Coding {
    /// zstd (RFC 8878).
    Zstd,
    /// Brotli (RFC 7932).
    Brotli,
    /// gzip (RFC 1952).
    Gzip,
}

impl Coding {
    /// Every coding, the one that packs best first for what clients weigh the same.
    pub(crate) const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// The name in Accept-Encoding and Content-Encoding.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The value of Content-Encoding.
    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }
}

/// What a client takes, each coding's weight in thousandths; 0 is "not at all".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    zstd: u16,
    brotli: u16,
    gzip: u16,
    /// `None`: not said, which means acceptable, after everything that was said.
    identity: Option<u16>,
}

impl Accepted {
    /// The client's word. Without a field it is the plain form alone: "anything" by the letter, but
    /// programs that say nothing are the ones that cannot decode.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut accepted = Self { zstd: 0, brotli: 0, gzip: 0, identity: None };
        let (mut zstd, mut brotli, mut gzip, mut any) = (None, None, None, None);
        for value in headers.get_all(ACCEPT_ENCODING) {
            for element in value.as_bytes().split(|&byte| byte == b',') {
                let mut parts = element.split(|&byte| byte == b';');
                let name = parts.next().unwrap_or_default().trim_ascii();
                // A weight that cannot be read is no wish to have it.
                let weight = parts.next().map_or(1000, |weight| parse_weight(weight).unwrap_or(0));
                let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
                if is(b"zstd") {
                    zstd = Some(weight);
                } else if is(b"br") {
                    brotli = Some(weight);
                } else if is(b"gzip") || is(b"x-gzip") {
                    gzip = Some(weight);
                } else if is(b"identity") {
                    accepted.identity = Some(weight);
                } else if name == b"*" {
                    any = Some(weight);
                }
            }
        }
        let others = any.unwrap_or(0);
        accepted.zstd = zstd.unwrap_or(others);
        accepted.brotli = brotli.unwrap_or(others);
        accepted.gzip = gzip.unwrap_or(others);
        if any == Some(0) && accepted.identity.is_none() {
            accepted.identity = Some(0);
        }
        accepted
    }

    /// The best of the codings that `is_there` says there are; `None` for the plain form, which is also
    /// sent to a client that takes nothing at all: a body it may understand is better than 406.
    pub(crate) fn choose(self, is_there: impl Fn(Coding) -> bool) -> Option<Coding> {
        self.best_of(Coding::ALL.into_iter().filter(|&coding| is_there(coding)))
    }

    /// The same, where what the client weighs the same is chosen in this order.
    pub(crate) fn best_of(self, codings: impl IntoIterator<Item = Coding>) -> Option<Coding> {
        let mut best = None;
        let mut weight = 0;
        for coding in codings {
            if self.weight(coding) > weight {
                (best, weight) = (Some(coding), self.weight(coding));
            }
        }
        // The plain form wins only where the client said that it wants it more.
        best.filter(|_| self.identity.is_none_or(|identity| identity <= weight))
    }

    fn weight(self, coding: Coding) -> u16 {
        match coding {
            Coding::Zstd => self.zstd,
            Coding::Brotli => self.brotli,
            Coding::Gzip => self.gzip,
        }
    }
}

/// `q=0.5` in thousandths.
fn parse_weight(parameter: &[u8]) -> Option<u16> {
    let parameter = parameter.trim_ascii();
    let value = match parameter {
        [b'q' | b'Q', b'=', value @ ..] => value,
        _ => return None,
    };
    let (whole, fraction) = match value {
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (*whole, fraction),
        [whole] => (*whole, &[][..]),
        _ => return None,
    };
    let mut thousandths: u16 = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    for (digit, place) in fraction.iter().zip([100, 10, 1]) {
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths += u16::from(digit - b'0') * place;
    }
    (thousandths <= 1000).then_some(thousandths)
}

/// Says that the response depends on a field of the request, once, beside what Vary says already.
pub(crate) fn vary_on(headers: &mut HeaderMap, field: &'static str) {
    let is_said = headers.get_all(VARY).iter().any(|value| {
        let named = |name: &[u8]| name == b"*" || name.eq_ignore_ascii_case(field.as_bytes());
        value.as_bytes().split(|&byte| byte == b',').any(|name| named(name.trim_ascii()))
    });
    if !is_said {
        headers.append(VARY, HeaderValue::from_static(field));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(values: &[&str]) -> Accepted {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT_ENCODING, value.parse().unwrap());
        }
        Accepted::of(&headers)
    }

    #[test]
    fn the_clients_weights_decide_and_then_our_order() {
        use Coding::{Brotli, Gzip, Zstd};
        let all: &[Coding] = &[Brotli, Zstd, Gzip];
        let cases: &[(&[&str], &[Coding], Option<Coding>)] = &[
            (&[], all, None),
            (&[""], all, None),
            (&["gzip"], all, Some(Gzip)),
            (&["GZip"], all, Some(Gzip)),
            (&["x-gzip"], all, Some(Gzip)),
            (&["gzip, deflate, br, zstd"], all, Some(Brotli)),
            (&["gzip, deflate, br, zstd"], &[Gzip, Zstd], Some(Zstd)),
            (&["gzip, deflate, br"], &[Zstd], None),
            (&["gzip", "br"], all, Some(Brotli)),
            (&["gzip;q=1.0, br;q=0.9"], all, Some(Gzip)),
            (&["gzip;q=0.001"], all, Some(Gzip)),
            (&["gzip ; q=0.5 , zstd;Q=0.75"], all, Some(Zstd)),
            (&["gzip;q=0"], all, None),
            (&["gzip;q=0.0, br;q=0.000"], all, None),
            (&["*"], all, Some(Brotli)),
            (&["*;q=0.5, br;q=0"], all, Some(Zstd)),
            (&["*;q=0, gzip"], all, Some(Gzip)),
            (&["identity"], all, None),
            (&["identity;q=0.5, gzip;q=0.4"], all, None),
            (&["identity;q=0.5, gzip;q=0.5"], all, Some(Gzip)),
            (&["identity;q=0.5, gzip;q=0.6"], all, Some(Gzip)),
            (&["identity;q=0"], all, None),
            (&["identity;q=0, gzip;q=0.1"], all, Some(Gzip)),
            (&["*;q=0"], all, None),
            // Weights that are none.
            (&["gzip;q=2"], all, None),
            (&["gzip;q=1.001"], all, None),
            (&["gzip;q=0.1234"], all, None),
            (&["gzip;q=-1"], all, None),
            (&["gzip;q=, br;level=3"], all, None),
            (&["gzip;q=1."], all, Some(Gzip)),
            (&["compress, ,,gzip"], all, Some(Gzip)),
            (&["deflate, gzip;q=0.1"], all, Some(Gzip)),
            (&["deflate, gzip;q=0, identity"], all, None),
        ];
        for (values, there, expected) in cases {
            assert_eq!(accepted(values).choose(|coding| there.contains(&coding)), *expected, "{values:?} {there:?}");
        }
    }

    #[test]
    fn vary_names_a_field_once() {
        for (before, after) in [
            (&[][..], &["Accept-Encoding"][..]),
            (&["accept-encoding"], &["accept-encoding"]),
            (&["Cookie, Accept-Encoding"], &["Cookie, Accept-Encoding"]),
            (&["*"], &["*"]),
            (&["Cookie"], &["Cookie", "Accept-Encoding"]),
        ] {
            let mut headers = HeaderMap::new();
            for value in before {
                headers.append(VARY, value.parse().unwrap());
            }
            vary_on(&mut headers, "Accept-Encoding");
            let found: Vec<_> = headers.get_all(VARY).iter().map(|value| value.to_str().unwrap()).collect();
            assert_eq!(found, after);
        }
    }
}
