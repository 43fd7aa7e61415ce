//! systemd's part in a socket-activated service: it reads the units that `tidegate service install` wrote, listens, and
//! starts what they name with these sockets (sd_listen_fds(3)) and a socket for READY=1 (sd_notify(3)).

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tidegate_tests::wait::{bounded, eventually};
use tidegate_tests::{Connection, Running, Site, process, program};
use tokio::net::UnixDatagram;

/// Gives the program the descriptors 3 and 4, and its own process id, as systemd does before it executes it. They come
/// as standard input and output, because those are what a child can be given.
const EXECUTE: &str = "
import os, sys
count, command = int(sys.argv[1]), sys.argv[2:]
held = [os.dup(number) for number in range(count)]
high = [os.dup2(fd, 50 + at) for at, fd in enumerate(held)]
for at, fd in enumerate(high):
    os.dup2(fd, 3 + at)
    os.close(fd)
os.closerange(3 + count, 100)
null = os.open('/dev/null', os.O_RDWR)
os.dup2(null, 0), os.dup2(null, 1), os.close(null)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count))
os.execv(command[0], command)
";

/// The service manager of one site.
pub(crate) struct Systemd {
    site: Option<Site>,
    running: Option<Running>,
    units: PathBuf,
    /// What the socket unit listens on, in its order.
    pub(crate) addresses: Vec<SocketAddr>,
    sockets: Vec<TcpListener>,
    services: Vec<(String, Child)>,
    notify: UnixDatagram,
    notify_path: PathBuf,
}

impl Systemd {
    /// Has the units of a site written and listens where they say. The site gets a listener for each protocol.
    pub(crate) async fn install(mut site: Site, protocols: &[&str]) -> Self {
        // Ports that nobody else can take meanwhile: bound now, and never given up.
        let sockets: Vec<_> = protocols.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let listeners: Vec<String> = addresses
            .iter()
            .zip(protocols)
            .map(|(address, protocol)| format!("{{ address: '{address}', protocol: {protocol} }}"))
            .collect();
        site.change("listeners", &format!("[{}]", listeners.join(", ")));
        site.write();
        let units = site.path("units");
        std::fs::create_dir(&units).unwrap();
        let directory = units.display().to_string();
        // Both programs are this user's here.
        let account = tidegate_host::machine::own_account();
        let install = ["service", "install", "--unit-dir", &directory, "--account", &account];
        let finished = site.tidegate(&install).await;
        assert_eq!(finished.code, 0, "{finished:?}");
        let notify_path = std::env::temp_dir().join(format!("tgs{}-{}", std::process::id(), addresses[0].port()));
        let notify = UnixDatagram::bind(&notify_path).unwrap();
        let this = Self {
            site: Some(site),
            running: None,
            units,
            addresses,
            sockets,
            services: Vec::new(),
            notify,
            notify_path,
        };
        let streams: Vec<String> = this.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(this.settings("tidegate-proxy.socket", "ListenStream"), streams);
        assert_eq!(this.settings("tidegate-proxy.service", "Requires"), ["tidegate-proxy.socket"]);
        assert!(this.settings("tidegate-proxy.service", "After").contains(&"tidegate-appserver.service".to_owned()));
        this
    }

    /// Values of a setting of a unit.
    fn settings(&self, unit: &str, key: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.units.join(unit)).unwrap();
        text.lines().filter_map(|line| Some(line.strip_prefix(key)?.strip_prefix('=')?.to_owned())).collect()
    }

    /// Starts a service by its unit's own command line and waits for its READY=1.
    pub(crate) async fn start(&mut self, name: &str) {
        let command = self.settings(&format!("{name}.service"), "ExecStart").remove(0);
        let words: Vec<&str> = command.trim_matches('"').split("\" \"").collect();
        let log = File::options().create(true).append(true).open(self.log(name)).unwrap();
        let mut child = Command::new(program::python());
        let given = if name.ends_with("proxy") { self.sockets.len() } else { 0 };
        child.args(["-c", EXECUTE, &given.to_string()]).args(words).stderr(log);
        child.env("NOTIFY_SOCKET", &self.notify_path);
        let mut sockets = self.sockets.iter().take(given).map(|socket| OwnedFd::from(socket.try_clone().unwrap()));
        child.stdin(sockets.next().map_or_else(Stdio::null, Stdio::from));
        child.stdout(sockets.next().map_or_else(Stdio::null, Stdio::from));
        self.services.push((name.to_owned(), child.spawn().unwrap()));
        self.heard("READY=1").await;
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) async fn stop(&mut self, name: &str) {
        let at = self.services.iter().position(|(known, _)| known == name).unwrap();
        let (_, mut child) = self.services.remove(at);
        process::signal(child.id(), "TERM");
        self.heard("STOPPING=1").await;
        let status = eventually("the service's end", async || child.try_wait().unwrap()).await;
        assert!(status.success(), "{name}: {status}");
    }

    async fn heard(&self, word: &str) {
        let mut message = [0; 64];
        let length = bounded(word, self.notify.recv(&mut message)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&message[..length]), word);
    }

    fn log(&self, name: &str) -> PathBuf {
        self.units.join(format!("{name}.log"))
    }

    /// Waits for a line of a service's log.
    pub(crate) async fn wait_log(&self, name: &str, texts: &[&str]) {
        let found = async || {
            let log = std::fs::read_to_string(self.log(name)).unwrap();
            log.lines().any(|line| texts.iter().all(|text| line.contains(text))).then_some(())
        };
        eventually(&format!("a line of {name} with {texts:?}"), found).await;
    }

    pub(crate) async fn wait_until_ready(&mut self) {
        match (self.site.take(), &mut self.running) {
            (Some(site), _) => self.running = Some(Running::started_elsewhere(site).await),
            (None, running) => running.as_mut().unwrap().find_again().await,
        }
    }

    /// Waits until this proxy has answered so many requests.
    pub(crate) async fn wait_for_requests(&mut self, count: f64) {
        self.wait_until_ready().await;
        let running = self.running.as_ref().unwrap();
        running.wait_metric_at_least("tidegate_http_requests_total", &[], count).await;
    }

    /// The site's listeners, as they stand in its file.
    pub(crate) fn listeners(&self) -> String {
        let yaml = self.running.as_ref().unwrap().site.yaml();
        yaml.lines().find_map(|line| line.strip_prefix("listeners: ")).unwrap().to_owned()
    }

    /// Changes the listeners and reloads.
    pub(crate) async fn reload(&mut self, listeners: &str) {
        let running = self.running.as_mut().unwrap();
        running.site.change("listeners", listeners);
        running.site.write();
        let finished = running.tidegate(&["reload"]).await;
        assert_eq!(finished.code, 0, "{finished:?}");
    }

    /// Where the proxy says that it listens.
    pub(crate) async fn reported(&self) -> Vec<SocketAddr> {
        let report = self.running.as_ref().unwrap().status().await.proxy.unwrap();
        report.listeners.iter().map(|listener| listener.address.parse().unwrap()).collect()
    }

    /// The status of a page.
    pub(crate) async fn get(&self, address: SocketAddr, path: &str) -> u16 {
        Connection::plain(address).await.get(path).await.status
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        for (name, child) in &mut self.services {
            let _ = child.kill();
            let _ = child.wait();
            if std::thread::panicking() {
                eprintln!("--- log of {name}\n{}", read(&self.units.join(format!("{name}.log"))));
            }
        }
        let _ = std::fs::remove_file(&self.notify_path);
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
