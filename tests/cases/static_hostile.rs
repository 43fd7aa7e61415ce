//! A corpus of paths that try to leave the directory of a route or to reach a file under another name, sent as raw
//! bytes to a running proxy. Two routes lead to the same files: one as plain as possible, one that has
//! everything switched on that shows more.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::{Running, Site};

/// Lies outside of the directory.
const CANARY: &str = "CANARY-7f3a91";
/// Lies inside, and is reached under its own name only.
const INSIDE: &str = "INSIDE-2c88d0";

/// What comes after the route's prefix.
const CORPUS: &[&str] = &[
    // Dot segments in every spelling.
    "/../canary.txt",
    "/../static-private/canary.txt",
    "/sub/../../canary.txt",
    "/sub/../inside page.html",
    "/sub/../inside-page.html",
    "/./inside-page.html",
    "/sub/./../inside-page.html",
    "/.../canary.txt",
    "/....//canary.txt",
    "/..;/canary.txt",
    "/..;a=b/canary.txt",
    "/%2e%2e/canary.txt",
    "/%2E%2E/canary.txt",
    "/.%2e/canary.txt",
    "/%2e./canary.txt",
    "/%2e%2e%2fcanary.txt",
    "/..%2fcanary.txt",
    "/..%2Fcanary.txt",
    "/..%5ccanary.txt",
    "/..%5Ccanary.txt",
    "/..\\canary.txt",
    "/sub\\..\\..\\canary.txt",
    "/sub%5c..%5c..%5ccanary.txt",
    "/sub\\inner.txt",
    "/sub%5cinner.txt",
    "/sub%2finner.txt",
    "/..%00/canary.txt",
    "/%2e%2e%00/canary.txt",
    "/../../../../../../../../../../etc/passwd",
    "/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    // Decoded twice, or in other alphabets.
    "/%252e%252e/canary.txt",
    "/%252e%252e%252fcanary.txt",
    "/..%252fcanary.txt",
    "/..%255ccanary.txt",
    "/%25252e%25252e/canary.txt",
    "/%u002e%u002e/canary.txt",
    "/%uff0e%uff0e/canary.txt",
    "/\u{ff0e}\u{ff0e}/canary.txt",
    "/%ef%bc%8e%ef%bc%8e/canary.txt",
    "/..%ef%bc%8fcanary.txt",
    "/..%e2%88%95canary.txt",
    "/..%e2%81%84canary.txt",
    "/..%c2%a5canary.txt",
    "/inside%e2%80%8b-page.html",
    "/i%cc%87nside-page.html",
    // Overlong forms, surrogates, bytes that are no text.
    "/%c0%ae%c0%ae/canary.txt",
    "/%c0%ae%c0%ae%c0%afcanary.txt",
    "/..%c0%afcanary.txt",
    "/..%c1%9ccanary.txt",
    "/..%e0%80%afcanary.txt",
    "/..%f0%80%80%afcanary.txt",
    "/%ed%a0%ae%ed%b0%ae/canary.txt",
    "/%ff%fe/canary.txt",
    "/inside-page.html%ff",
    // Encodings that are none.
    "/%",
    "/%2",
    "/%zz/canary.txt",
    "/%%32%65%%32%65/canary.txt",
    "/%2e%2/canary.txt",
    // Control characters and cut names.
    "/inside-page.html%00",
    "/inside-page.html%00.png",
    "/%00/inside-page.html",
    "/inside-page.html%0a",
    "/inside-page.html%0d%0aX-Injected:%20yes",
    "/inside-page.html%09",
    "/inside-page.html%7f",
    "/inside-page.html%c2%85",
    // Streams and attributes of NTFS.
    "/inside-page.html::$DATA",
    "/inside-page.html%3a%3a$DATA",
    "/inside-page.html::$data",
    "/inside-page.html:",
    "/inside-page.html:stream",
    "/inside-page.html:Zone.Identifier",
    "/sub::$INDEX_ALLOCATION/inner.txt",
    "/sub:$I30:$INDEX_ALLOCATION/inner.txt",
    "/$MFT",
    "/$Extend/$ObjId",
    // Short names, and names that Windows takes for the same.
    "/INSIDE~1.HTM",
    "/inside~1.htm",
    "/INSIDE~1.HTML",
    "/inside-page.htm",
    "/inside-page.html.",
    "/inside-page.html..",
    "/inside-page.html%20",
    "/inside-page.html%20.",
    "/inside-page.html.%20",
    "/inside-page.html%2e",
    "/%20inside-page.html",
    "/sub./inner.txt",
    "/sub%20/inner.txt",
    "/INSIDE-PAGE.HTML",
    "/Inside-Page.Html",
    "/SUB/inner.txt",
    "/inside-page.html/",
    "/inside-page.html/x",
    "/inside-page.html/..",
    "/inside-page.html//..//canary.txt",
    "/inside-page*",
    "/inside-pag?.html",
    "/inside-pag%3f.html",
    "/inside<.html",
    "/inside%3e.html",
    "/\"inside-page.html\"",
    // Devices.
    "/NUL",
    "/nul.txt",
    "/CON",
    "/con.html",
    "/AUX",
    "/PRN.txt",
    "/COM1",
    "/com9.log",
    "/COM%C2%B9",
    "/LPT1",
    "/CONIN$",
    "/CONOUT$",
    "/CLOCK$",
    "/sub/NUL/inner.txt",
    "/COM1%20.txt",
    // Drives, shares, roots of other kinds.
    "/C:/Windows/win.ini",
    "/C:%5cWindows%5cwin.ini",
    "/c%3a/windows/win.ini",
    "/C|/Windows/win.ini",
    "/C:inside-page.html",
    "/Z:/etc/passwd",
    "//etc/passwd",
    "///etc/passwd",
    "/%2fetc/passwd",
    "/%2Fetc%2Fpasswd",
    "//localhost/c$/Windows/win.ini",
    "/%5c%5clocalhost%5cc$%5cWindows%5cwin.ini",
    "/\\\\localhost\\c$\\Windows\\win.ini",
    "/%5c%5c?%5cC:%5cWindows%5cwin.ini",
    "/%5c%5c.%5cpipe%5cx",
    "/%3f%3f/C:/Windows/win.ini",
    "/GLOBALROOT/Device/HarddiskVolume1/Windows/win.ini",
    "/file:///etc/passwd",
    "/proc/self/environ",
    "/dev/stdin",
    "/~root/x",
    // Parts of a target that are no path.
    "/..?/canary.txt",
    "/x;/../canary.txt",
    "/x%23/../../canary.txt",
    "/x%3f/../../canary.txt",
];

