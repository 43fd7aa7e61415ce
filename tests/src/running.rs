//! A site that runs: its app server and proxy as children, and everything a case asks of them. Printed with both
//! logs when the test fails, or always with `TIDEGATE_TEST_LOG=1` and `--nocapture`.

use std::net::SocketAddr;
use std::time::Duration;

use tidegate_contract::{
    AppPhase, AppState, FromServer, Lines, PROTOCOL, ProxyReport, Role, StatusReport, ToServer, WorkerPhase,
    WorkerState,
};
use tidegate_host::{Endpoint, Exit};
use tokio::time::Instant;

use crate::client::frames::Frames;
use crate::client::{Connection, Http2, Response, Tls};
use crate::metrics::{self, Sample};
use crate::program::{Finished, Log, Program};
use crate::site::Site;
use crate::wait::{bounded, eventually};

/// A running site.
#[derive(Debug)]
pub struct Running {
    /// Its file and directory.
    pub site: Site,
    /// The app server; none while it is stopped.
    pub appserver: Option<Program>,
    /// The proxy; none while it is stopped.
    pub proxy: Option<Program>,
    /// What the proxy said that it serves.
    pub report: ProxyReport,
    /// Where the app server answers. It stays while the site file changes, even to a wrong one.
    control: Endpoint,
    /// What else is printed when the test fails.
    others: Vec<(&'static str, Log)>,
}

impl Running {
    fn of(site: Site) -> Self {
        let control = tidegate_site::load(&site.config()).unwrap_or_else(|error| panic!("{error}")).control_endpoint();
        Self { site, appserver: None, proxy: None, report: ProxyReport::default(), control, others: Vec::new() }
    }

    /// Starts the pair and waits for the proxy's listeners.
    pub(crate) async fn launch(site: Site) -> Self {
        let mut running = Self::of(site);
        running.start_appserver();
        running.start_proxy().await;
        running
    }

    /// A site whose programs something else starts, such as `tidegate up`: waits until they serve. Its file
    /// is written already.
    pub async fn started_elsewhere(site: Site) -> Self {
        let mut running = Self::of(site);
        running.find_again().await;
        running
    }

    /// Prints this too when the test fails.
    pub fn show_on_failure(&mut self, name: &'static str, log: &Log) {
        self.others.push((name, log.clone()));
    }

    /// Waits until programs that something else has started anew serve.
    pub async fn find_again(&mut self) {
        self.report = eventually("the proxy's report", async || self.try_status().await?.proxy).await;
        self.wait_until_ready().await;
    }

    /// Starts the app server (again).
    pub fn start_appserver(&mut self) {
        self.appserver = Some(Program::start("tidegate-appserver", &self.site.config()));
    }

    /// Starts the proxy (again) and waits until it has reported its listeners.
    pub async fn start_proxy(&mut self) {
        let mut proxy = Program::start("tidegate-proxy", &self.site.config());
        let id = proxy.id();
        let reported = eventually("the proxy's report", async || {
            let report = self.try_status().await?.proxy?;
            (report.pid == id).then_some(report)
        });
        let ended = tokio::select! {
            report = reported => Ok(report),
            exit = proxy.wait_for_good() => Err(exit),
        };
        let log = proxy.log.clone();
        self.proxy = Some(proxy);
        self.report = ended.unwrap_or_else(|exit| panic!("the proxy ended at once ({exit}): {:?}", log.lines()));
    }

    /// Waits until every worker of every app is ready.
    pub async fn wait_until_ready(&mut self) {
        eventually("every app is ready", async || {
            let status = self.try_status().await?;
            for app in &status.pool.apps {
                assert_ne!(app.phase, AppPhase::Failed, "{} failed: {:?}", app.name, app.detail);
            }
            let whole = |app: &AppState| app.workers.iter().all(|worker| worker.phase == WorkerPhase::Ready);
            status.pool.apps.iter().all(|app| app.phase == AppPhase::Ready && whole(app)).then_some(())
        })
        .await;
    }

    /// What `tidegate status` would show; none if the app server does not answer.
    pub async fn try_status(&self) -> Option<StatusReport> {
        let stream = tidegate_host::connect(&self.control, Instant::now() + Duration::from_secs(5)).await.ok()?;
        let (reader, mut writer) = tokio::io::split(stream);
        let mut lines = Lines::new(reader);
        let hello = ToServer::Hello { protocol: PROTOCOL, version: "test".to_owned(), role: Role::Command };
        let ask = async {
            Lines::write(&mut writer, &hello).await.ok()?;
            Lines::write(&mut writer, &ToServer::Status).await.ok()?;
            loop {
                match lines.next().await.ok()?? {
                    FromServer::Hello { .. } => {}
                    FromServer::Status(status) => return Some(status),
                    other => panic!("asked for the status, got {other:?}"),
                }
            }
        };
        bounded("an answer of the app server", ask).await
    }

    /// What `tidegate status` would show.
    pub async fn status(&self) -> StatusReport {
        self.try_status().await.expect("the app server does not answer")
    }

