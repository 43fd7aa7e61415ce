//! `tidegate certificate`: shows what is in a file or in the Windows certificate store, and imports into the store, where it lets
//! the proxy's account use the key. Never changes a site file.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;

use tidegate_certs::{Facts, Validity};
use tidegate_host::certificate_store::{self, Location, StoreKey, StoreName};
use tidegate_site::PfxPassword;
use time::OffsetDateTime;

use crate::args::{Certificate, CertificateImport, CertificateShow, Password, ProxyAccount};
use crate::failure::Failure;
use crate::store_key;
use crate::style::Style;
use crate::table::{Cell, Tone, render};

/// Runs the command.
pub(crate) fn run(command: &Certificate, style: Style) -> Result<(), Failure> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    match command {
        Certificate::Show(arguments) => show(arguments, now),
        Certificate::List { store } => list(store, now, style),
        Certificate::Import(arguments) => import(arguments, style),
    }
}

fn show(arguments: &CertificateShow, now: i64) -> Result<(), Failure> {
    let CertificateShow { file, key, password, thumbprint, store, proxy } = arguments;
    let text = match (file, thumbprint) {
        (Some(file), _) => {
            let shown = tidegate_certs::show(file, key.as_deref(), &self::password(password)).map_err(|error| {
                Failure::new(with_sources(&error)).next("name the file, its key (--key) or its password")
            })?;
            let key = if shown.has_key { "there, and belongs to it" } else { "not in this file; --key names it" };
            describe(&shown.chain, key, now)
        }
        (None, Some(thumbprint)) => stored(store, thumbprint, &account(proxy), now)?,
        // The command line has one of them.
        (None, None) => String::new(),
    };
    print!("{text}");
    Ok(())
}

/// A certificate of a store, and who may use its key.
fn stored(store: &StoreName, thumbprint: &str, account: &str, now: i64) -> Result<String, Failure> {
    let all = certificate_store::list(store).map_err(|error| no_store(&error))?;
    let wanted: String = thumbprint.chars().filter(char::is_ascii_hexdigit).collect();
    let found = all.into_iter().find(|stored| stored.thumbprint.eq_ignore_ascii_case(&wanted));
    let found = found.ok_or_else(|| {
        Failure::new(format!("{store} has no certificate with the thumbprint {wanted}"))
            .next("`tidegate certificate list` shows those that are there")
    })?;
    let opened = StoreKey::open(store, &found.thumbprint);
    let mut key = match &opened {
        Ok(_) => "there, and may be used by this account".to_owned(),
        Err(_) if !found.has_key => "none".to_owned(),
        Err(error) => format!("this account cannot use it: {error}"),
    };
    if found.has_key && store.location == Location::LocalMachine {
        let may_use = certificate_store::may_use_key(store, &found.thumbprint, account);
        key = format!("{key}; {}", store_key::words(account, &may_use));
    }
    let issuers = opened.map(|(_, issuers)| issuers).unwrap_or_default();
    let chain: Vec<Facts> =
        std::iter::once(&found.certificate).chain(&issuers).filter_map(|der| Facts::read(der)).collect();
    Ok(describe(&chain, &key, now))
}

fn account(proxy: &ProxyAccount) -> String {
    proxy.account.clone().unwrap_or_else(|| store_key::proxy_account(&proxy.set))
}

fn describe(chain: &[Facts], key: &str, now: i64) -> String {
    let Some(own) = chain.first() else { return String::new() };
    let issuers: Vec<&str> = chain.iter().skip(1).map(|issuer| issuer.subject.as_str()).collect();
    let validity = match own.validity(now) {
        Validity::NotYet => "not valid yet".to_owned(),
        validity => validity.to_string(),
    };
    let own_issuer = own.issuer == own.subject;
    let lines = [
        ("subject", own.subject.clone()),
        ("names", if own.names.is_empty() { "none: browsers refuse it".to_owned() } else { own.names.join(", ") }),
        ("issuer", if own_issuer { "itself (self-signed)".to_owned() } else { own.issuer.clone() }),
        ("valid", format!("{} until {}: {validity}", own.not_before_text(), own.not_after_text())),
        ("thumbprint", own.thumbprint.clone()),
        ("key", key.to_owned()),
        ("sent with it", if issuers.is_empty() { "no other certificate".to_owned() } else { issuers.join("; ") }),
    ];
    lines.iter().map(|(name, value)| format!("{name:<12}  {value}\n")).collect()
}

