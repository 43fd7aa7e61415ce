//! What `tidegate check` finds about certificates: each loads, fits its key and is in time; each host has one; what clients'
//! certificates are checked with loads too.

use std::error::Error;

use tidegate_certs::{Certificate, Staple, Validity};
use tidegate_site::Site;

use crate::finding::{Report, Verdict};

/// Checks everything that TLS needs, at a time in seconds since 1970.
pub(super) fn check(site: &Site, now: i64, report: &mut Report) {
    if !site.uses_tls() {
        return;
    }
    if site.certificates.is_empty() {
        let directory = site.state_dir.display();
        report.line(Verdict::Good, "certificate", format_args!("self-signed for development, kept in {directory}"));
    }
    let mut loaded = Vec::new();
    for files in &site.certificates {
        match tidegate_certs::load(files) {
            Ok(certificate) => {
                let (verdict, text) = show(&certificate, now);
                report.line(verdict, "certificate", text);
                if let Some(Staple::Ignored(reason)) = &certificate.staple {
                    report.line(Verdict::Warning, "certificate", format_args!("OCSP response left out: {reason}"));
                }
                loaded.push(certificate);
            }
            Err(error) => report.line(Verdict::Problem, "certificate", with_sources(&error)),
        }
    }
    // A certificate that does not load may be the one.
    if !loaded.is_empty() && loaded.len() == site.certificates.len() {
        let names = site.hosts.iter().flat_map(|host| host.names.iter().chain(&host.aliases)).map(String::as_str);
        for name in tidegate_certs::uncovered(&loaded, names) {
            let text = format_args!("none is for {name}: its clients are shown the first one, and refuse it");
            report.line(Verdict::Warning, "certificate", text);
        }
    }
    for listener in &site.listeners {
        let Some(clients) = &listener.client_certificates else { continue };
        match tidegate_certs::client_verifier(clients) {
            Ok(_) => {
                let authorities = clients.authorities.display();
                let text = format_args!("{} asks clients for certificates from {authorities}", listener.address);
                report.line(Verdict::Good, "clients", text);
            }
            Err(error) => report.line(Verdict::Problem, "clients", with_sources(&error)),
        }
    }
}

/// An error and what it was caused by, which its own text leaves out.
fn with_sources(error: &(dyn Error + 'static)) -> String {
    let sources = std::iter::successors(error.source(), |source| Error::source(*source));
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

fn show(certificate: &Certificate, now: i64) -> (Verdict, String) {
    let names = certificate.names.join(", ");
    let line = format!("{} for {names}, until {}", certificate.source, certificate.not_after_text());
    match certificate.validity(now) {
        Validity::Good(days) => (Verdict::Good, format!("{line} ({days} days left)")),
        Validity::NotYet => (Verdict::Problem, format!("{line}: valid only from {} on", certificate.not_before_text())),
        validity @ Validity::Expired => (Verdict::Problem, format!("{line}: {validity}")),
        validity @ Validity::Ends(_) => (Verdict::Warning, format!("{line}: {validity}")),
    }
}
