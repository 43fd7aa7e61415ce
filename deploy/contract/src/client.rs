//! The certificate that a client has shown, on its way from the proxy to the app's `environ`.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What a listener that asks for certificates has learned of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificate {
    /// It showed none.
    None,
    /// It showed one that was verified.
    Verified {
        /// The owner's name as in RFC 4514.
        subject: String,
        /// The owner's common name; empty if there is none.
        common_name: String,
        /// The issuer's name.
        issuer: String,
        /// The serial number, hexadecimal.
        serial: String,
        /// SHA-256 of the certificate, hexadecimal.
        fingerprint: String,
    },
}

/// What separates fields, here and in the header around; other spaces and what a header cannot hold.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b',').add(b'%').add(b'=');

impl ClientCertificate {
    /// The owner's name, if it was verified.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Verified { subject, .. } => Some(subject),
        }
    }

    /// As part of the internal header: no spaces, ASCII.
    pub(crate) fn encode(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Verified { subject, common_name, issuer, serial, fingerprint } => {
                let fields = [subject, common_name, issuer, serial, fingerprint];
                fields.map(|field| utf8_percent_encode(field, ESCAPED).to_string()).join(",")
            }
        }
    }

    /// Reads what [`Self::encode`] wrote.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        if value == "none" {
            return Some(Self::None);
        }
        let mut fields = value.split(',').map(|field| percent_decode_str(field).decode_utf8().ok().map(String::from));
        let mut next = || fields.next().flatten();
        let verified = Self::Verified {
            subject: next()?,
            common_name: next()?,
            issuer: next()?,
            serial: next()?,
            fingerprint: next()?,
        };
        fields.next().is_none().then_some(verified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_survives_the_wire_whatever_is_in_its_names() {
        for name in ["CN=Ada,O=Shop", "", "CN=a b%20,c\\,d", "CN=Zoë\n\u{7f}", "none"] {
            let certificate = ClientCertificate::Verified {
                subject: name.to_owned(),
                common_name: name.to_owned(),
                issuer: name.to_owned(),
                serial: "AB01".to_owned(),
                fingerprint: "00ff".to_owned(),
            };
            let encoded = certificate.encode();
            assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()), "{encoded}");
            assert_eq!(ClientCertificate::parse(&encoded), Some(certificate));
        }
        assert_eq!(ClientCertificate::parse(&ClientCertificate::None.encode()), Some(ClientCertificate::None));
        for broken in ["", "a,b,c,d", "a,b,c,d,e,f", "%ff,,,,"] {
            assert_eq!(ClientCertificate::parse(broken), None, "{broken}");
        }
    }
}