fn list(store: &StoreName, now: i64, style: Style) -> Result<(), Failure> {
    let all = certificate_store::list(store).map_err(|error| no_store(&error))?;
    let mut rows: Vec<(bool, i64, [Cell; 5])> = all
        .iter()
        .filter_map(|stored| {
            let facts = Facts::read(&stored.certificate)?;
            let (until, tone) = match facts.validity(now) {
                Validity::Good(_) => (facts.not_after_text(), Tone::Plain),
                validity @ Validity::Ends(_) => (format!("{}: {validity}", facts.not_after_text()), Tone::Warning),
                validity => (format!("{}: {validity}", facts.not_after_text()), Tone::Bad),
            };
            let (key, key_tone) = if stored.has_key { ("yes", Tone::Good) } else { ("no", Tone::Plain) };
            let cells = [
                Cell::new(facts.subject.clone()),
                Cell::new(facts.names.join(", ")),
                Cell::toned(until, tone),
                Cell::toned(key, key_tone),
                Cell::new(stored.thumbprint.clone()),
            ];
            Some((!stored.has_key, -facts.not_after, cells))
        })
        .collect();
    if rows.is_empty() {
        println!("{store} holds no certificate");
        return Ok(());
    }
    // What a site can use first, the one that lasts longest before others.
    rows.sort_by_key(|(without_key, until, _)| (*without_key, *until));
    let rows: Vec<_> = rows.into_iter().map(|(.., cells)| cells).collect();
    print!("{}", render(["SUBJECT", "NAMES", "UNTIL", "KEY", "THUMBPRINT"], &rows, style));
    Ok(())
}

fn import(arguments: &CertificateImport, style: Style) -> Result<(), Failure> {
    let CertificateImport { file, password, store, exportable, proxy, no_grant } = arguments;
    let source = self::password(password);
    if !certificate_store::AVAILABLE {
        // Before the file is looked at, which would say something else.
        return Err(certificate_store::list(store)
            .err()
            .map_or_else(|| Failure::new("no store"), |error| no_store(&error)));
    }
    let bytes = fs::read(file).map_err(|error| {
        Failure::new(format!("{} cannot be read: {error}", file.display())).next("name the PFX file")
    })?;
    let text = tidegate_certs::password_of(file, &source)
        .map_err(|error| Failure::new(with_sources(&error)).next("name the password by --password-file"))?;
    let imported =
        certificate_store::import(store, &bytes, &text, *exportable).map_err(|error| refused(file, &source, &error))?;
    if imported.is_empty() {
        return Err(Failure::new(format!("{} has no certificate with a private key", file.display()))
            .next("export it again, with its private key"));
    }
    let key = if *exportable { "its key can be exported" } else { "its key cannot be exported" };
    for thumbprint in imported {
        println!("{thumbprint} is in {store} now; {key}");
        println!("  certificates: [{{ store: '{store}', thumbprint: '{thumbprint}' }}]");
        match store.location {
            _ if *no_grant => {}
            Location::LocalMachine => store_key::grant(store, &thumbprint, &account(proxy), style),
            Location::CurrentUser => println!("{OWN_STORE}"),
        }
    }
    Ok(())
}

const OWN_STORE: &str =
    "only this account finds it there: a service looks into its own account's store, or into LocalMachine";

/// Windows says little of why it does not take a file, and calls each one that it cannot decrypt one with a wrong password. So
/// we look ourselves: if we can open it by the same password, it is not wrong.
fn refused(file: &Path, password: &PfxPassword, error: &io::Error) -> Failure {
    let shown = file.display();
    match tidegate_certs::show(file, None, password) {
        Err(ours) => Failure::new(with_sources(&ours)).next("name the file's password by --password-file"),
        Ok(_) if error.kind() == io::ErrorKind::InvalidInput => Failure::new(format!(
            "{shown}: the password is right, but this Windows cannot read how the file is encrypted: OpenSSL 3 uses AES-256 \
             with SHA-256, which Windows before 10 (1709) and Server 2019 calls a wrong password"
        ))
        .next(LEGACY),
        Ok(_) => Failure::new(format!("{shown} cannot be imported: {error}"))
            .next("run this as administrator; the file itself and its password are good"),
    }
}

/// How to make a file for old systems.
const LEGACY: &str = "use the file as it is in the site file (`pfx: FILE`), or make one for old systems: `openssl pkcs12 -in \
                      FILE -nodes -out TEMPORARY`, `openssl pkcs12 -export -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg SHA1 \
                      -in TEMPORARY -out NEWFILE`, and delete TEMPORARY, which holds the key open";

fn no_store(error: &io::Error) -> Failure {
    Failure::new(error.to_string()).next(
        "`tidegate certificate show FILE` shows a file; the site file takes PEM (certificate, key) and PFX (pfx) files",
    )
}

fn password(arguments: &Password) -> PfxPassword {
    match (&arguments.password_file, &arguments.password_variable) {
        (Some(file), _) => PfxPassword::File(file.clone()),
        (None, Some(variable)) => PfxPassword::Variable(variable.clone()),
        (None, None) => PfxPassword::Empty,
    }
}

/// An error and what it was caused by, which its own text leaves out.
fn with_sources(error: &(dyn Error + 'static)) -> String {
    let sources = std::iter::successors(error.source(), |source| Error::source(*source));
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
