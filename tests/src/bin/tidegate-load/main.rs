//! `tidegate-load`: closed-loop users against a server on this machine. Run by `cargo xtask measure`, by the cases, and
//! by hand.
//!
//! Each user keeps one connection and sends its next request when the answer to the last one is complete; with `--slow`
//! each is a client that moves a byte a second. It is cheap
//! on purpose, because it shares the machine with what it measures: no allocation and one timer a request, certificates
//! unchecked. It never talks to anything but this machine, and always ends.

mod framing;
mod options;
mod report;
mod session;
mod slow;
mod tally;
mod target;
mod users;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;

use options::Options;
use target::Target;

fn main() -> ExitCode {
    let options = Arc::new(Options::parse());
    let target = match Target::new(&options) {
        Ok(target) => target,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    // A thousand users are a thousand sockets. Where the limit stays low the connections fail and are counted.
    let _ = tidegate_host::raise_file_limit();
    match users::run(&options, &Arc::new(target)) {
        Ok(result) => {
            print!("{}", if options.json { report::json(&result) } else { report::table(&result) });
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
