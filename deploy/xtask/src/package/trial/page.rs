//! Pages of a site under trial, asked for with curl.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::transcript::say;
use super::{LOOK, PATIENCE};
use crate::process;

/// What a URL of the site answers: status and body.
pub(super) fn fetch(port: u16, path: &str) -> Result<(u16, String)> {
    let out = process::output(process::command("curl").args([
        "--silent",
        "--insecure",
        "--max-time",
        "30",
        "--write-out",
        "\n%{http_code}",
        &format!("https://127.0.0.1:{port}{path}"),
    ]))?;
    let (body, status) = out.rsplit_once('\n').context("curl wrote no status")?;
    Ok((status.parse()?, body.to_owned()))
}

pub(super) fn expect(port: u16, path: &str, status: u16, text: &str) -> Result<()> {
    let (found, body) = fetch(port, path)?;
    ensure!(found == status && body.contains(text), "GET {path}: {found} {body:?}, expected {status} with {text:?}");
    say(&format!("GET {path}: {found}"));
    Ok(())
}

/// Waits until a page says something else than before.
pub(super) fn wait_for(port: u16, path: &str, text: &str) -> Result<()> {
    let start = Instant::now();
    while !fetch(port, path).is_ok_and(|(status, body)| status == 200 && body.contains(text)) {
        ensure!(start.elapsed() < PATIENCE, "{path} does not say {text:?}");
        std::thread::sleep(LOOK);
    }
    say(&format!("GET {path}: 200, {text:?}"));
    Ok(())
}
