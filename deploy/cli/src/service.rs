//! `tidegate service`: installs the pair as services of the system and drives them. What a service is on which system
//! is known to `tidegate_host` alone.

mod account;
mod advice;
mod code;
mod data;
mod install;
pub(crate) mod needs;
mod pair;
pub(crate) mod places;
mod remembered;
mod start;
mod status;
mod stop;
mod takeover;
pub(crate) mod writable;

use std::path::Path;
use std::time::Duration;

use tidegate_host::ServiceState;
use tidegate_site::Site;

use crate::args;
use crate::failure::Failure;
use crate::style::Style;

pub(crate) use advice::failed;
pub(crate) use pair::{PARTS, Pair, site_file};

/// Between two looks at a service that starts or stops.
const LOOK: Duration = Duration::from_millis(200);
/// Beyond what the site file allows the programs to take.
const MARGIN: Duration = Duration::from_secs(15);

/// Runs the command.
pub(crate) async fn run(config: &Path, command: &args::Service, style: Style) -> Result<(), Failure> {
    match command {
        args::Service::Install(arguments) if arguments.all => install::all(style),
        args::Service::Install(arguments) => {
            let site = load(config)?;
            install::run(&site, arguments, style)?;
            if arguments.start { start::start(&site, &Pair::of(&arguments.set), style).await } else { Ok(()) }
        }
        args::Service::Uninstall(arguments) => stop::uninstall(arguments).await,
        args::Service::Start(arguments) => start::run(config, arguments, style).await,
        args::Service::Stop(arguments) => stop::run(arguments).await,
        args::Service::Restart(chosen) => start::restart(config, chosen, style).await,
        args::Service::Reload(set) => reload(&Pair::of(set)),
        args::Service::Status(chosen) => status::run(chosen, style),
    }
}

fn load(config: &Path) -> Result<Site, Failure> {
    tidegate_site::load(config).map_err(|error| Failure::configuration(config, &error))
}

fn reload(pair: &Pair) -> Result<(), Failure> {
    // The app server coordinates it; the proxy follows.
    let name = pair.name(PARTS[0]);
    if state(&name)? == ServiceState::Missing {
        return Err(missing(&name));
    }
    tidegate_host::reload_service(&name).map_err(failed)?;
    println!("service {name} loads the site file anew; its log says how that ends");
    Ok(())
}

fn state(name: &str) -> Result<ServiceState, Failure> {
    tidegate_host::service_state(name).map_err(failed)
}

fn missing(name: &str) -> Failure {
    Failure::new(format!("there is no service {name}"))
        .next("`tidegate service install` makes it; --name names another set, and `status --all` shows all")
}
