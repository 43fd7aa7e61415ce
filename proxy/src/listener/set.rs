//! The listeners in force: binds new ones for a reload, keeps the sockets of those that stay, and ends those that are
//! gone without dropping a connection. Used by `reload`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use parking_lot::Mutex;
use tidegate_contract::ListenerReport;
use tidegate_site::{Protocol, Site};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::accept::{self, Bound};
use super::service::Service;
use super::tls::Config;
use crate::shared::Shared;

/// The listeners of the site in force.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    running: Vec<Running>,
    next: u64,
}

/// A listener that serves.
#[derive(Debug)]
struct Running {
    number: u64,
    configured: SocketAddr,
    address: SocketAddr,
    service: Arc<ArcSwap<Service>>,
    config: Option<Config>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What a site's listeners will be; nothing changes until [`Listeners::commit`].
#[derive(Debug)]
pub(crate) struct Plan(Vec<Planned>);

#[derive(Debug)]
struct Planned {
    configured: SocketAddr,
    address: SocketAddr,
    protocol: Protocol,
    balancers: Vec<IpNet>,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    /// That of the running listener with this number.
    Kept(u64),
    /// Bound already; closed again if nothing comes of the plan.
    New(Bound),
}

impl Listeners {
    /// Finds the running listener for each of the site's, or binds a new one.
    pub(crate) fn plan(&self, site: &Site) -> io::Result<Plan> {
        let state = self.0.lock();
        let mut kept: Vec<u64> = Vec::new();
        let mut plan = Vec::with_capacity(site.listeners.len());
        for listener in &site.listeners {
            let mut free = state.running.iter().filter(|running| {
                let fits = running.configured == listener.address && !kept.contains(&running.number);
                // Of several on ports that the system chose, each keeps what it speaks.
                fits && (listener.address.port() != 0 || running.speaks_like(listener.protocol))
            });
            let balancers = listener.proxy_protocol.clone();
            let planned = match free.next() {
                Some(running) => {
                    kept.push(running.number);
                    let socket = Socket::Kept(running.number);
                    Planned {
                        configured: listener.address,
                        address: running.address,
                        protocol: listener.protocol,
                        balancers,
                        socket,
                    }
                }
                None => {
                    let bound = Bound::new(listener.address)?;
                    let (address, socket) = (bound.address, Socket::New(bound));
                    Planned { configured: listener.address, address, protocol: listener.protocol, balancers, socket }
                }
            };
            plan.push(planned);
        }
        resolve_redirects(&mut plan);
        let wanted: Vec<SocketAddr> = site.listeners.iter().map(|listener| listener.address).collect();
        for address in tidegate_host::given_in_vain(&wanted) {
            warn!(
                %address,
                "the service manager listens here, the site does not: clients wait in vain until `tidegate service install`, \
                 `stop` and `start`"
            );
        }
        Ok(Plan(plan))
    }

    /// TLS configurations in force.
    pub(crate) fn configs(&self) -> Vec<Config> {
        self.0.lock().running.iter().filter_map(|running| running.config.clone()).collect()
    }

    /// Puts a plan in force, with a TLS configuration for each that speaks TLS, in the plan's order. Listeners that
    /// are not in it accept no more, and their connections end when what runs on them is answered.
    pub(crate) fn commit(&self, plan: Plan, configs: Vec<Option<Config>>, shared: &Arc<Shared>) {
        let mut state = self.0.lock();
        let mut before = std::mem::take(&mut state.running);
        for (planned, config) in plan.0.into_iter().zip(configs) {
            let Planned { configured, address, protocol, balancers, socket } = planned;
            match socket {
                Socket::Kept(number) => {
                    // It is there: reloads follow one another.
                    if let Some(at) = before.iter().position(|running| running.number == number) {
                        let mut running = before.swap_remove(at);
                        running.change(protocol, balancers, config);
                        state.running.push(running);
                    }
                }
                Socket::New(bound) => {
                    let service = Arc::new(ArcSwap::from_pointee(Service::new(protocol, balancers, config.as_ref())));
                    let (stop, stopped) = watch::channel(false);
                    let from = if bound.given { "service manager" } else { "own" };
                    let task = accept::serve(bound, Arc::clone(&service), Arc::clone(shared), stopped);
                    let task = tokio::spawn(task);
                    info!(%address, protocol = name(protocol), socket = from, "listening");
                    state.next += 1;
                    let number = state.next;
                    state.running.push(Running { number, configured, address, service, config, stop, task });
                }
            }
        }
        for gone in before {
            info!(address = %gone.address, "no longer listening");
            shared.metrics.forget_listener(&gone.address.to_string());
            gone.end();
        }
    }

    /// Gives the listeners other TLS configurations, in the order of the site that is in force.
    pub(crate) fn change_tls(&self, configs: Vec<Option<Config>>) {
        for (running, config) in self.0.lock().running.iter_mut().zip(configs) {
            let service = running.service.load_full();
            running.change(service.protocol, service.balancers.clone(), config);
        }
    }

    /// What the listeners are, for who asks.
    pub(crate) fn report(&self) -> Vec<ListenerReport> {
        let state = self.0.lock();
        state.running.iter().map(|running| report(running.address, running.service.load().protocol)).collect()
    }

    /// Ends all of them, and returns when none accepts any more.
    pub(crate) async fn stop(&self) {
        let all = std::mem::take(&mut self.0.lock().running);
        let tasks: Vec<JoinHandle<()>> = all.into_iter().map(Running::end).collect();
        for task in tasks {
            // A panic in the accept loop has been logged by the panic hook.
            let _ = task.await;
        }
    }
}

impl Running {
    fn speaks_like(&self, protocol: Protocol) -> bool {
        std::mem::discriminant(&self.service.load().protocol) == std::mem::discriminant(&protocol)
    }

    /// Where nothing changes for clients, connections stay as they are. Else those from before end when what runs on
    /// them is answered: one that a new authority would not let in must not stay for ever.
    fn change(&mut self, protocol: Protocol, balancers: Vec<IpNet>, config: Option<Config>) {
        let next = Service::new(protocol, balancers, config.as_ref());
        self.config = config;
        if !self.service.load().is_like(&next) {
            self.service.swap(Arc::new(next)).retire();
        }
    }

    fn end(self) -> JoinHandle<()> {
        self.stop.send_replace(true);
        self.service.load().retire();
        self.task
    }
}

/// A redirect to an https listener whose port the system chose names the port it got.
fn resolve_redirects(plan: &mut [Planned]) {
    let https = plan.iter().find(|planned| planned.protocol == Protocol::Https).map(|planned| planned.address.port());
    for planned in plan {
        if let (Protocol::Redirect { https_port: 0 }, Some(https_port)) = (planned.protocol, https) {
            planned.protocol = Protocol::Redirect { https_port };
        }
    }
}

fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Https => "https",
        Protocol::Http => "http",
        Protocol::Redirect { .. } => "redirect",
    }
}

fn report(address: SocketAddr, protocol: Protocol) -> ListenerReport {
    let tls = protocol == Protocol::Https;
    let scheme = if tls { "https" } else { "http" };
    let host = match address.ip() {
        ip if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
        std::net::IpAddr::V4(ip) => ip.to_string(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let port = address.port();
    let port = if port == if tls { 443 } else { 80 } { String::new() } else { format!(":{port}") };
    ListenerReport {
        address: address.to_string(),
        url: format!("{scheme}://{host}{port}/"),
        tls,
        redirects: matches!(protocol, Protocol::Redirect { .. }),
    }
}
