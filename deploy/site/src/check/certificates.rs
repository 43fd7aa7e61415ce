//! `certificates`, `tls`, and `client_certificates` of a listener: where the files are, and what is spoken.
//! That the files hold what they should is found out by whoever loads them.

use tidegate_host::certificate_store::{self, StoreName};

use crate::check::paths::Base;
use crate::check::{LONGEST, every};
use crate::checked::{
    CertificateFiles, CertificateSource, ClientCertificateMode, ClientCertificates, PfxPassword, StorePick, Tls,
    TlsProfile,
};
use crate::defaults;
use crate::raw::{Node, Table};

/// Keys of a certificate.
pub(crate) const CERTIFICATE: &[&str] =
    &["certificate", "key", "pfx", "password_file", "password_variable", "store", "thumbprint", "subject", "ocsp"];
/// Keys of `tls`.
pub(crate) const TLS: &[&str] = &["profile", "watch"];
/// Keys of `client_certificates`.
pub(crate) const CLIENT_CERTIFICATES: &[&str] = &["ca", "mode", "crl"];

const CHAIN: &str = "a PEM file with the chain, leaf first";
const KEY: &str = "a PEM file with the private key";
const PFX: &str = "a PFX (PKCS #12) file with chain and key";
const PASSWORD_FILE: &str = "a file whose first line is the password";
const STORE: &str = "a certificate store such as LocalMachine\\My, in single quotes or none";
const OCSP: &str = "a file with an OCSP response (DER)";
const AUTHORITIES: &str = "a PEM file with the certificates of those who issue clients' certificates";
const REVOKED: &str = "a PEM file with certificate revocation lists";

/// All certificates.
pub(crate) fn all(node: &Node<'_>, base: &Base) -> Option<Vec<CertificateFiles>> {
    every(
        &node.list("a list of { certificate: FILE, key: FILE }, { pfx: FILE } or { store: NAME, subject: NAME }")?,
        |node| one(node, base),
    )
}

fn one(node: &Node<'_>, base: &Base) -> Option<CertificateFiles> {
    let table = node.table(CERTIFICATE)?;
    let source = match (table.get("store"), table.get("pfx")) {
        (Some(store), _) => self::store(&table, &store, certificate_store::AVAILABLE),
        (None, Some(pfx)) => self::pfx(&table, &pfx, base),
        (None, None) => pem(&table, base),
    };
    let ocsp = table.read("ocsp", None, |node| base.file(&node, OCSP).map(Some));
    Some(CertificateFiles { source: source?, ocsp: ocsp? })
}

fn pem(table: &Table<'_>, base: &Base) -> Option<CertificateSource> {
    let alone = without(table, &["password_file", "password_variable"], "with pfx");
    let alone = without(table, &["thumbprint", "subject"], "with store").and(alone);
    let certificate = table.require("certificate", CHAIN).and_then(|node| base.file(&node, CHAIN));
    let key = table.require("key", KEY).and_then(|node| base.file(&node, KEY));
    alone?;
    Some(CertificateSource::Pem { certificate: certificate?, key: key? })
}

fn pfx(table: &Table<'_>, node: &Node<'_>, base: &Base) -> Option<CertificateSource> {
    let alone = without(table, &["certificate", "key"], "without pfx, which holds both");
    let alone = without(table, &["thumbprint", "subject"], "with store").and(alone);
    let file = base.file(node, PFX);
    let password = match (table.get("password_file"), table.get("password_variable")) {
        (Some(_), Some(variable)) => variable.reject("expected either this or password_file"),
        (Some(file), None) => base.file(&file, PASSWORD_FILE).map(PfxPassword::File),
        (None, Some(variable)) => variable_name(&variable).map(PfxPassword::Variable),
        (None, None) => Some(PfxPassword::Empty),
    };
    alone?;
    Some(CertificateSource::Pfx { file: file?, password: password? })
}

