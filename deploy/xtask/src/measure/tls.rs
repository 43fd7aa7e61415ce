//! testssl.sh against the pair with a certificate of a local authority, in the default profile.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, bail};

use super::Bench;
use super::pair::Pair;
use super::report::{Report, row};
use crate::machine::{self, Tool};
use crate::process;

/// Debian names the program without its suffix.
const TOOLS: [Tool; 2] =
    [Tool { program: "testssl", package: "testssl.sh" }, Tool { program: "openssl", package: "openssl" }];

/// Protocols, cipher categories, forward secrecy, the server's preferences, vulnerabilities.
const SECTIONS: [&str; 5] = ["--protocols", "--std", "--fs", "--server-preference", "--vulnerable"];

/// What testssl.sh has to call a finding for it to count as none.
const HARMLESS: [&str; 4] = ["OK", "INFO", "LOW", "DEBUG"];

/// The client chooses the cipher where both sides are as good; testssl.sh would have the server choose.
const EXCEPTED: [&str; 2] = ["cipher_order", "cipher_order-tls1_2"];

/// Fails with every finding above low.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    machine::require(&TOOLS)?;
    let directory = bench.directory.join("site");
    fs::create_dir_all(&directory)?;
    fs::write(directory.join("extensions"), "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n")?;
    fs::write(directory.join("index.html"), "served\n")?;
    let openssl = |arguments: &str| {
        let mut command = process::command("openssl");
        process::output(command.args(arguments.split_whitespace()).current_dir(&directory)).map(drop)
    };
    openssl("req -x509 -newkey rsa:2048 -nodes -subj /CN=local -days 30 -keyout ca.key -out ca.pem")?;
    openssl("req -new -newkey rsa:2048 -nodes -subj /CN=localhost -keyout site.key -out site.csr")?;
    openssl(
        "x509 -req -in site.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile extensions -out site.pem",
    )?;
    let rest = "certificates: [{ certificate: site.pem, key: site.key }]\nhosts: [{ routes: [{ path: /, files: ., index: \
                index.html }] }]\n";
    let pair = Pair::start(bench, "site", rest, &[])?;
    let found = directory.join("findings.csv");
    let mut testssl = process::command("testssl");
    testssl.args(["--quiet", "--warnings", "off", "--color", "0", "--ip", "127.0.0.1"]).args(SECTIONS);
    testssl.arg("--add-ca").arg(directory.join("ca.pem")).arg("--csvfile").arg(&found);
    // Its exit code counts findings of any severity.
    let output = testssl.arg(format!("localhost:{}", pair.https)).output()?;
    pair.stop()?;
    let text = fs::read_to_string(&found)
        .with_context(|| format!("testssl.sh found nothing: {}", String::from_utf8_lossy(&output.stdout)))?;
    let mut severities: BTreeMap<&str, usize> = BTreeMap::new();
    let mut serious = Vec::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.trim_matches('"').split("\",\"").collect();
        let [id, _, _, severity, finding, ..] = fields[..] else { bail!("testssl.sh wrote {line:?}") };
        *severities.entry(severity).or_default() += 1;
        if !HARMLESS.contains(&severity) && !EXCEPTED.contains(&id) {
            serious.push(format!("{severity} {id}: {finding}"));
        }
    }
    if severities.values().sum::<usize>() < 20 {
        bail!("testssl.sh looked at almost nothing: {}", String::from_utf8_lossy(&output.stdout));
    }
    if !serious.is_empty() {
        bail!("testssl.sh found:\n{}", serious.join("\n"));
    }
    let mut table = vec![row(&["severity", "findings"])];
    table.extend(severities.iter().map(|(severity, count)| vec![(*severity).to_owned(), count.to_string()]));
    Ok(Report {
        setup: vec![format!(
            "`testssl {} localhost`, profile intermediate, a certificate of a local authority",
            SECTIONS.join(" ")
        )],
        table,
        notes: vec!["target: none above LOW, the order of ciphers excepted".to_owned()],
    })
}
