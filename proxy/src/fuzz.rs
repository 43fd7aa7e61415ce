//! What the fuzz targets of `tests/fuzz` call: functions that take any bytes and panic where a property does not hold.
//! The tests here call them with the corpora in the repository, on every system. Not built otherwise.

pub use crate::listener::fuzz_proxy_protocol as proxy_protocol;
pub use crate::request::fuzz::{accept_encoding, chunks, forwarded, raw_header};
pub use crate::static_files::fuzz::{conditional, range, static_path};
pub use crate::upstream::fuzz::response;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    /// Calls the target with each input of its corpus.
    fn replay(name: &str, target: fn(&[u8])) {
        // Cargo says where the package is when the test runs; the constant knows where it was built.
        let package =
            std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let corpus = package.join("../tests/fuzz/corpus").join(name);
        let mut inputs = 0;
        for entry in std::fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display())) {
            let path = entry.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            if std::panic::catch_unwind(|| target(&input)).is_err() {
                panic!("{}", path.display());
            }
            inputs += 1;
        }
        assert!(inputs > 0, "{}", corpus.display());
    }

    #[test]
    fn every_property_holds_for_the_kept_inputs() {
        replay("accept_encoding", super::accept_encoding);
        replay("chunks", super::chunks);
        replay("conditional", super::conditional);
        replay("forwarded", super::forwarded);
        replay("proxy_protocol", super::proxy_protocol);
        replay("range", super::range);
        replay("raw_header", super::raw_header);
        replay("response", super::response);
        replay("static_path", super::static_path);
    }
}
