//! What a certificate says of itself, for choosing one and for showing it.

use sha1::{Digest as _, Sha1};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Validity;
use crate::certificate::{covers, date, name};
use crate::client::rfc_4514;

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whose it is, as RFC 4514 writes it: `CN=shop.example,O=Shop`.
    pub subject: String,
    /// Who issued it, in the same form.
    pub issuer: String,
    /// The last common name of the subject.
    pub common_name: Option<String>,
    /// The names it is for: DNS names in lower case, wildcards as `*.shop.example`, IP addresses.
    pub names: Vec<String>,
    /// Beginning of its validity, in seconds since 1970.
    pub not_before: i64,
    /// End of its validity, in seconds since 1970.
    pub not_after: i64,
    /// SHA-1 of it in hexadecimal capitals, by which Windows names it.
    pub thumbprint: String,
}

impl Facts {
    /// Of a certificate in DER; none of what is no certificate.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let names = parsed.subject_alternative_name().ok().flatten();
        let names = names.iter().flat_map(|names| &names.value.general_names).filter_map(name).collect();
        let common = parsed.subject().iter_common_name().last().and_then(|name| name.as_str().ok());
        Some(Self {
            subject: rfc_4514(parsed.subject()),
            issuer: rfc_4514(parsed.issuer()),
            common_name: common.map(str::to_owned),
            names,
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            thumbprint: Sha1::digest(der).iter().map(|byte| format!("{byte:02X}")).collect(),
        })
    }

    /// [`Self::not_before`] as `2027-01-31T12:00:00Z`.
    pub fn not_before_text(&self) -> String {
        date(self.not_before)
    }

    /// [`Self::not_after`] in the same form.
    pub fn not_after_text(&self) -> String {
        date(self.not_after)
    }

    /// Whether it is valid at this time, in seconds since 1970.
    pub fn validity(&self, now: i64) -> Validity {
        Validity::at(self.not_before, self.not_after, now)
    }

    /// Whether it is for this name, or its subject has it.
    pub(crate) fn is_for(&self, name: &str) -> bool {
        covers(&self.names, name) || self.common_name.as_ref().is_some_and(|common| common.eq_ignore_ascii_case(name))
    }
}
