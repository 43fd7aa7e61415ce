//! Where a site file is: its one absolute name, and what is derived from it. Called by
//! [`crate::load`]; every spelling of a path to one file leads to the same endpoints.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The absolute path of a file with links resolved, as people write it.
pub(crate) fn canonical(file: &Path) -> io::Result<PathBuf> {
    let path = std::fs::canonicalize(file)?;
    match path.to_str().map(without_verbatim_prefix) {
        Some(plain) if Path::new(plain) != path => Ok(PathBuf::from(plain)),
        _ => Ok(path),
    }
}

/// Distinguishes a site's endpoints from those of others on the host.
pub(crate) fn instance(canonical: &Path) -> String {
    let mut digits = hexadecimal_digest(canonical.as_os_str().as_encoded_bytes());
    digits.truncate(16);
    digits
}

/// Lower-case hexadecimal SHA-256.
pub(crate) fn hexadecimal_digest(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// `\\?\C:\x` becomes `C:\x`: Python, and people, know the plain form. Other verbatim paths
/// (`\\?\UNC\...`, volumes) mean something else without the prefix and stay.
fn without_verbatim_prefix(path: &str) -> &str {
    match path.strip_prefix(r"\\?\") {
        Some(rest) => match rest.as_bytes() {
            [drive, b':', b'\\', ..] if drive.is_ascii_alphabetic() => rest,
            _ => path,
        },
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_drive_paths_lose_the_prefix() {
        for (path, plain) in [
            (r"\\?\C:\apps\shop\tidegate.yaml", r"C:\apps\shop\tidegate.yaml"),
            (r"\\?\c:\", r"c:\"),
            (r"\\?\UNC\server\share\x", r"\\?\UNC\server\share\x"),
            (r"\\?\Volume{0}\x", r"\\?\Volume{0}\x"),
            (r"\\?\C:", r"\\?\C:"),
            (r"\\server\share", r"\\server\share"),
            (r"C:\x", r"C:\x"),
            ("/srv/shop", "/srv/shop"),
        ] {
            assert_eq!(without_verbatim_prefix(path), plain);
        }
    }

    #[test]
    fn digests_are_sha_256() {
        assert_eq!(hexadecimal_digest(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(instance(Path::new("abc")), "ba7816bf8f01cfea");
    }
}
