//! What a site file becomes that says next to nothing: every default.

use std::time::Duration;

use crate::files::Directory;
use tidegate_site::*;

const ROTATE: Rotate =
    Rotate { size: Some(100 << 20), age: Some(Duration::from_secs(86_400)), keep: 14, compress: false };

#[test]
fn a_file_with_one_app_is_enough() {
    let seconds = Duration::from_secs;
    let directory = Directory::new();
    let long = directory.load("apps: { app: { wsgi: \"shop.wsgi:application\" } }").unwrap();
    let short = directory.load("app: shop.wsgi:application").unwrap();
    let here = std::path::absolute(short.file.parent().unwrap()).unwrap();
    let app = App {
        name: "app".into(),
        wsgi: "shop.wsgi:application".to_owned(),
        directory: here.clone(),
        python: Python::Find,
        processes: 1,
        threads: Threads { min: 4, max: 64 },
        environment: Default::default(),
        environment_file: None,
        request_timeout: seconds(30),
        stream_idle_timeout: seconds(60),
        timeout_grace: seconds(5),
        timeout_status: 502,
        start_timeout: seconds(60),
        drain_timeout: seconds(30),
        heartbeat: seconds(1),
        heartbeat_timeout: seconds(10),
        recycle: Recycle { requests: None, lifetime: None, memory: None },
        replace: Replace::Overlap,
        memory_limit: None,
        warm_up: Vec::new(),
        queue: Queue { size: 16_384, timeout: seconds(60) },
        slow_request: None,
        validate: false,
        cancel_when_client_gone: false,
    };
    let route = AppRoute {
        app: "app".into(),
        request_timeout: seconds(30),
        max_body: 100 << 20,
        mount: Mount::On,
        buffering: true,
        priority: Priority::Normal,
    };
    let expected = Site {
        file: short.file.clone(),
        digest: short.digest.clone(),
        state_dir: here.join(".tidegate"),
        runtime_dir: tidegate_host::runtime_dir(&short.instance),
        instance: short.instance.clone(),
        listeners: vec![
            Listener {
                address: "[::]:8443".parse().unwrap(),
                protocol: Protocol::Https,
                client_certificates: None,
                proxy_protocol: vec![],
            },
            Listener {
                address: "[::]:8080".parse().unwrap(),
                protocol: Protocol::Redirect { https_port: 8443 },
                client_certificates: None,
                proxy_protocol: vec![],
            },
        ],
        certificates: vec![],
        tls: Tls { profile: TlsProfile::Intermediate, watch: Some(seconds(5)) },
        hosts: vec![VirtualHost {
            names: vec!["*".to_owned()],
            maintenance: Maintenance { on: false, allow: Vec::new(), retry_after: seconds(600) },
            aliases: vec![],
            redirects: vec![],
            rewrites: vec![],
            routes: vec![Route { prefix: String::new(), target: Target::App(route), rules: Default::default() }],
            rules: Default::default(),
        }],
        apps: vec![app],
        limits: Limits {
            connections: 20_000,
            connections_per_address: None,
            handshake_timeout: seconds(30),
            header_timeout: seconds(30),
            header_size: 64 << 10,
            header_fields: 100,
            keep_alive: seconds(75),
            client_timeout: seconds(60),
            min_receive_rate: 500,
            min_send_rate: 1024,
            body_size: 100 << 20,
            http2_streams: 128,
            drain_timeout: seconds(30),
            buffer: BufferLimits {
                memory: 64 << 10,
                disk: 4 << 30,
                response: 1 << 30,
                directory: here.join(".tidegate").join("buffers"),
            },
            static_cache: 64 << 20,
        },
        trusted_proxies: vec![],
        metrics: Some("127.0.0.1:9145".parse().unwrap()),
        trace_context: false,
        log: Log {
            level: Level::Info,
            format: LogFormat::Text,
            to: None,
            rotate: Some(ROTATE),
            access: Some(AccessLog {
                format: AccessFormat::Text,
                to: AccessTo::Log,
                rotate: Some(ROTATE),
                sample: 1,
                headers: vec![],
                hidden_query: HiddenQuery::None,
                hidden_headers: vec![],
            }),
        },
    };
    assert_eq!(short, expected);
    assert_eq!(Site { digest: short.digest.clone(), ..long }, expected);
    assert!(short.uses_tls());
    assert_eq!(short.app("app"), Some(&expected.apps[0]));
    assert_eq!(short.app("other"), None);
}

#[test]
fn a_key_whose_lines_are_commented_out_has_its_default() {
    let site = Directory::new().load("app: a:b\nlimits:\n  # connections: 5\nlisteners:\n").unwrap();
    assert_eq!((site.limits.connections, site.listeners.len()), (20_000, 2));
}
