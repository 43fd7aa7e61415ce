//! What a right site file becomes; `defaults` has what it says nothing of.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::files::Directory;
use http::HeaderValue;
use tidegate_site::*;

/// What files have that nobody says anything of; `compress.rs` looks at it more closely.
fn usual_compression() -> Option<Arc<Compress>> {
    let site = Directory::new().load("hosts: [{ routes: [{ path: /, files: static }] }]").unwrap();
    match &site.hosts[0].routes[0].target {
        Target::Files(files) => files.compress.clone(),
        _ => None,
    }
}

#[test]
fn every_setting_is_taken() {
    let seconds = Duration::from_secs;
    let directory = Directory::new();
    let site = directory
        .load(
            r#"
version: 1
state_dir: state
runtime_dir: run
listeners:
  - { address: "[::]:443", protocol: https }
  - { address: 127.0.0.1:81, protocol: http }
  - { address: "[::]:80", protocol: redirect }
  - { address: "[::]:82", protocol: redirect, https_port: 444 }
certificates:
  - { certificate: certs/site.pem, key: certs/site.key }
hosts:
  - names: [Shop.example, "*.shop.example"]
    routes:
      - { path: /, app: shop, request_timeout: 60s, max_body: 10MiB, mount: off, buffering: off }
      - { path: /static/, files: ./static, index: index.html, cache_control: "max-age=3600" }
  - routes: [{ path: /admin, app: admin }]
apps:
  shop:
    wsgi: shop.wsgi:make.app()
    directory: static
    python: venv
    processes: 3
    threads: { max: 2 }
    environment: { TOKEN: from-yaml, PORT: 8000, EMPTY: "" }
    environment_file: secrets.env
    request_timeout: 31s
    stream_idle_timeout: 61s
    timeout_grace: 6s
    timeout_status: 504
    start_timeout: 62s
    drain_timeout: 32s
    heartbeat: 500ms
    heartbeat_timeout: 1500ms
    recycle: { requests: 200, lifetime: 240h, memory: 512MiB }
    replace: stop_first
    memory_limit: 1GiB
    warm_up: [/health, "/login?next=%2F"]
    queue: { size: 10, timeout: 2m }
    slow_request: 5s
    validate: on
    cancel_when_client_gone: yes
  admin: { wsgi: admin:app, threads: 100, processes: auto, slow_request: off }
limits: { connections: 7, handshake_timeout: 1s, header_timeout: 2s, header_size: 8KiB, header_fields: 50,
          keep_alive: 3s, client_timeout: 4s, min_receive_rate: 2KiB, min_send_rate: 0, body_size: 1GB, http2_streams: 9, drain_timeout: 5s,
          buffer_memory: 8KiB, buffer_disk: 2GB, buffer_response: 3MB, buffer_dir: spool, static_cache: 0 }
trusted_proxies: [10.1.2.3/8, "::1"]
trace_context: on
metrics: off
log: { level: debug, access: no, format: json }
"#,
        )
        .unwrap();
    let here = site.file.parent().unwrap().to_owned();
    assert_eq!(site.state_dir, here.join("state"));
    assert_eq!(site.runtime_dir, here.join("run"));
    let protocols: Vec<Protocol> = site.listeners.iter().map(|listener| listener.protocol).collect();
    assert_eq!(
        protocols,
        [
            Protocol::Https,
            Protocol::Http,
            Protocol::Redirect { https_port: 443 },
            Protocol::Redirect { https_port: 444 }
        ]
    );
    assert_eq!(site.certificates.len(), 1);
    assert!(site.certificates[0].files().any(|file| *file == here.join("certs").join("site.key")));
    assert_eq!(site.hosts[0].names, ["shop.example", "*.shop.example"]);
    assert_eq!(site.hosts[1].names, ["*"]);
    // The longest prefix is first.
    assert_eq!(
        site.hosts[0].routes,
        [
            Route {
                prefix: "/static".to_owned(),
                target: Target::Files(Files {
                    number: 0,
                    root: here.join("static"),
                    index: vec!["index.html".to_owned()],
                    suffixes: vec![],
                    fallback: None,
                    app: None,
                    listing: false,
                    hidden: false,
                    internal: false,
                    compress: usual_compression(),
                    precompressed: true,
                    cache_control: vec![CacheRule {
                        names: Names::All,
                        value: HeaderValue::from_static("max-age=3600"),
                    }],
                    types: vec![],
                    charset: Some("utf-8".to_owned()),
                }),
                rules: Default::default(),
            },
            Route {
                prefix: String::new(),
                target: Target::App(AppRoute {
                    app: "shop".into(),
                    request_timeout: seconds(60),
                    max_body: 10 << 20,
                    mount: Mount::Off,
                    buffering: false,
                    priority: Priority::Normal,
                }),
                rules: Default::default(),
            },
        ]
    );
    let Target::App(admin) = &site.hosts[1].routes[0].target else { panic!("an app") };
    assert_eq!((admin.request_timeout, admin.max_body, admin.mount), (seconds(30), 1_000_000_000, Mount::On));
    let shop = site.app("shop").unwrap();
    assert_eq!(shop.wsgi, "shop.wsgi:make.app()");
    assert_eq!(shop.directory, here.join("static"));
    assert_eq!(shop.python, Python::At(tidegate_host::venv_python(&here.join("venv"))));
    assert_eq!((shop.processes, shop.threads), (3, Threads { min: 2, max: 2 }));
    let environment: Vec<(&str, &str)> =
        shop.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(environment, [("EMPTY", ""), ("ONLY_FILE", "1"), ("PORT", "8000"), ("TOKEN", "from-yaml")]);
    assert_eq!(shop.environment_file.as_ref().and_then(|file| file.file_name()), Some("secrets.env".as_ref()));
    assert_eq!(
        [shop.request_timeout, shop.stream_idle_timeout, shop.timeout_grace, shop.start_timeout, shop.drain_timeout],
        [31, 61, 6, 62, 32].map(seconds)
    );
    assert_eq!((shop.heartbeat, shop.heartbeat_timeout), (Duration::from_millis(500), Duration::from_millis(1500)));
    assert_eq!((shop.timeout_status, shop.queue), (504, Queue { size: 10, timeout: seconds(120) }));
    let recycle = Recycle { requests: Some(200), lifetime: Some(seconds(240 * 3600)), memory: Some(512 << 20) };
    assert_eq!((shop.recycle, shop.replace, shop.memory_limit), (recycle, Replace::StopFirst, Some(1 << 30)));
    assert_eq!(shop.warm_up, ["/health", "/login?next=%2F"]);
    assert_eq!((shop.slow_request, shop.validate, shop.cancel_when_client_gone), (Some(seconds(5)), true, true));
    let admin = site.app("admin").unwrap();
    assert_eq!(admin.slow_request, None);
    assert_eq!(admin.threads, Threads { min: 4, max: 100 });
    assert!(admin.processes >= 1);
    assert_eq!(site.limits.connections, 7);
    let buffer =
        BufferLimits { memory: 8 << 10, disk: 2_000_000_000, response: 3_000_000, directory: here.join("spool") };
    assert_eq!(site.limits.buffer, buffer);
    assert_eq!(site.limits.handshake_timeout, seconds(1));
    assert_eq!(site.limits.header_timeout, seconds(2));
    assert_eq!((site.limits.header_size, site.limits.header_fields), (8192, 50));
    assert_eq!((site.limits.keep_alive, site.limits.client_timeout), (seconds(3), seconds(4)));
    assert_eq!((site.limits.min_receive_rate, site.limits.min_send_rate), (2048, 0));
    assert_eq!((site.limits.http2_streams, site.limits.drain_timeout), (9, seconds(5)));
    assert_eq!(site.limits.static_cache, 0);
    assert_eq!(site.trusted_proxies, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    assert_eq!(site.metrics, None);
    assert_eq!((site.log.level, site.log.format, site.log.access), (Level::Debug, LogFormat::Json, None));
    assert!(site.trace_context);
}

#[test]
fn switches_are_written_in_many_ways() {
    let directory = Directory::new();
    for (text, access) in [
        ("on", true),
        ("yes", true),
        ("true", true),
        ("On", true),
        ("off", false),
        ("no", false),
        ("false", false),
        ("OFF", false),
    ] {
        assert_eq!(
            directory.load(format!("app: a:b\nlog: {{ access: {text} }}")).unwrap().log.access.is_some(),
            access,
            "{text}"
        );
    }
}

#[test]
fn files_from_windows_editors_are_read() {
    let directory = Directory::new();
    let site = directory.load("\u{FEFF}app: a:b\r\nlog:\r\n  access: off\r\n").unwrap();
    assert!(site.log.access.is_none());
}

#[test]
fn ports_chosen_by_the_system_do_not_clash() {
    let site = Directory::new()
        .load(
            "app: a:b\nmetrics: 127.0.0.1:0\n\
             listeners: [{ address: 127.0.0.1:0, protocol: https }, { address: 127.0.0.1:0, protocol: http }]",
        )
        .unwrap();
    assert_eq!(site.listeners.len(), 2);
}

#[test]
fn every_spelling_of_a_path_leads_to_the_same_endpoints() {
    let directory = Directory::new();
    let site = directory.load("app: a:b").unwrap();
    let other = tidegate_site::load(&directory.path().join("static").join("..").join("tidegate.yaml")).unwrap();
    assert_eq!(site, other);
    assert_eq!(site.instance.len(), 16);
    assert_eq!(site.digest, tidegate_site::digest(&site.file).unwrap());
    assert!(site.control_endpoint().to_string().contains(&format!("{}-control", site.instance)));
    assert_ne!(site.instance, Directory::new().load("app: a:b").unwrap().instance);
}

#[test]
fn every_example_loads() {
    // Cargo says where the package is when the test runs; the constant knows where it was built.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let examples = Path::new(&package).join("../examples");
    let mut loaded = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let file = entry.unwrap().path().join("tidegate.yaml");
        if file.is_file() {
            tidegate_site::load(&file).unwrap_or_else(|error| panic!("{error}"));
            loaded += 1;
        }
    }
    assert!(loaded >= 4, "{loaded} examples");
}