/// `has_stores`: whether this system has any.
fn store(table: &Table<'_>, node: &Node<'_>, has_stores: bool) -> Option<CertificateSource> {
    if !has_stores {
        return node.reject("only Windows has a certificate store: expected certificate and key, or pfx");
    }
    let others = ["certificate", "key", "pfx", "password_file", "password_variable"];
    let alone = without(table, &others, "without store, which holds chain and key");
    let store = node
        .text(STORE)
        .and_then(|text| text.parse::<StoreName>().ok().or_else(|| node.reject(format_args!("expected {STORE}"))));
    let pick = match (table.get("thumbprint"), table.get("subject")) {
        (Some(_), Some(subject)) => subject.reject("expected either this or thumbprint"),
        (Some(node), None) => thumbprint(&node).map(StorePick::Thumbprint),
        (None, Some(node)) => subject(&node).map(StorePick::Subject),
        (None, None) => node.reject("expected thumbprint or subject beside it, which say which certificate is meant"),
    };
    alone?;
    Some(CertificateSource::Store { store: store?, pick: pick? })
}

/// As Windows shows it: with spaces or colons, and with a mark that cannot be seen where it was copied from the window of
/// a certificate.
fn thumbprint(node: &Node<'_>) -> Option<String> {
    const EXPECTED: &str = "the thumbprint that `tidegate certificate list` shows: forty hexadecimal digits, in quotes";
    let text = node.text(EXPECTED)?;
    let plain: String = text
        .chars()
        .filter(|letter| !matches!(letter, ' ' | ':' | '\u{200e}' | '\u{200f}' | '\u{feff}'))
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    let is_one = plain.len() == 40 && plain.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_one { Some(plain) } else { node.reject(format_args!("expected {EXPECTED}")) }
}

fn subject(node: &Node<'_>) -> Option<String> {
    const EXPECTED: &str = "a name that the certificate is for, such as shop.example";
    let name = node.text(EXPECTED)?.trim();
    let is_name = !name.is_empty() && !name.contains(['=', ',', '/']) && !name.chars().any(char::is_control);
    if is_name { Some(name.to_owned()) } else { node.reject(format_args!("expected {EXPECTED}")) }
}

fn without(table: &Table<'_>, keys: &[&str], only: &str) -> Option<()> {
    let mut none = Some(());
    for node in keys.iter().filter_map(|key| table.get(key)) {
        // The value is not shown: it may be the password itself.
        none = node.reject_key(format!("expected only {only}"));
    }
    none
}

fn variable_name(node: &Node<'_>) -> Option<String> {
    const EXPECTED: &str = "the name of an environment variable of the proxy, such as SHOP_PFX_PASSWORD";
    let name = node.text(EXPECTED).unwrap_or_default();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || name.as_bytes()[0].is_ascii_digit() || !name.bytes().all(legal) {
        // Someone may have written the password here.
        return node.reject_key(format!("expected {EXPECTED}"));
    }
    Some(name.to_owned())
}

/// `tls`.
pub(crate) fn tls(root: &Table<'_>) -> Option<Tls> {
    let Some(node) = root.get("tls") else {
        return Some(Tls { profile: defaults::TLS_PROFILE, watch: defaults::TLS_WATCH });
    };
    let table = node.table(TLS)?;
    let profile = table.read("profile", defaults::TLS_PROFILE, |node| {
        node.choice(&[("modern", TlsProfile::Modern), ("intermediate", TlsProfile::Intermediate)])
    });
    let watch = table.read("watch", defaults::TLS_WATCH, |node| {
        if node.is_off() { Some(None) } else { node.duration(defaults::TLS_WATCH_LEAST..=LONGEST).map(Some) }
    });
    Some(Tls { profile: profile?, watch: watch? })
}

/// `client_certificates` of a listener.
pub(crate) fn of_clients(node: &Node<'_>, base: &Base) -> Option<ClientCertificates> {
    let table = node.table(CLIENT_CERTIFICATES)?;
    let authorities = table.require("ca", AUTHORITIES).and_then(|node| base.file(&node, AUTHORITIES));
    let mode = table.require("mode", "required or optional").and_then(|node| {
        node.choice(&[("required", ClientCertificateMode::Required), ("optional", ClientCertificateMode::Optional)])
    });
    let revoked = table.read("crl", None, |node| base.file(&node, REVOKED).map(Some));
    Some(ClientCertificates { authorities: authorities?, mode: mode?, revoked: revoked? })
}
