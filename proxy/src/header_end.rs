//! Where the header of an HTTP/1.1 message ends: a request's in `session`, a response's in `upstream`.

use std::sync::LazyLock;

use memchr::memmem;

static END: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"\r\n\r\n"));

/// Where the header ends, its empty line included. `searched` bytes are known to hold no end.
pub(crate) fn find(buffer: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3).min(buffer.len());
    END.find(&buffer[from..]).map(|at| from + at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_over_the_seam_of_two_reads() {
        let header = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody";
        for searched in 0..header.len() - 7 {
            assert_eq!(find(header, searched), Some(header.len() - 4), "{searched}");
        }
        assert_eq!(find(b"GET / HTTP/1.1\r\n", 0), None);
    }
}
