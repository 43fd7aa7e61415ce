//! Proxy, app server and worker together: a request's way to the app and back over every kind of listener.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::client::Tls;
use tidegate_tests::site::quoted;
use tidegate_tests::{Connection, Response, Running, Site};

async fn mirror(name: &str) -> Running {
    Site::new(name).app("shop", "mirror:app", &[]).start().await
}

/// What the app saw of the request.
#[track_caller]
fn seen(response: &Response) -> serde_json::Value {
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

#[tokio::test]
async fn a_page_is_served_over_every_listener_and_version() {
    let running = mirror("page").await;

    let plain = running.get("/a").await;
    assert_eq!(seen(&plain)["wsgi.url_scheme"], "http");

    let over_tls = running.https().await.get("/a?b=c").await;
    assert_eq!(seen(&over_tls)["wsgi.url_scheme"], "https");
    assert_eq!(seen(&over_tls)["SERVER_PROTOCOL"], "HTTP/1.1");
    assert_eq!(seen(&over_tls)["QUERY_STRING"], "b=c");

    let mut http2 = running.http2().await;
    let over_http2 = http2.get("/a").await;
    assert_eq!(seen(&over_http2)["wsgi.url_scheme"], "https");
    assert_eq!(seen(&over_http2)["HTTP_HOST"], "localhost");
    let posted = http2.post("/form", &[("content-type", "text/plain")], b"over h2").await;
    assert_eq!(seen(&posted)["body"], "over h2");
    assert_eq!(seen(&posted)["CONTENT_TYPE"], "text/plain");
}

#[tokio::test]
async fn many_requests_share_an_http2_connection() {
    let running = mirror("streams").await;
    let mut http2 = running.http2().await;
    let mut streams = Vec::new();
    for number in 0..50 {
        streams.push(http2.open("GET", &format!("/{number}"), &[], false).await);
    }
    for (number, stream) in streams.into_iter().enumerate() {
        assert_eq!(seen(&stream.response().await)["PATH_INFO"], format!("/{number}"));
    }
}

#[tokio::test]
async fn plain_http_redirects_to_the_same_url() {
    let running = mirror("redirect").await;
    let port = running.https_address().port();
    for (host, target, location) in [
        ("shop.example", "/a%2Fb?c=d", format!("https://shop.example:{port}/a%2Fb?c=d")),
        ("shop.example:8080", "/", format!("https://shop.example:{port}/")),
        ("[::1]:8080", "/x", format!("https://[::1]:{port}/x")),
    ] {
        let mut connection = Connection::plain(running.redirect_address()).await;
        let response = connection.get_with(target, &[("Host", host)]).await;
        assert_eq!(response.status, 308);
        assert_eq!(response.header("location"), Some(location.as_str()), "{host}");
    }
}

#[tokio::test]
async fn the_server_name_chooses_the_certificate_and_the_host_its_app() {
    let make = |name: &str| {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let (shop, desk) = (make("shop.example"), make("desk.example"));
    let running = Site::new("hosts")
        .app("shop", "mirror:app", &[("environment", "{ WHO: shop }")])
        .app("desk", "mirror:app", &[("environment", "{ WHO: desk }")])
        .file("shop.pem", &shop.0)
        .file("shop.key", &shop.1)
        .file("desk.pem", &desk.0)
        .file("desk.key", &desk.1)
        .set("certificates", "[{ certificate: shop.pem, key: shop.key }, { certificate: desk.pem, key: desk.key }]")
        .set(
            "hosts",
            "[{ names: [shop.example], routes: [{ path: /, app: shop }] }, \
             { names: [desk.example, '*.desk.example'], routes: [{ path: /desk, app: desk }] }]",
        )
        .start()
        .await;
    let tls = Tls::trusting(&[&shop.0, &desk.0]);
    let address = running.https_address();

    for (name, certificate) in [("shop.example", &shop.0), ("desk.example", &desk.0), ("127.0.0.1", &shop.0)] {
        let connection = tls.http1(address, name).await;
        let expected = Tls::trusting(&[certificate]);
        assert!(expected.knows(connection.presented.as_ref().unwrap()), "{name} got another certificate");
    }

    let response = tls.http1(address, "shop.example").await.get("/desk").await;
    assert_eq!(
        (seen(&response)["SCRIPT_NAME"].as_str(), seen(&response)["PATH_INFO"].as_str()),
        (Some(""), Some("/desk"))
    );
    for host in ["desk.example", "DESK.example:443", "a.desk.example", "desk.example."] {
        let response = tls.http1(address, "desk.example").await.get_with("/desk/a", &[("Host", host)]).await;
        assert_eq!(seen(&response)["SCRIPT_NAME"], "/desk", "{host}");
        assert_eq!(seen(&response)["PATH_INFO"], "/a", "{host}");
    }
    // No route, no host, one label too many.
    assert_eq!(tls.http1(address, "desk.example").await.get("/other").await.status, 404);
    for host in ["other.example", "a.b.desk.example", "[::1]"] {
        let response = tls.http1(address, "desk.example").await.get_with("/desk", &[("Host", host)]).await;
        assert_eq!(response.status, 421, "{host}");
    }
    let mut http2 = tls.http2(address, "shop.example").await;
    assert_eq!(http2.get("/").await.status, 200);
    http2.set_host("other.example");
    assert_eq!(http2.get("/").await.status, 421);
}

#[tokio::test]
async fn hosts_may_be_addresses_and_ports() {
    let running = mirror("host").await;
    for (host, name, port) in
        [("[::1]:8443", "[::1]", "8443"), ("127.0.0.1:80", "127.0.0.1", "80"), ("shop.example:9", "shop.example", "9")]
    {
        let response = running.http().await.get_with("/", &[("Host", host)]).await;
        let seen = seen(&response);
        assert_eq!(seen["HTTP_HOST"], host);
        assert_eq!((seen["SERVER_NAME"].as_str(), seen["SERVER_PORT"].as_str()), (Some(name), Some(port)), "{host}");
    }
}

#[tokio::test]
async fn the_request_id_is_the_same_for_client_app_and_log() {
    let mut running = mirror("id").await;
    let mut connection = running.http().await;

    let given = connection.get_with("/", &[("X-Request-Id", "from-client.1")]).await;
    assert_eq!(given.header("x-request-id"), Some("from-client.1"));
    assert_eq!(seen(&given)["HTTP_X_REQUEST_ID"], "from-client.1");
    running.proxy().log.wait(&["\"GET / HTTP/1.1\" 200", "request_id=from-client.1"]).await;

    let made = connection.get_with("/", &[("X-Request-Id", "not a legal id\u{7f}")]).await;
    let made = if made.status == 400 { running.get("/").await } else { made };
    let id = made.header("x-request-id").unwrap().to_owned();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(seen(&made)["HTTP_X_REQUEST_ID"], id);
    running.proxy().log.wait(&[&format!("request_id={id}")]).await;
}

#[tokio::test]
async fn forwarded_headers_say_what_the_proxy_knows() {
    let running = mirror("forwarded").await;
    let forged = [
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Proto", "https"),
        ("X_Forwarded_For", "192.0.2.2"),
        ("Forwarded", "for=192.0.2.3"),
        ("X-Tidegate", "n=1"),
        ("X_Tidegate", "n=1"),
        ("Proxy", "http://192.0.2.4/"),
    ];
    let response = running.http().await.get_with("/", &forged).await;
    let seen_plain = seen(&response);
    assert_eq!(seen_plain["REMOTE_ADDR"], "127.0.0.1");
    assert_eq!(seen_plain["HTTP_X_FORWARDED_FOR"], "127.0.0.1");
    assert_eq!(seen_plain["HTTP_X_FORWARDED_PROTO"], "http");
    assert_eq!(seen_plain["wsgi.url_scheme"], "http");
    for name in ["HTTP_X_TIDEGATE", "HTTP_PROXY"] {
        assert_eq!(seen_plain.get(name), None, "{name}");
    }
    assert!(!response.text().contains("192.0.2."), "{}", response.text());

    let over_tls = running.https().await.get_with("/", &forged).await;
    assert_eq!(seen(&over_tls)["HTTP_X_FORWARDED_PROTO"], "https");
    assert_eq!(seen(&over_tls)["HTTPS"], "on");
}

#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let running =
        Site::new("trusted").app("shop", "mirror:app", &[]).set("trusted_proxies", "[127.0.0.1]").start().await;
    let fields = [("X-Forwarded-For", "198.51.100.9, 192.0.2.1"), ("X-Forwarded-Proto", "https")];
    let response = running.http().await.get_with("/", &fields).await;
    assert_eq!(seen(&response)["REMOTE_ADDR"], "192.0.2.1");
    assert_eq!(seen(&response)["wsgi.url_scheme"], "https");
}

#[tokio::test]
async fn an_app_lives_where_its_file_says() {
    let site = Site::new("directory").file("elsewhere/here.py", "import os\nNAME = os.getcwd()\n").file(
        "elsewhere/site_app.py",
        "import here\ndef app(environ, start_response):\n    \
         start_response('200 OK', [])\n    return [here.NAME.encode()]\n",
    );
    let directory = quoted(&site.path("elsewhere").display().to_string());
    let running = site.app("shop", "site_app:app", &[("directory", &directory)]).start().await;
    let response = running.get("/").await;
    assert!(response.text().ends_with("elsewhere"), "{response:?}");
}
