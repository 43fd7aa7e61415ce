//! nginx and the WSGI servers behind it, each with a configuration of its own: the system's service is never touched.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Bench;
use super::child::{Server, Stop, answers, free_port};
use crate::machine::{self, Tool};
use crate::process;

/// nginx' package.
pub(crate) const TOOLS: [Tool; 1] = [Tool { program: "nginx", package: "nginx-light" }];

/// What nginx serves.
pub(crate) enum Behind<'a> {
    /// A server on this port.
    Upstream(u16),
    /// Files of a directory.
    Files(&'a Path),
}

/// Starts nginx with TLS and without: the server, and its ports for https and http.
pub(crate) fn start(
    bench: &Bench,
    name: &str,
    certificate: &(PathBuf, PathBuf),
    behind: &Behind<'_>,
) -> Result<(Server, u16, u16)> {
    let (https, http) = (free_port()?, free_port()?);
    let directory = bench.directory.join(name);
    std::fs::create_dir_all(&directory)?;
    let (upstream, location) = match behind {
        Behind::Upstream(port) => (
            format!("upstream app {{ server 127.0.0.1:{port}; keepalive 64; keepalive_requests 1000000000; }}"),
            "proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host \
             $host; proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;"
                .to_owned(),
        ),
        Behind::Files(files) => {
            ("open_file_cache max=1000; open_file_cache_valid 1s;".to_owned(), format!("root {};", files.display()))
        }
    };
    // Root's files are read as root; anyone else's as themselves, where the directive is ignored.
    let user = if machine::is_root() { "user root;" } else { "" };
    let config = format!(
        "{user}
worker_processes 2;
daemon off;
pid {dir}/pid;
error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  {upstream}
  server {{
    listen 127.0.0.1:{http} backlog=4096;
    listen 127.0.0.1:{https} ssl http2 backlog=4096;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{ {location} }}
  }}
}}
",
        dir = directory.display(),
        certificate = certificate.0.display(),
        key = certificate.1.display(),
    );
    let file = directory.join("nginx.conf");
    std::fs::write(&file, config)?;
    let mut command = process::command("nginx");
    command.arg("-p").arg(&directory).arg("-e").arg(directory.join("error.log")).arg("-c").arg(&file);
    let mut server = Server::start("nginx", command, Stop::Signal, &directory)?;
    let path = if matches!(behind, Behind::Files(_)) { "/1k.bin" } else { "/" };
    server.wait_until(|| answers(http, path))?;
    Ok((server, https, http))
}

/// granian with one worker and four Python threads, as its documentation proposes for WSGI.
pub(crate) fn granian(bench: &Bench, directory: &Path, app: &str) -> Result<(Server, u16)> {
    let port = free_port()?;
    let mut command = process::command(&bench.python);
    command
        .args(["-m", "granian", "--interface", "wsgi", "--workers", "1", "--blocking-threads", "4"])
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--log-level", "warning", app])
        .current_dir(directory);
    let mut server = Server::start("granian", command, Stop::Signal, directory)?;
    server.wait_until(|| answers(port, "/"))?;
    Ok((server, port))
}

/// waitress with its defaults.
pub(crate) fn waitress(bench: &Bench, directory: &Path, app: &str) -> Result<(Server, u16)> {
    let port = free_port()?;
    let mut command = process::command(&bench.python);
    command.args(["-m", "waitress", &format!("--listen=127.0.0.1:{port}"), app]).current_dir(directory);
    let mut server = Server::start("waitress", command, Stop::Signal, directory)?;
    server.wait_until(|| answers(port, "/"))?;
    Ok((server, port))
}
