//! What a worker prints becomes log records, line by line. One task for each stream of each
//! process, owned by its `worker`; ends with the stream and never holds more than one line.

use tidegate_log::APP_OUTPUT;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Longer lines are cut: one record stays readable, and memory bounded.
const LONGEST_LINE: usize = 16 << 10;

/// Whose output it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) app: &'a str,
    pub(crate) slot: u32,
    pub(crate) pid: u32,
    pub(crate) stream: &'static str,
}

/// Logs every line until the stream ends.
pub(crate) async fn log_lines(source: Source<'_>, mut stream: impl AsyncRead + Unpin) {
    let mut chunk = vec![0; 8 << 10];
    let mut splitter = Splitter::default();
    let mut log = |line: &str| {
        let Source { app, slot, pid, stream } = source;
        tracing::info!(target: APP_OUTPUT, app, worker = slot, pid, stream, "{line}");
    };
    loop {
        match stream.read(&mut chunk).await {
            // A broken pipe ends the stream like its end does: the process has gone.
            Ok(0) | Err(_) => break,
            Ok(length) => splitter.feed(&chunk[..length], &mut log),
        }
    }
    splitter.finish(&mut log);
}

/// Splits bytes into lines.
#[derive(Debug, Default)]
struct Splitter {
    line: Vec<u8>,
    /// The rest of the current line is dropped.
    cut: bool,
}

impl Splitter {
    fn feed(&mut self, bytes: &[u8], line: &mut impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let ends = piece.last() == Some(&b'\n');
            let content = if ends { &piece[..piece.len() - 1] } else { piece };
            if !self.cut {
                let room = LONGEST_LINE - self.line.len();
                self.line.extend_from_slice(&content[..content.len().min(room)]);
                if content.len() > room {
                    self.cut = true;
                    self.line.extend_from_slice(b" ... (cut)");
                }
            }
            if ends {
                self.finish(line);
            }
        }
    }

    /// The stream or the line has ended. Blank lines say nothing in a log of records.
    fn finish(&mut self, line: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end();
        if !text.is_empty() {
            line(text);
        }
        self.line.clear();
        self.cut = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_they_arrive() {
        let long = "x".repeat(LONGEST_LINE);
        let cut = format!("{long} ... (cut)");
        let cases: [(&[&str], &[&str]); 5] = [
            (&["a\nb\r\n", "\n \nc"], &["a", "b", "c"]),
            (&["spl", "it\n"], &["split"]),
            (&[&long, "\nnext\n"], &[&long, "next"]),
            (&[&long, "yy", "zz\nnext"], &[&cut, "next"]),
            (&[], &[]),
        ];
        for (chunks, expected) in cases {
            let mut lines = Vec::new();
            let mut splitter = Splitter::default();
            for chunk in chunks {
                splitter.feed(chunk.as_bytes(), &mut |line| lines.push(line.to_owned()));
            }
            splitter.finish(&mut |line| lines.push(line.to_owned()));
            assert_eq!(lines, expected);
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_stop_the_log() {
        let mut lines = Vec::new();
        Splitter::default().feed(b"\xff\xfe caf\xc3\xa9\n", &mut |line| lines.push(line.to_owned()));
        assert_eq!(lines, ["\u{fffd}\u{fffd} café"]);
    }
}
