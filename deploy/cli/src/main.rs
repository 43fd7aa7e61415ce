//! `tidegate`, the operator's command: writes and checks site files, runs the pair of programs, and
//! talks to a running pair over its control channel. It never serves a request and never imports an
//! app: that is left to the programs beside it.
//!
//! # Layout
//!
//! - `args`: the command line; a file for each command that has more than a few options
//! - `init`, `check`, `doctor`, `up`, `status`, `top`, `logs`, `reload`, `maintenance`, `hash_password`, `certificate`,
//!   `service`: a module for each command
//! - `control`: the running pair
//! - `store_key`: who may use the keys of the Windows certificate store
//! - `password`: one that is typed or comes on standard input
//! - `finding`, `failure`, `table`, `style`: what commands say

mod args;
mod certificate;
mod check;
mod code;
mod control;
mod doctor;
mod failure;
mod finding;
mod hash_password;
mod init;
mod logs;
mod maintenance;
mod password;
mod reload;
mod service;
mod site_file;
mod status;
mod store_key;
mod style;
mod table;
mod top;
mod up;

use std::io::{IsTerminal as _, stderr, stdout};
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Arguments, Command};
use crate::failure::Failure;
use crate::style::Style;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let out = Style::choose(arguments.color, stdout().is_terminal());
    let err = Style::choose(arguments.color, stderr().is_terminal());
    match run(&arguments, out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!("{}", failure.show(err));
            ExitCode::from(failure.exit())
        }
    }
}

fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    // One thread is enough for a command that waits; children are reaped by threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("failed to start: {error}")))?;
    let config = &site_file::choose(arguments)?;
    match &arguments.command {
        Command::Init(init) => crate::init::run(init, style),
        Command::Check(check) => runtime.block_on(crate::check::run(config, check, style)),
        Command::Doctor(doctor) => runtime.block_on(crate::doctor::run(config, doctor, style)),
        Command::Up(up) => runtime.block_on(crate::up::run(config, up, style)),
        Command::Status(status) => runtime.block_on(crate::status::run(config, status, style)),
        Command::Top(top) => runtime.block_on(crate::top::run(config, top, style)),
        Command::Logs(logs) => runtime.block_on(crate::logs::run(config, logs, style)),
        Command::Maintenance(order) => runtime.block_on(crate::maintenance::run(config, order, style)),
        Command::HashPassword(arguments) => crate::hash_password::run(arguments),
        Command::Certificate(command) => crate::certificate::run(command, style),
        Command::Reload => runtime.block_on(crate::reload::run(config, style)),
        Command::Service(service) => runtime.block_on(crate::service::run(config, service, style)),
    }
}
