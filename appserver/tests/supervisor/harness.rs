//! A site in a directory of its own, an app server that runs in this process, and a proxy or a
//! command that speaks to it. Every wait ends after a minute: a test that hangs fails.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tidegate_appserver::{RunError, WorkerProgram};
use tidegate_contract::{AppState, FromServer, Lines, PROTOCOL, PoolState, Role, ToServer, WorkerPhase, WorkerState};
use tidegate_host::{Endpoint, LocalStream, Signal};
use tidegate_site::Site;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

static SITES: AtomicU32 = AtomicU32::new(0);

/// Waits for something that has to happen.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

pub(crate) struct TestSite {
    directory: PathBuf,
}

impl TestSite {
    /// A site whose one app, `shop`, has these further settings.
    pub(crate) fn new(settings: &str) -> Self {
        let number = SITES.fetch_add(1, Ordering::Relaxed);
        // Short: the path of a Unix socket has 108 bytes.
        let directory = std::env::temp_dir().join(format!("tg{}-{number}", std::process::id()));
        std::fs::create_dir_all(directory.join("app")).unwrap();
        let site = Self { directory };
        site.behave("serve");
        site.configure(settings);
        site
    }

    pub(crate) fn configure(&self, settings: &str) {
        let text = format!(
            "version: 1\nruntime_dir: run\nmetrics: off\napps:\n  shop:\n    wsgi: shop:app\n    directory: app\n\
             \x20   heartbeat: 50ms\n    {}\n",
            settings.replace('\n', "\n    ")
        );
        std::fs::write(self.file(), text).unwrap();
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join("tidegate.yaml")
    }

    pub(crate) fn load(&self) -> Site {
        tidegate_site::load(&self.file()).unwrap()
    }

    /// What workers do that start from now on.
    pub(crate) fn behave(&self, behaviour: &str) {
        std::fs::write(self.app("behaviour"), behaviour).unwrap();
    }

    /// The message that a worker sends when it gets SIGUSR1.
    pub(crate) fn order(&self, message: &str) {
        std::fs::write(self.app("order"), format!("{message}\n")).unwrap();
    }

    /// What the workers have written into this file.
    pub(crate) fn noted(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.app(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn app(&self, name: &str) -> PathBuf {
        self.directory.join("app").join(name)
    }
}

impl Drop for TestSite {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub(crate) fn fake_worker() -> WorkerProgram {
    WorkerProgram {
        bootstrap: include_str!("fake_worker.py").to_owned(),
        library: PathBuf::from("unused"),
        development: false,
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(name: &str, pid: u32) {
    let status = std::process::Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(status.success(), "kill -s {name} {pid}");
}

pub(crate) fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

pub(crate) struct RunningServer {
    pub(crate) signals: mpsc::Sender<Signal>,
    task: JoinHandle<Result<(), RunError>>,
    site: Site,
}

impl RunningServer {
    pub(crate) fn start(site: &TestSite) -> Self {
        let (signals, receiver) = mpsc::channel(4);
        let site = site.load();
        if std::env::var_os("TIDEGATE_TEST_LOG").is_some() {
            let logged = tidegate_log::init(
                "appserver",
                &tidegate_site::Log { level: tidegate_site::Level::Debug, ..site.log.clone() },
            );
            logged.unwrap();
        }
        let task = tokio::spawn(tidegate_appserver::run(site.clone(), fake_worker(), receiver));
        Self { signals, task, site }
    }

    pub(crate) async fn connect(&self, role: Role) -> Peer {
        self.open().await.greeted(role).await
    }

    /// A connection that has said nothing yet.
    pub(crate) async fn open(&self) -> Peer {
        Peer::open(&self.site.control_endpoint()).await
    }

    pub(crate) async fn finish(self) -> Result<(), RunError> {
        soon("the server's end", self.task).await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.signals.send(Signal::Stop).await.unwrap();
        self.finish().await.unwrap();
    }
}

/// A site with these settings whose one worker is ready, and a proxy that knows it.
pub(crate) async fn one_worker(settings: &str) -> (TestSite, RunningServer, Peer) {
    let site = TestSite::new(settings);
    let server = RunningServer::start(&site);
    let mut proxy = server.connect(Role::Proxy).await;
    proxy.until_phases(&[(1, WorkerPhase::Ready)]).await;
    (site, server, proxy)
}

/// A proxy or a command.
pub(crate) struct Peer {
    lines: Lines<ReadHalf<LocalStream>>,
    writer: WriteHalf<LocalStream>,
    pub(crate) pool: PoolState,
}

impl Peer {
    /// A connection that has said nothing yet.
    pub(crate) async fn open(endpoint: &Endpoint) -> Self {
        let connect = async {
            loop {
                // The server may not have bound it yet.
                match tidegate_host::connect(endpoint, Instant::now() + PATIENCE).await {
                    Ok(stream) => return stream,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let (reader, writer) = tokio::io::split(soon("the endpoint", connect).await);
        Self { lines: Lines::new(reader), writer, pool: PoolState::default() }
    }

    pub(crate) async fn greeted(mut self, role: Role) -> Self {
        self.say(&ToServer::Hello { protocol: PROTOCOL, version: "test".to_owned(), role }).await;
        assert!(matches!(self.hear().await, Some(FromServer::Hello { protocol: PROTOCOL, .. })));
        self
    }

    pub(crate) async fn say(&mut self, message: &ToServer) {
        Lines::write(&mut self.writer, message).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Option<FromServer> {
        soon("a message", self.next()).await
    }

    /// What is closed for maintenance is said to every proxy, and is nothing to the cases.
    async fn next(&mut self) -> Option<FromServer> {
        loop {
            match self.lines.next().await.unwrap_or_default() {
                Some(FromServer::Maintenance(_)) => {}
                other => return other,
            }
        }
    }

    /// The next message that is no state of the pool; states on the way are kept.
    pub(crate) async fn hear_other(&mut self) -> FromServer {
        loop {
            match self.hear().await.expect("the channel is open") {
                FromServer::Pool(pool) => self.pool = pool,
                other => return other,
            }
        }
    }

    /// Follows the pool's state until this holds.
    pub(crate) async fn until(&mut self, what: &str, condition: impl Fn(&AppState) -> bool) {
        let follow = async {
            while !self.pool.apps.first().is_some_and(&condition) {
                match self.next().await {
                    Some(FromServer::Pool(pool)) => self.pool = pool,
                    other => panic!("waited for {what}, got {other:?}"),
                }
            }
        };
        soon(what, follow).await;
    }

    pub(crate) async fn until_phases(&mut self, expected: &[(u64, WorkerPhase)]) {
        self.until(&format!("{expected:?}"), |app| phases(app) == expected).await;
    }

    pub(crate) fn app(&self) -> &AppState {
        &self.pool.apps[0]
    }

    pub(crate) fn worker(&self, generation: u64) -> &WorkerState {
        self.app().workers.iter().find(|worker| worker.generation == generation).unwrap()
    }

    pub(crate) fn restarts(&self) -> Vec<(&'static str, u64)> {
        let counted = self.app().restarts.iter().filter(|(_, count)| *count > 0);
        counted.map(|(reason, count)| (reason.label(), *count)).collect()
    }
}

pub(crate) fn phases(app: &AppState) -> Vec<(u64, WorkerPhase)> {
    app.workers.iter().map(|worker| (worker.generation, worker.phase)).collect()
}
