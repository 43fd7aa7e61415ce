//! Child processes and what becomes of their descendants. The children are this test binary itself,
//! started again for one of the tests below that are ignored otherwise.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod scratch;

use std::env;
use std::io::{Read, Write};
use std::time::Duration;

use scratch::Scratch;
use tidegate_host::{
    Audience, Child, Endpoint, LocalListener, Output, Spawn, Stdin, connect, cpu_time, is_of_child, resident_memory,
};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

const LONG: Duration = Duration::from_secs(60);

/// Runs the ignored test `role` of this binary.
fn role(role: &str, endpoint: &str) -> Spawn {
    let mut spawn = Spawn::new(env::current_exe().unwrap());
    spawn.arguments = ["--ignored", "--exact", "--nocapture", role].map(Into::into).to_vec();
    spawn.environment = vec![("ENDPOINT".into(), endpoint.into())];
    spawn
}

fn endpoint(scratch: &Scratch) -> Endpoint {
    let unique = scratch.0.file_name().unwrap().to_str().unwrap();
    Endpoint::local(&scratch.0, &format!("{unique}-life"))
}

/// Connects to ENDPOINT and lives on: the test sees the connection for as long as this process.
fn live_connected() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = env::var("ENDPOINT").unwrap().parse().unwrap();
        let _alive = connect(&endpoint, Instant::now() + LONG).await.unwrap();
        // Longer than any test waits: only being killed ends it in time.
        tokio::time::sleep(10 * LONG).await;
    });
}

#[test]
#[ignore = "a role for other tests"]
fn role_grandchild() {
    live_connected();
}

/// Starts the grandchild as an app would, without any of our precautions.
#[test]
#[ignore = "a role for other tests"]
fn role_parent_of_one() {
    let arguments = ["--ignored", "--exact", "--nocapture", "role_grandchild"];
    let mut grandchild = std::process::Command::new(env::current_exe().unwrap()).args(arguments).spawn().unwrap();
    live_connected();
    grandchild.wait().unwrap();
}

/// Starts the grandchild and ends before it.
#[test]
#[ignore = "a role for other tests"]
fn role_parent_that_leaves() {
    let arguments = ["--ignored", "--exact", "--nocapture", "role_grandchild"];
    let grandchild = std::process::Command::new(env::current_exe().unwrap()).args(arguments).spawn().unwrap();
    std::mem::forget(grandchild);
    let _ = std::io::stdin().read(&mut [0; 1]);
    std::process::exit(7);
}

/// A supervisor with one child that has one too.
#[test]
#[ignore = "a role for other tests"]
fn role_supervisor() {
    let _child = role("role_parent_of_one", &env::var("ENDPOINT").unwrap()).start().unwrap();
    live_connected();
}

#[test]
#[ignore = "a role for other tests"]
fn role_talker() {
    std::io::stdout().write_all(&b"0123456789".repeat(100_000)).unwrap();
    std::io::stderr().write_all(b"complaint").unwrap();
    std::process::exit(3);
}

#[test]
#[ignore = "a role for other tests"]
fn role_waits_for_stdin() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tidegate_host::stdin_end());
    std::process::exit(5);
}

#[test]
#[ignore = "a role for other tests"]
fn role_prints_surroundings() {
    println!("cwd={} set={}", env::current_dir().unwrap().display(), env::var("SET").unwrap());
    println!("path={}", env::var_os("PATH").is_some());
}

/// Accepts `count` connections and returns when all have ended, which their processes' deaths do.
async fn all_ended(listener: &mut LocalListener, count: usize, kill: impl FnOnce()) {
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(timeout(LONG, listener.accept()).await.unwrap().unwrap());
    }
    kill();
    for mut stream in streams {
        let read = timeout(LONG, stream.read(&mut [0; 1])).await.expect("the process is gone");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
}

async fn exit_text(child: &mut Child) -> String {
    timeout(LONG, child.wait()).await.unwrap().unwrap().to_string()
}

#[tokio::test]
async fn output_is_captured_to_its_end_and_the_code_told() {
    let mut spawn = role("role_talker", "");
    spawn.output = Output::Capture;
    let mut child = spawn.start().unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    let mut stdout = child.take_stdout().unwrap();
    let mut stderr = child.take_stderr().unwrap();
    let (read_out, read_err) = tokio::join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut err));
    read_out.unwrap();
    read_err.unwrap();
    // The test harness says something of its own first.
    assert!(out.ends_with(&"0123456789".repeat(100_000)));
    assert!(err.ends_with("complaint"), "{err}");
    assert_eq!(exit_text(&mut child).await, "exit code 3");
    assert_eq!(exit_text(&mut child).await, "exit code 3");
    assert!(child.take_stdout().is_none());
    child.kill().unwrap();
}

