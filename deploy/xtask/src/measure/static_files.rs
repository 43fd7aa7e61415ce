//! Static files, beside nginx.

use anyhow::Result;

use super::Bench;
use super::load::{self, Rate};
use super::nginx::{self, Behind};
use super::pair::{self, Pair};
use super::report::{Report, median, row, thousands};
use super::throughput::APP;
use crate::machine;

const ROUNDS: usize = 3;
const SECONDS: u32 = 5;

type Drive = fn(&str) -> Result<Rate>;

/// Each file by each protocol, rounds interleaved.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    machine::require(&load::TOOLS)?;
    machine::require(&nginx::TOOLS)?;
    let files = bench.directory.join("files");
    std::fs::create_dir_all(&files)?;
    for (name, length) in [("1k.bin", 1 << 10), ("100k.bin", 100 << 10)] {
        std::fs::write(files.join(name), vec![b'x'; length])?;
    }
    let rest = format!(
        "hosts:\n  - routes:\n      - {{ path: /, files: '{}' }}\n      - {{ path: /app, app: hello }}\napps:\n  hello: {{ \
         wsgi: \"hello:application\", python: '{}' }}\nlog: {{ access: off }}\n",
        files.display(),
        pair::python(bench)?
    );
    let pair = Pair::start(bench, "site", &rest, &[("hello.py", APP)])?;
    let (nginx, nginx_https, nginx_http) = nginx::start(bench, "nginx", &pair.certificate(), &Behind::Files(&files))?;
    let http1: Drive = |url| load::wrk(url, 100, SECONDS);
    let http2: Drive = |url| load::h2load(url, 50, 20, SECONDS);
    let mut table = vec![row(&["file", "protocol", "tidegate req/s", "nginx req/s", "ratio", "tidegate MiB/s"])];
    for (file, kib) in [("1k.bin", 1.0), ("100k.bin", 100.0)] {
        let cases = [
            (
                "HTTP/1.1, plain",
                http1,
                format!("http://127.0.0.1:{}", pair.http),
                format!("http://127.0.0.1:{nginx_http}"),
            ),
            (
                "HTTP/1.1, TLS",
                http1,
                format!("https://127.0.0.1:{}", pair.https),
                format!("https://127.0.0.1:{nginx_https}"),
            ),
            (
                "HTTP/2, TLS",
                http2,
                format!("https://127.0.0.1:{}", pair.https),
                format!("https://127.0.0.1:{nginx_https}"),
            ),
        ];
        for (protocol, drive, tidegate, nginx) in cases {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                ours.push(drive(&format!("{tidegate}/{file}"))?.rate);
                theirs.push(drive(&format!("{nginx}/{file}"))?.rate);
            }
            let (ours, theirs) = (median(&ours), median(&theirs));
            println!("{file:<9} {protocol:<16} {:>9} {:>9} req/s", thousands(ours), thousands(theirs));
            table.push(vec![
                file.to_owned(),
                protocol.to_owned(),
                thousands(ours),
                thousands(theirs),
                format!("{:.2}", ours / theirs),
                thousands(ours * kib / 1024.0),
            ]);
        }
    }
    pair.stop()?;
    nginx.stop()?;
    Ok(Report {
        setup: vec![
            format!("`wrk -t2 -c100 -d{SECONDS}s`; `h2load -t2 -c50 -m20 -D{SECONDS}`; {ROUNDS} interleaved rounds, medians"),
            "nginx: 2 worker processes, sendfile, open_file_cache of 1,000 entries valid for 1 s; no access log in either; the same certificate"
                .to_owned(),
        ],
        table,
        notes: Vec::new(),
    })
}