async fn site() -> Running {
    Site::new("hostile-paths")
        .file("canary.txt", CANARY)
        .file("static-private/canary.txt", CANARY)
        .file("static/inside-page.html", INSIDE)
        .file("static/sub/inner.txt", INSIDE)
        .file("static/sub/inside-page.html", INSIDE)
        .set(
            "hosts",
            "[{ routes: [{ path: /static, files: static }, { path: /all, files: static, index: [inside.html, page.html], \
             suffixes: [.html, .txt], listing: on, hidden: on, fallback: index.html }] }]",
        )
        .start()
        .await
}

/// Asks for a path, byte for byte; a refused request ends its connection, so each has one of its own.
async fn ask(running: &Running, target: &str) {
    let mut connection = running.http().await;
    connection.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n")).await;
    judge(target, &connection.response("GET").await);
    // Over HTTP/2 only what can be a path there at all.
    if target.parse::<http::uri::PathAndQuery>().is_ok()
        && target.is_ascii()
        && !target.contains(['"', '<', '>', '|', '\\'])
    {
        let response = running.http2().await.get_with(target, &[("accept", "text/html")]).await;
        judge(target, &response);
    }
}

fn judge(target: &str, response: &tidegate_tests::Response) {
    let text = response.text();
    assert!(!text.contains(CANARY) && !text.contains(INSIDE), "{target}: {response:?}");
    assert!(!text.contains("root:") && !text.contains("canary"), "{target}: {response:?}");
    assert!(response.header("x-injected").is_none(), "{target}: {response:?}");
    assert!(matches!(response.status, 400 | 404), "{target}: {response:?}");
}