    /// Waits until the status is as `look` wants it.
    pub async fn wait_status<T>(&self, what: &str, mut look: impl FnMut(&StatusReport) -> Option<T>) -> T {
        eventually(what, async || look(&self.try_status().await?)).await
    }

    /// The workers of an app, as the app server sees them now.
    pub async fn workers(&self, app: &str) -> Vec<WorkerState> {
        let status = self.status().await;
        status.pool.apps.into_iter().find(|known| known.name == app).expect("no such app").workers
    }

    /// The first listener of this kind.
    fn listener(&self, tls: bool, redirects: bool) -> SocketAddr {
        let mut listeners = self.report.listeners.iter();
        let found = listeners.find(|listener| listener.tls == tls && listener.redirects == redirects);
        found.expect("no such listener").address.parse().unwrap()
    }

    /// Where HTTPS is spoken.
    pub fn https_address(&self) -> SocketAddr {
        self.listener(true, false)
    }

    /// Where plain HTTP is served.
    pub fn http_address(&self) -> SocketAddr {
        self.listener(false, false)
    }

    /// Where only redirects are served.
    pub fn redirect_address(&self) -> SocketAddr {
        self.listener(false, true)
    }

    /// Where the metrics are.
    pub fn metrics_address(&self) -> SocketAddr {
        self.report.metrics.as_deref().expect("no metrics listener").parse().unwrap()
    }

    /// The self-signed certificate, as PEM.
    pub fn certificate(&self) -> String {
        std::fs::read_to_string(self.site.path(".tidegate/development.pem")).unwrap()
    }

    /// A TLS client that accepts the site's self-signed certificate alone.
    pub fn tls(&self) -> Tls {
        Tls::trusting(&[&self.certificate()])
    }

    /// A plain connection.
    pub async fn http(&self) -> Connection {
        Connection::plain(self.http_address()).await
    }

    /// A TLS connection with HTTP/1.1.
    pub async fn https(&self) -> Connection {
        self.tls().http1(self.https_address(), "localhost").await
    }

    /// A TLS connection with HTTP/2.
    pub async fn http2(&self) -> Http2 {
        self.tls().http2(self.https_address(), "localhost").await
    }

    /// A TLS connection with HTTP/2 whose frames the case writes itself.
    pub async fn frames(&self) -> Frames {
        let (stream, _) = self.tls().connect(self.https_address(), "localhost", &["h2"]).await.unwrap();
        Frames::over(stream).await
    }

    /// A GET on a plain connection of its own.
    pub async fn get(&self, path: &str) -> Response {
        self.http().await.get(path).await
    }

    /// A scrape of the metrics.
    pub async fn scrape(&self) -> Vec<Sample> {
        let response = Connection::plain(self.metrics_address()).await.get("/metrics").await;
        assert_eq!(response.status, 200);
        metrics::parse(&response.text())
    }

    /// The sum over the series of this name with these labels.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        metrics::sum(&self.scrape().await, name, labels)
    }

    /// Waits until a metric has a value. What a request adds to a metric is added when it is over, and a client may
    /// have its answer before that.
    pub async fn wait_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.wait_metric_for(name, labels, &format!("is {value}"), |found| found == value).await;
    }

    /// Waits until a metric has this value or a greater one.
    pub async fn wait_metric_at_least(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.wait_metric_for(name, labels, &format!("is at least {value}"), |found| found >= value).await;
    }

    async fn wait_metric_for(&self, name: &str, labels: &[(&str, &str)], what: &str, holds: impl Fn(f64) -> bool) {
        let mut last = f64::NAN;
        let what = format!("{name} with {labels:?} {what}");
        let waited = eventually(&what, async || {
            last = self.metric(name, labels).await;
            holds(last).then_some(())
        });
        waited.await;
    }

    /// The proxy, which runs.
    pub fn proxy(&mut self) -> &mut Program {
        self.proxy.as_mut().expect("the proxy was stopped")
    }

    /// The app server, which runs.
    pub fn appserver(&mut self) -> &mut Program {
        self.appserver.as_mut().expect("the app server was stopped")
    }

    /// `tidegate --config FILE ...`
    pub async fn tidegate(&self, arguments: &[&str]) -> Finished {
        self.site.tidegate(arguments).await
    }

    /// Stops both, as `tidegate up` does: the proxy first, so that no request meets a missing app.
    pub async fn stop(&mut self) -> (Exit, Exit) {
        let proxy = self.proxy().stop().await;
        let appserver = self.appserver().stop().await;
        (proxy, appserver)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !std::thread::panicking() && std::env::var_os("TIDEGATE_TEST_LOG").is_none() {
            return;
        }
        for program in [&self.appserver, &self.proxy].into_iter().flatten() {
            eprintln!("--- log of {}", program.name);
            for line in program.log.lines() {
                eprintln!("{line}");
            }
        }
        for (name, log) in &self.others {
            eprintln!("--- {name}");
            for line in log.lines() {
                eprintln!("{line}");
            }
        }
    }
}