#[tokio::test]
async fn directory_and_environment_are_the_childs() {
    let scratch = Scratch::new();
    let mut spawn = role("role_prints_surroundings", "");
    spawn.output = Output::Capture;
    spawn.directory = Some(scratch.0.clone());
    spawn.environment.push(("SET".into(), "a=b c".into()));
    let mut child = spawn.start().unwrap();
    let mut out = String::new();
    child.take_stdout().unwrap().read_to_string(&mut out).await.unwrap();
    let name = scratch.0.file_name().unwrap().to_str().unwrap();
    assert!(out.contains(&format!("{name} set=a=b c")), "{out}");
    assert!(out.contains("path=true"), "{out}");
    assert!(timeout(LONG, child.wait()).await.unwrap().unwrap().success());
}

#[tokio::test]
async fn closing_stdin_is_noticed() {
    let mut spawn = role("role_waits_for_stdin", "");
    spawn.stdin = Stdin::Pipe;
    let mut child = spawn.start().unwrap();
    assert!(timeout(Duration::ZERO, child.wait()).await.is_err(), "waiting can be cancelled");
    assert!(resident_memory(child.id()).is_some_and(|bytes| bytes > 64 * 1024));
    assert!(cpu_time(child.id()).is_some());
    child.close_stdin();
    assert_eq!(exit_text(&mut child).await, "exit code 5");
}

#[test]
fn processor_time_grows_with_work_and_is_not_there_without_a_process() {
    let own = || cpu_time(std::process::id()).unwrap();
    let before = own();
    while own() == before {
        std::hint::black_box((0..100_000).sum::<u64>());
    }
    assert!(own() > before);
    assert_eq!(cpu_time(u32::MAX - 3), None);
}

#[test]
#[ignore = "a role for other tests"]
fn role_allocates() {
    let fits = |mib: usize| Vec::<u8>::new().try_reserve_exact(mib << 20).is_ok();
    std::process::exit(i32::from(fits(64)) + 2 * i32::from(fits(512)));
}

// Wine keeps a job object's memory limit without enforcing it.
#[cfg(unix)]
#[tokio::test]
async fn a_child_gets_no_more_memory_than_its_limit() {
    let limit = |bytes, stacks| Some(tidegate_host::MemoryLimit { bytes, stacks });
    for (memory_limit, exit) in [
        (None, "exit code 3"),
        (limit(256 << 20, 0), "exit code 1"),
        (limit(256 << 20, 512 << 20), "exit code 3"),
        (limit(32 << 20, 0), "exit code 0"),
    ] {
        let mut spawn = role("role_allocates", "");
        spawn.memory_limit = memory_limit;
        assert_eq!(exit_text(&mut spawn.start().unwrap()).await, exit, "{memory_limit:?}");
    }
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let error = Spawn::new("/no/such/program").start().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().contains("/no/such/program"), "{error}");
}

#[tokio::test]
async fn killing_a_child_kills_what_it_started() {
    let scratch = Scratch::new();
    let endpoint = endpoint(&scratch);
    let mut listener = LocalListener::bind(&endpoint, Audience::Proxy).unwrap();
    let mut child = role("role_parent_of_one", &endpoint.to_string()).start().unwrap();
    all_ended(&mut listener, 2, || child.kill().unwrap()).await;
    let exit = timeout(LONG, child.wait()).await.unwrap().unwrap();
    assert!(!exit.success());
    child.kill().unwrap();
}

#[tokio::test]
async fn whoever_connects_is_known_as_of_a_child_or_not() {
    let scratch = Scratch::new();
    let endpoint = endpoint(&scratch);
    let mut listener = LocalListener::bind(&endpoint, Audience::Workers).unwrap();
    let child = role("role_parent_of_one", &endpoint.to_string()).start().unwrap();
    let mut connected = Vec::new();
    // The child and what it has started.
    for _ in 0..2 {
        let stream = timeout(LONG, listener.accept()).await.unwrap().unwrap();
        let process = stream.client_process().unwrap();
        assert!(child.contains(process) && is_of_child(process), "{process}");
        connected.push((process, stream));
    }
    assert!(connected.iter().any(|(process, _)| *process == child.id()));
    assert_ne!(connected[0].0, connected[1].0);
    let own = connect(&endpoint, tokio::time::Instant::now() + LONG).await.unwrap();
    let stream = timeout(LONG, listener.accept()).await.unwrap().unwrap();
    let process = stream.client_process().unwrap();
    assert_eq!(process, std::process::id());
    assert!(!child.contains(process) && !is_of_child(process));
    drop(own);
}

#[tokio::test]
async fn dropping_a_child_kills_what_it_started() {
    let scratch = Scratch::new();
    let endpoint = endpoint(&scratch);
    let mut listener = LocalListener::bind(&endpoint, Audience::Proxy).unwrap();
    let child = role("role_parent_of_one", &endpoint.to_string()).start().unwrap();
    all_ended(&mut listener, 2, || drop(child)).await;
}

