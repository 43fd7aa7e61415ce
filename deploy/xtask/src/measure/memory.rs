//! A large body up and a larger one down through both processes: that they pass through, and do not pile up.

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use super::child::ask;
use super::pair::{self, Pair};
use super::report::{Report, row};
use super::{Bench, load, usage};
use crate::{machine, process};

const APP: &str = include_str!("apps/large.py");
const UP: usize = 100 << 20;
const DOWN: usize = 1 << 30;
const MIB: f64 = 1_048_576.0;

/// Uploads, downloads, and compares what arrived.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    machine::require(&load::TOOLS)?;
    let rest = format!("apps:\n  large: {{ wsgi: \"large:application\", python: '{}' }}\n", pair::python(bench)?);
    let pair = Pair::start(bench, "site", &rest, &[("large.py", APP)])?;
    let mut table = vec![row(&["", "seconds", "MiB/s", "proxy MiB", "app server MiB", "worker MiB"])];
    let mut line = |name: &str, megabytes: f64, seconds: f64| {
        let peak = |wanted: &str| {
            let peaks = pair.processes().into_iter().filter(|(name, _)| *name == wanted);
            let most = peaks.filter_map(|(_, pid)| usage::peak_memory(pid)).fold(0.0, f64::max);
            format!("{most:.0}")
        };
        let (rate, seconds) = if seconds > 0.0 {
            (format!("{:.0}", megabytes / seconds), format!("{seconds:.2}"))
        } else {
            (String::new(), String::new())
        };
        table.push(vec![name.to_owned(), seconds, rate, peak("proxy"), peak("app server"), peak("worker")]);
    };
    line("at rest", 0.0, 0.0);
    for (protocol, flag) in [("HTTP/1.1", "--http1.1"), ("HTTP/2", "--http2")] {
        let seconds = upload(&pair, bench, flag)?;
        line(&format!("100 MiB up, {protocol}"), UP as f64 / MIB, seconds);
        let seconds = download(&pair, flag)?;
        line(&format!("1 GiB down, {protocol}"), DOWN as f64 / MIB, seconds);
    }
    pair.stop()?;
    Ok(Report {
        setup: vec![
            "curl over TLS, one transfer after the other; the app reads and yields blocks of 64 KiB".to_owned(),
            "memory: the most that each process has had resident so far (VmHWM); every setting default".to_owned(),
        ],
        table,
        notes: vec![
            "length and SHA-256 of every transfer are the same at both ends".to_owned(),
            "target: each process below 150 MiB".to_owned(),
        ],
    })
}

fn upload(pair: &Pair, bench: &Bench, flag: &str) -> Result<f64> {
    let file = bench.directory.join("upload.bin");
    let expected = format!("{UP} {}", make_file(&file)?);
    let start = Instant::now();
    let url = format!("https://127.0.0.1:{}/upload", pair.https);
    let mut curl = process::command("curl");
    curl.args(["--silent", "--show-error", "--insecure", "--fail", "--max-time", "120", flag, "--upload-file"]);
    let answer = process::output(curl.arg(&file).arg(&url))?;
    if answer != expected {
        bail!("uploaded {expected}, but {answer} arrived");
    }
    Ok(start.elapsed().as_secs_f64())
}

fn download(pair: &Pair, flag: &str) -> Result<f64> {
    let start = Instant::now();
    let url = format!("https://127.0.0.1:{}/download?{DOWN}", pair.https);
    let mut curl = process::command("curl");
    curl.args(["--silent", "--show-error", "--insecure", "--fail", "--max-time", "120", flag]).arg(&url);
    let mut child = curl.stdout(Stdio::piped()).spawn()?;
    let mut output = child.stdout.take().context("curl has no output")?;
    let (mut hash, mut length, mut block) = (Sha256::new(), 0, vec![0; 256 * 1024]);
    loop {
        match output.read(&mut block)? {
            0 => break,
            read => {
                hash.update(&block[..read]);
                length += read;
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let status = child.wait()?;
    if !status.success() {
        bail!("the download failed ({status}) after {length} bytes");
    }
    let arrived = format!("{length} {}", hex(hash));
    let (_, sent) = ask(pair.http, "/digest")?;
    if sent != arrived {
        bail!("the app sent {sent}, but {arrived} arrived");
    }
    Ok(seconds)
}

/// Makes a file that does not compress, and its digest.
fn make_file(path: &Path) -> Result<String> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(UP);
    while bytes.len() < UP {
        // xorshift: any noise does.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    std::fs::write(path, &bytes)?;
    let mut hash = Sha256::new();
    hash.update(&bytes);
    Ok(hex(hash))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
