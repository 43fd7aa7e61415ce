//! Requests against a real directory, its files made for each test.

use std::sync::atomic::{AtomicU32, Ordering};

use std::path::PathBuf;

use http::HeaderName;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use tidegate_site::{CacheRule, Files, Names};

use super::store::Store;
use super::*;
use crate::metrics::Metrics;

/// A directory below the system's temporary one, gone with the value.
struct Root(PathBuf);

impl Root {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tidegate-static-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let outer = std::env::temp_dir().join(name);
        let root = outer.join("root");
        std::fs::create_dir_all(root.join("docs/empty")).unwrap();
        std::fs::write(outer.join("secret.txt"), "secret").unwrap();
        std::fs::write(root.join("a.txt"), "0123456789").unwrap();
        std::fs::write(root.join("empty.txt"), "").unwrap();
        std::fs::write(root.join("index.html"), "<p>home").unwrap();
        std::fs::write(root.join("docs/index.html"), "<p>docs").unwrap();
        std::fs::write(root.join("gr\u{fc}n b.css"), "p{}").unwrap();
        let large: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(root.join("large.bin"), large).unwrap();
        Self(outer)
    }

    fn route(&self) -> Arc<StaticRoute> {
        let root = std::fs::canonicalize(self.0.join("root")).unwrap();
        let value = HeaderValue::from_static("max-age=60");
        let files = Files {
            number: 0,
            root,
            index: vec!["index.html".to_owned()],
            suffixes: Vec::new(),
            fallback: None,
            app: None,
            listing: false,
            hidden: false,
            internal: false,
            compress: None,
            precompressed: true,
            cache_control: vec![CacheRule { names: Names::All, value }],
            types: Vec::new(),
            charset: Some("utf-8".to_owned()),
        };
        let store = Arc::new(Store::new(1 << 20));
        Arc::new(StaticRoute::new(&files, Some(store), &Metrics::new("1").files))
    }

    async fn request(&self, method: Method, target: &str, fields: &[(HeaderName, &str)]) -> Result<Reply, Failure> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value.parse().unwrap());
        }
        let path = target.split('?').next().unwrap();
        let rest = path.strip_prefix("/static").unwrap();
        serve(&self.route(), &StaticRequest { method: &method, rest, target, headers: &headers }).await.map(reply)
    }

    async fn get(&self, target: &str, fields: &[(HeaderName, &str)]) -> Reply {
        self.request(Method::GET, target, fields).await.unwrap()
    }

    async fn status(&self, target: &str) -> u16 {
        let result = self.request(Method::GET, target, &[]).await;
        result.map_or_else(|failure| failure.status.as_u16(), |reply| reply.status.as_u16())
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn reply(served: Served) -> Reply {
    match served {
        Served::Reply(reply) => reply,
        Served::Pass => panic!("there is no app"),
    }
}

async fn bytes(body: Body) -> Vec<u8> {
    match body {
        Body::Empty => Vec::new(),
        Body::Compressed(_) | Body::Unsized => panic!("nothing is compressed here"),
        Body::Full(bytes) => bytes.to_vec(),
        Body::File(mut file) => {
            let mut all = Vec::new();
            while let Some(chunk) = file.next().await.unwrap() {
                all.extend_from_slice(&chunk);
            }
            all
        }
    }
}

#[tokio::test]
async fn a_file_comes_with_type_length_and_validators() {
    let root = Root::new();
    let reply = root.get("/static/a.txt", &[]).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers[CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(reply.body.len(), Some(10));
    assert_eq!(reply.headers[ACCEPT_RANGES], "bytes");
    assert_eq!(reply.headers[CACHE_CONTROL], "max-age=60");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    assert!(reply.headers.contains_key(ETAG) && reply.headers.contains_key(LAST_MODIFIED));
    assert!(matches!(reply.body, Body::Full(_)));
    assert_eq!(bytes(reply.body).await, b"0123456789");
    assert_eq!(bytes(root.get("/static/gr%C3%BCn%20b.css", &[]).await.body).await, b"p{}");
    assert_eq!(root.get("/static/empty.txt", &[]).await.body.len(), Some(0));
}

#[tokio::test]
async fn a_large_file_is_streamed() {
    let root = Root::new();
    let reply = root.get("/static/large.bin", &[]).await;
    assert!(matches!(reply.body, Body::File(_)));
    assert_eq!(reply.body.len(), Some(200_000));
    let all = bytes(reply.body).await;
    assert!(all.len() == 200_000 && all.iter().zip(0_u32..).all(|(&byte, n)| u32::from(byte) == n % 251));
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let root = Root::new();
    let reply = root.request(Method::HEAD, "/static/large.bin", &[(RANGE, "bytes=0-1")]).await.unwrap();
    assert_eq!((reply.status.as_u16(), &reply.headers[CONTENT_LENGTH]), (200, &HeaderValue::from(200_000)));
    assert!(matches!(reply.body, Body::Empty));
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let root = Root::new();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let failure = root.request(method, "/static/a.txt", &[]).await.unwrap_err();
        assert_eq!(failure, Failure::method_not_allowed("GET, HEAD"));
    }
}

#[tokio::test]
async fn a_known_file_is_not_sent_again() {
    let root = Root::new();
    let tag = root.get("/static/a.txt", &[]).await.headers[ETAG].to_str().unwrap().to_owned();
    let reply = root.get("/static/a.txt", &[(IF_NONE_MATCH, &tag)]).await;
    assert_eq!((reply.status.as_u16(), reply.headers[ETAG].to_str().unwrap()), (304, &*tag));
    assert!(!reply.headers.contains_key(CONTENT_LENGTH) && matches!(reply.body, Body::Empty));
    let reply = root.get("/static/a.txt", &[(IF_RANGE, &tag), (RANGE, "bytes=1-2")]).await;
    assert_eq!(reply.status, 206);
    let reply = root.get("/static/a.txt", &[(IF_RANGE, "\"other\""), (RANGE, "bytes=1-2")]).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn ranges_come_alone_or_in_parts() {
    let root = Root::new();
    let reply = root.get("/static/a.txt", &[(RANGE, "bytes=-3")]).await;
    assert_eq!((reply.status.as_u16(), reply.headers[CONTENT_RANGE].to_str().unwrap()), (206, "bytes 7-9/10"));
    assert_eq!(bytes(reply.body).await, b"789");

    for range in ["bytes=0-1,1000-1001", "bytes=0-99999,150000-150001"] {
        let reply = root.get("/static/large.bin", &[(RANGE, range)]).await;
        assert_eq!(reply.status, 206);
        let media = reply.headers[CONTENT_TYPE].to_str().unwrap().to_owned();
        let boundary = media.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let length = usize::try_from(reply.body.len().unwrap()).unwrap();
        let all = bytes(reply.body).await;
        assert_eq!(all.len(), length);
        assert!(all.starts_with(format!("--{boundary}\r\n").as_bytes()));
        assert!(all.ends_with(format!("\r\n--{boundary}--\r\n").as_bytes()));
    }

    let failure = root.request(Method::GET, "/static/a.txt", &[(RANGE, "bytes=10-")]).await.unwrap_err();
    assert_eq!(failure, Failure::range_not_satisfiable(10));
}

#[tokio::test]
async fn a_directory_shows_its_index_below_its_slash() {
    let root = Root::new();
    assert_eq!(bytes(root.get("/static/", &[]).await.body).await, b"<p>home");
    assert_eq!(bytes(root.get("/static/docs/?x", &[]).await.body).await, b"<p>docs");
    for (target, location) in [
        ("/static", "./static/"),
        ("/static/docs", "./docs/"),
        ("/static/docs?a=/b/?c", "./docs/?a=/b/?c"),
        ("/static//docs", "./docs/"),
        ("/static/do%63s", "./do%63s/"),
    ] {
        let reply = root.get(target, &[]).await;
        assert_eq!(reply.status, 308, "{target}");
        assert_eq!(reply.headers[LOCATION], location, "{target}");
    }
    for target in ["/static/docs/empty", "/static/docs/empty/", "/static/a.txt/", "/static/missing/"] {
        assert_eq!(root.status(target).await, 404, "{target}");
    }
}

#[tokio::test]
async fn nothing_outside_the_root_can_be_reached() {
    let root = Root::new();
    for target in [
        "/static/../secret.txt",
        "/static/%2e%2e/secret.txt",
        "/static/..%2fsecret.txt",
        "/static/..%5csecret.txt",
        "/static/docs/../../secret.txt",
        "/static//etc/passwd",
        "/static/a.txt%00.html",
        "/static/a.txt::$DATA",
        "/static/a.txt.",
        "/static/NUL",
        "/static/missing",
    ] {
        assert_eq!(root.status(target).await, 404, "{target}");
    }
}

#[test]
fn a_redirect_stays_on_the_site() {
    for (target, location) in [
        ("//evil.example", "./evil.example/"),
        ("//evil.example/%2e%2e?x", "./%2e%2e/?x"),
        ("/a:b", "./a:b/"),
        ("/\\evil.example", "./\\evil.example/"),
    ] {
        assert_eq!(redirect(target).unwrap().headers[LOCATION], location);
    }
    assert_eq!(redirect("/a\nb").unwrap_err().status, 404);
}

#[tokio::test]
async fn a_known_file_is_not_looked_for_again() {
    let root = Root::new();
    let route = root.route();
    let headers = HeaderMap::new();
    let request = StaticRequest { method: &Method::GET, rest: "/a.txt", target: "/static/a.txt", headers: &headers };
    for _ in 0..10 {
        assert_eq!(bytes(reply(serve(&route, &request).await.unwrap()).body).await, b"0123456789");
    }
    // One more for every second that this took.
    assert!(route.looks.get() < 10, "{}", route.looks.get());
}

#[tokio::test]
async fn a_large_file_that_changed_is_described_as_it_is_now() {
    let root = Root::new();
    let route = root.route();
    let headers = HeaderMap::new();
    let target = "/static/large.bin";
    let request = StaticRequest { method: &Method::GET, rest: "/large.bin", target, headers: &headers };
    let first = reply(serve(&route, &request).await.unwrap());
    std::fs::write(root.0.join("root/large.bin"), vec![7; 300_000]).unwrap();
    let second = reply(serve(&route, &request).await.unwrap());
    assert_eq!(second.body.len(), Some(300_000));
    assert_ne!(first.headers[ETAG], second.headers[ETAG]);
    assert!(bytes(second.body).await.iter().all(|&byte| byte == 7));
}