#[tokio::test]
async fn what_a_child_leaves_behind_ends_with_it() {
    let scratch = Scratch::new();
    let endpoint = endpoint(&scratch);
    let mut listener = LocalListener::bind(&endpoint, Audience::Proxy).unwrap();
    let mut spawn = role("role_parent_that_leaves", &endpoint.to_string());
    spawn.stdin = Stdin::Pipe;
    let mut child = spawn.start().unwrap();
    all_ended(&mut listener, 1, || child.close_stdin()).await;
    assert_eq!(exit_text(&mut child).await, "exit code 7");
}

#[tokio::test]
async fn when_the_supervisor_is_killed_everything_below_it_dies() {
    let scratch = Scratch::new();
    let endpoint = endpoint(&scratch);
    let mut listener = LocalListener::bind(&endpoint, Audience::Proxy).unwrap();
    // Not through `Spawn`: its own guard must not be what kills the grandchildren.
    let spawn = role("role_supervisor", &endpoint.to_string());
    let mut supervisor =
        std::process::Command::new(&spawn.program).args(&spawn.arguments).envs(spawn.environment).spawn().unwrap();
    all_ended(&mut listener, 3, || supervisor.kill().unwrap()).await;
    supervisor.wait().unwrap();
}

#[cfg(unix)]
#[test]
#[ignore = "a role for other tests"]
fn role_gives_up() {
    let arguments = ["--ignored", "--exact", "--nocapture", "role_grandchild"];
    let grandchild = std::process::Command::new(env::current_exe().unwrap()).args(arguments).spawn().unwrap();
    std::mem::forget(grandchild);
    let _ = std::io::stdin().read(&mut [0; 1]);
    tidegate_host::kill_own_group();
}

#[cfg(unix)]
#[tokio::test]
async fn an_abandoned_child_takes_what_it_started_along() {
    let scratch = Scratch::new();
    let endpoint = endpoint(&scratch);
    let mut listener = LocalListener::bind(&endpoint, Audience::Proxy).unwrap();
    let mut spawn = role("role_gives_up", &endpoint.to_string());
    spawn.stdin = Stdin::Pipe;
    let mut child = spawn.start().unwrap();
    all_ended(&mut listener, 1, || child.close_stdin()).await;
    assert_eq!(exit_text(&mut child).await, "signal 9 (SIGKILL)");
}

/// Tells which signals arrive until one says stop.
#[cfg(unix)]
#[test]
#[ignore = "a role for other tests"]
fn role_signals() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut signals = tidegate_host::Signals::install().unwrap();
        eprintln!("ready");
        loop {
            let signal = signals.next().await;
            eprintln!("{signal:?}");
            if signal == tidegate_host::Signal::Stop {
                std::process::exit(0);
            }
        }
    });
}

#[cfg(unix)]
#[tokio::test]
async fn signals_are_told_one_after_the_other() {
    use tokio::io::{AsyncBufReadExt, BufReader};

    for stop in ["TERM", "INT"] {
        let mut spawn = role("role_signals", "");
        spawn.output = Output::Capture;
        let mut child = spawn.start().unwrap();
        let mut lines = BufReader::new(child.take_stderr().unwrap()).lines();
        for (expected, next) in [("ready", "HUP"), ("Reload", "HUP"), ("Reload", stop)] {
            let line = timeout(LONG, lines.next_line()).await.unwrap().unwrap();
            assert_eq!(line.as_deref(), Some(expected));
            let pid = child.id().to_string();
            assert!(std::process::Command::new("kill").args(["-s", next, &pid]).status().unwrap().success());
        }
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("Stop"));
        assert_eq!(exit_text(&mut child).await, "exit code 0");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_is_told_by_name() {
    let mut spawn = Spawn::new("sh");
    spawn.arguments = vec!["-c".into(), "kill -SEGV $$".into()];
    let mut child = spawn.start().unwrap();
    assert_eq!(exit_text(&mut child).await, "signal 11 (SIGSEGV)");
}

#[cfg(unix)]
#[tokio::test]
async fn no_process_remains_uncollected() {
    for _ in 0..20 {
        let mut child = Spawn::new("true").start().unwrap();
        assert!(timeout(LONG, child.wait()).await.unwrap().unwrap().success());
        assert!(!std::path::Path::new(&format!("/proc/{}", child.id())).exists());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn children_inherit_no_descriptors() {
    let scratch = Scratch::new();
    let path = scratch.0.join("open-in-the-parent");
    let _open = std::fs::File::create(&path).unwrap();
    let mut spawn = Spawn::new("ls");
    spawn.arguments = vec!["-l".into(), "/proc/self/fd".into()];
    spawn.output = Output::Capture;
    let mut child = spawn.start().unwrap();
    let mut out = String::new();
    child.take_stdout().unwrap().read_to_string(&mut out).await.unwrap();
    assert!(out.contains("pipe:") && !out.contains("open-in-the-parent"), "{out}");
}
