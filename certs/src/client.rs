//! Certificates that clients show: who may have issued them, and what one says of its owner.

use std::fmt::Write as _;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest as _, Sha256};
use tidegate_site::{ClientCertificateMode, ClientCertificates};
use x509_parser::asn1_rs::Any;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

use crate::certificate::content;
use crate::{CertificateError, pem};

/// What decides whether a client's certificate is good.
#[derive(Debug, Clone)]
pub struct ClientVerifier(pub(crate) Arc<dyn ClientCertVerifier>);

/// Loads the authorities and revocation lists of a listener. With lists, a certificate whose issuer has none, or
/// one that is out of date, is refused: nobody could say that it is not revoked.
pub fn client_verifier(settings: &ClientCertificates) -> Result<ClientVerifier, CertificateError> {
    let mut roots = RootCertStore::empty();
    for authority in pem::authorities(&settings.authorities)? {
        roots.add(authority).map_err(|error| {
            content(
                &settings.authorities,
                format!("one of the certificates cannot be used ({error})"),
                "certificates of authorities",
            )
        })?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::new(ring::default_provider()));
    let builder = match &settings.revoked {
        None => builder,
        Some(file) => {
            builder.with_crls(pem::revoked(file)?).only_check_end_entity_revocation().enforce_revocation_expiration()
        }
    };
    let builder = match settings.mode {
        ClientCertificateMode::Required => builder,
        ClientCertificateMode::Optional => builder.allow_unauthenticated(),
    };
    let verifier = builder.build().map_err(|error| {
        let file = settings.revoked.as_ref().unwrap_or(&settings.authorities);
        content(file, format!("it cannot be used ({error})"), "certificates of authorities, and their revocation lists")
    })?;
    Ok(ClientVerifier(verifier))
}

/// What a client's certificate says of its owner; it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The owner's name as in RFC 4514: `CN=Ada,O=Shop`.
    pub subject: String,
    /// The last common name in it, if there is one.
    pub common_name: Option<String>,
    /// The issuer's name, likewise.
    pub issuer: String,
    /// The serial number, hexadecimal, upper case.
    pub serial: String,
    /// SHA-256 of the certificate, hexadecimal, lower case.
    pub fingerprint: String,
}

/// Reads a certificate (DER); none if it is malformed, which a verified one is not.
pub fn identify(certificate: &[u8]) -> Option<ClientIdentity> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let common_name = parsed.subject().iter_common_name().last().map(|name| text(name.attr_value()));
    Some(ClientIdentity {
        subject: rfc_4514(parsed.subject()),
        common_name,
        issuer: rfc_4514(parsed.issuer()),
        serial: hexadecimal(unsigned(parsed.raw_serial())).to_ascii_uppercase(),
        fingerprint: hexadecimal(&Sha256::digest(certificate)),
    })
}

/// Without the zero that keeps a positive number's first bit clear.
fn unsigned(serial: &[u8]) -> &[u8] {
    match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        serial => serial,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut digits, byte| {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// The last part first, as mod_ssl and nginx write it too.
pub(crate) fn rfc_4514(name: &X509Name<'_>) -> String {
    let mut out = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for part in parts.into_iter().rev() {
        if !out.is_empty() {
            out.push(',');
        }
        for (place, attribute) in part.iter().enumerate() {
            if place > 0 {
                out.push('+');
            }
            let oid = attribute.attr_type().to_id_string();
            out.push_str(SHORT.iter().find(|(known, _)| *known == oid).map_or(&oid, |(_, short)| short));
            out.push('=');
            escape(&mut out, &text(attribute.attr_value()));
        }
    }
    out
}

/// RFC 4514 section 3, and the address and serial number that people expect with a name.
const SHORT: [(&str, &str); 14] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

fn text(value: &Any<'_>) -> String {
    // BMPString: two bytes a character.
    if value.tag().0 == 30 {
        let units = value.data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        return char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    }
    String::from_utf8_lossy(value.data).into_owned()
}

fn escape(out: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (place, letter) in value.chars().enumerate() {
        match letter {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => out.extend(['\\', letter]),
            '#' if place == 0 => out.push_str("\\#"),
            ' ' if place == 0 || place == last => out.push_str("\\ "),
            letter if letter.is_control() => {
                let mut bytes = [0; 4];
                for byte in letter.encode_utf8(&mut bytes).bytes() {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\{byte:02X}");
                }
            }
            letter => out.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SerialNumber};

    use super::*;

    #[test]
    fn a_certificate_names_its_owner_so_that_no_name_can_pass_for_another() {
        for (name, subject) in [
            ("Ada", "CN=Ada,O=Shop"),
            ("Ada,O=Bank", "CN=Ada\\,O\\=Bank,O=Shop"),
            ("Ada\nX: 1", "CN=Ada\\0AX: 1,O=Shop"),
            (" a\"+;<>\\ ", "CN=\\ a\\\"\\+\\;\\<\\>\\\\\\ ,O=Shop"),
            ("#1", "CN=\\#1,O=Shop"),
            ("Zoë", "CN=Zoë,O=Shop"),
        ] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::OrganizationName, "Shop");
            params.distinguished_name.push(DnType::CommonName, name);
            params.serial_number = Some(SerialNumber::from_slice(&[0xab, 1]));
            let certificate = params.self_signed(&key).unwrap();
            let identity = identify(certificate.der()).unwrap();
            assert_eq!(identity.subject, subject);
            assert_eq!(identity.issuer, subject);
            assert_eq!(identity.common_name.as_deref(), Some(name));
            assert_eq!(identity.serial, "AB01");
            assert_eq!(identity.fingerprint, hexadecimal(&Sha256::digest(certificate.der())));
        }
        assert_eq!(identify(b"no certificate"), None);
    }
}