#[tokio::test]
async fn no_path_leaves_the_directory_or_reaches_an_alias_of_a_file() {
    assert!(CORPUS.len() >= 80, "{}", CORPUS.len());
    let running = site().await;
    // The files are there, under their names.
    for target in ["/static/inside-page.html", "/all/inside-page", "/all/sub/inner.txt"] {
        running.get(target).await.assert_text(200, INSIDE);
    }
    for route in ["/static", "/all"] {
        for path in CORPUS {
            ask(&running, &format!("{route}{path}")).await;
        }
    }
    // The real path of the canary, in the spellings of a path within a path.
    let real = running.site.path("canary.txt");
    let encoded = |all: bool| -> String {
        let text = real.to_str().unwrap();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || (!all && b"/.-:\\".contains(&byte));
        let letter = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        text.bytes().map(letter).collect()
    };
    for path in [encoded(false), encoded(true)] {
        for route in ["/static", "/static/", "/all/", "/static/sub/", "/all/../"] {
            ask(&running, &format!("{route}{path}")).await;
        }
    }
    // Beside the prefix, and targets that are no path.
    for target in [
        "/static-private/canary.txt",
        "/staticinside-page.html",
        "/canary.txt",
        "static/inside-page.html",
        "../canary.txt",
    ] {
        ask(&running, target).await;
    }
    // The proxy is none the worse.
    running.get("/static/inside-page.html").await.assert_text(200, INSIDE);
}

#[cfg(unix)]
#[tokio::test]
async fn no_link_leads_out_of_the_directory() {
    use std::os::unix::fs::symlink;

    let running = site().await;
    let path = |name: &str| running.site.path(name);
    for (to, link) in [
        ("../canary.txt", "static/relative.txt"),
        ("../static-private", "static/private"),
        ("..", "static/up"),
        ("/", "static/slash"),
        ("/proc/self", "static/proc"),
        ("up/canary.txt", "static/twice.txt"),
        ("loop", "static/loop"),
        ("../canary.txt", "static/inside-page.html.gz"),
        ("../canary.txt", "static/sub/index.html"),
    ] {
        symlink(to, path(link)).unwrap();
    }
    symlink(path("canary.txt"), path("static/absolute.txt")).unwrap();
    symlink(path("static-private"), path("static/absolute")).unwrap();
    let etc = encode(path("canary.txt").to_str().unwrap());
    for route in ["/static", "/all"] {
        for target in [
            "/relative.txt",
            "/private/canary.txt",
            "/private/",
            "/private",
            "/up/canary.txt",
            "/up/",
            "/up/static-private/canary.txt",
            "/slash/etc/passwd",
            "/slash/",
            &format!("/slash{etc}"),
            "/proc/environ",
            "/proc/cwd/canary.txt",
            "/twice.txt",
            "/loop",
            "/loop/",
            "/absolute.txt",
            "/absolute/canary.txt",
            "/absolute/",
            "/sub/index.html",
        ] {
            ask(&running, &format!("{route}{target}")).await;
        }
        // Neither is a link sent in place of a file, as its compressed form.
        let mut connection = running.http().await;
        let asked = connection.get_with(&format!("{route}/inside-page.html"), &[("accept-encoding", "gzip")]).await;
        asked.assert_text(200, INSIDE);
    }
    // A file is known, then a link takes its place: it is forgotten, not followed.
    running.get("/static/sub/inner.txt").await.assert_text(200, INSIDE);
    std::fs::remove_file(path("static/sub/inner.txt")).unwrap();
    symlink(path("canary.txt"), path("static/sub/inner.txt")).unwrap();
    tidegate_tests::wait::eventually("the link is not followed", async || {
        let response = running.get("/static/sub/inner.txt").await;
        assert!(!response.text().contains(CANARY));
        (response.status == 404).then_some(())
    })
    .await;
}

#[cfg(unix)]
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"/.-".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
