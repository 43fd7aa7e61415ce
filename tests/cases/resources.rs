//! What Windows shows of the programs and asks of them: version information and manifest, and paths as long as that allows.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

/// Asks Windows' own functions, as Explorer does: product, version, description, company, and the manifest.
#[cfg(windows)]
const READ: &str = r#"
import ctypes, sys
from ctypes import byref, c_size_t, c_uint, c_void_p, c_wchar_p

def said(path, key):
    version = ctypes.windll.version
    size = version.GetFileVersionInfoSizeW(c_wchar_p(path), None)
    block = ctypes.create_string_buffer(size)
    assert size and version.GetFileVersionInfoW(c_wchar_p(path), 0, size, block), path
    value, length = c_void_p(), c_uint()
    query = c_wchar_p('\\StringFileInfo\\040904B0\\' + key)
    assert version.VerQueryValueW(block, query, byref(value), byref(length)), key
    return ctypes.wstring_at(value.value)

def manifest(path):
    kernel = ctypes.windll.kernel32
    for name in ('LoadLibraryExW', 'FindResourceW', 'LoadResource', 'LockResource'):
        getattr(kernel, name).restype = c_void_p
    module = c_void_p(kernel.LoadLibraryExW(c_wchar_p(path), None, 2))
    found = c_void_p(kernel.FindResourceW(module, c_void_p(1), c_void_p(24)))
    if not found:
        return 'no manifest'
    size = kernel.SizeofResource(module, found)
    bytes = ctypes.string_at(kernel.LockResource(c_void_p(kernel.LoadResource(module, found))), size)
    return ' '.join(bytes.decode().split())

path = sys.argv[1]
for key in ('ProductName', 'ProductVersion', 'FileDescription', 'CompanyName', 'LegalCopyright', 'OriginalFilename'):
    print(key, said(path, key))
print(manifest(path))
"#;

#[cfg(windows)]
#[tokio::test]
async fn every_program_says_what_it_is_and_wants_long_paths_and_utf_8() {
    use tidegate_tests::program::{executable, python, run};

    let command = executable("tidegate");
    let directory = command.parent().unwrap();
    for (name, description) in [
        ("tidegate.exe", "command"),
        ("tidegate-proxy.exe", "proxy"),
        ("tidegate-appserver.exe", "Tidegate"),
        ("tidegate_worker.dll", "worker"),
    ] {
        let path = directory.join(name).display().to_string();
        let finished = run(python(), ["-c", READ, &path], None, &[]).await;
        assert_eq!(finished.code, 0, "{name}: {finished:?}");
        let said = finished.stdout;
        for expected in [
            "ProductName Tidegate".to_owned(),
            format!("ProductVersion {}", env!("CARGO_PKG_VERSION")),
            "CompanyName Tidegate maintainers".to_owned(),
            "LegalCopyright Tidegate maintainers, Apache-2.0 OR MIT".to_owned(),
            format!("OriginalFilename {name}"),
        ] {
            assert!(said.lines().any(|line| line == expected), "{name}: {expected}: {said}");
        }
        let described = said.lines().find(|line| line.starts_with("FileDescription")).unwrap();
        assert!(described.contains(description), "{name}: {described}");
        let manifest = said.lines().last().unwrap();
        if name.ends_with(".dll") {
            assert_eq!(manifest, "no manifest");
            continue;
        }
        for expected in [">true</longPathAware>", ">UTF-8</activeCodePage>", "asInvoker", "8e0f7a12-bfb3-4fe8-b9a5"] {
            assert!(manifest.contains(expected), "{name}: {expected}: {manifest}");
        }
    }
}

/// Windows' old functions end at 260 characters.
const DEEP: &str = "a-directory-with-a-name-of-some-length/a-directory-with-a-name-of-some-length/\
                    a-directory-with-a-name-of-some-length/a-directory-with-a-name-of-some-length/\
                    a-directory-with-a-name-of-some-length/a-directory-with-a-name-of-some-length/\
                    a-directory-with-a-name-of-some-length/a-directory-with-a-name-of-some-length";

#[tokio::test]
async fn what_the_programs_keep_may_lie_deeper_than_260_characters() {
    let site = tidegate_tests::Site::new("deep state")
        .app("shop", "mirror:app", &[])
        .set("state_dir", &format!("'{DEEP}/state'"))
        .set("limits", "{ buffer_memory: 4KiB }");
    let running = site.start().await;
    // The self-signed certificate and the buffers are kept there.
    assert!(running.site.path(&format!("{DEEP}/state/development.pem")).is_file());
    let response = running.http().await.post("/", &[], &vec![b'x'; 200 << 10]).await;
    assert_eq!(response.status, 200, "{response:?}");
}

#[tokio::test]
#[cfg_attr(windows, ignore = "Wine's GetFinalPathNameByHandleW ends at 260 characters; selftest.ps1 has it on Windows")]
async fn static_files_may_lie_deeper_than_260_characters() {
    let routes = format!("[{{ routes: [{{ path: /static, files: '{DEEP}' }}, {{ path: /, app: shop }}] }}]");
    let site = tidegate_tests::Site::new("deep files").app("shop", "mirror:app", &[]).set("hosts", &routes);
    let running = site.file(&format!("{DEEP}/far.txt"), "far").start().await;
    let response = running.get("/static/far.txt").await;
    assert_eq!((response.status, response.text().as_str()), (200, "far"));
}
