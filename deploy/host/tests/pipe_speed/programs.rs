//! As the programs do it: the proxy's end on its threads, the worker's on one of its own, both tokio's.

use std::thread;
use std::time::{Duration, Instant};

use tidegate_host::{Audience, Endpoint, LocalListener, LocalStream, connect, io_threads};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::{COUNTED, MESSAGE, PIECE, TRANSFER};

fn endpoint(name: &str) -> Endpoint {
    Endpoint::local(&std::env::temp_dir(), name)
}

/// The threads of a proxy.
pub(crate) fn proxy() -> Runtime {
    Builder::new_multi_thread().worker_threads(io_threads()).enable_all().build().unwrap()
}

/// The thread of a worker.
pub(crate) fn worker() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn listener(name: &str) -> (Runtime, LocalListener) {
    let runtime = worker();
    let listener = {
        let _within = runtime.enter();
        LocalListener::bind(&endpoint(name), Audience::Proxy).unwrap()
    };
    (runtime, listener)
}

async fn connected(name: &str) -> LocalStream {
    connect(&endpoint(name), tokio::time::Instant::now() + Duration::from_secs(10)).await.unwrap()
}

/// Round trips a second, over so many connections at once.
pub(crate) fn round_trips(name: String, connections: usize) -> f64 {
    let (runtime, mut listener) = listener(&name);
    let worker = thread::spawn(move || {
        runtime.block_on(async {
            let mut serving = JoinSet::new();
            for _ in 0..connections {
                let mut stream = listener.accept().await.unwrap();
                serving.spawn(async move {
                    let mut message = [0; MESSAGE];
                    while stream.read_exact(&mut message).await.is_ok() {
                        stream.write_all(&message).await.unwrap();
                    }
                });
            }
            serving.join_all().await;
        });
    });
    let counted: u64 = proxy().block_on(async {
        let mut asking = JoinSet::new();
        for _ in 0..connections {
            let mut stream = connected(&name).await;
            asking.spawn(async move {
                let mut message = [7; MESSAGE];
                let (started, mut count) = (Instant::now(), 0);
                while started.elapsed() < COUNTED {
                    stream.write_all(&message).await.unwrap();
                    stream.read_exact(&mut message).await.unwrap();
                    count += 1;
                }
                count
            });
        }
        asking.join_all().await.into_iter().sum()
    });
    worker.join().unwrap();
    counted as f64 / COUNTED.as_secs_f64()
}

/// The time of a large body from the worker to the proxy.
pub(crate) fn transfer(name: String) -> Duration {
    let (runtime, mut listener) = listener(&name);
    let worker = thread::spawn(move || {
        runtime.block_on(async {
            let mut stream = listener.accept().await.unwrap();
            let piece = vec![7; PIECE];
            for _ in 0..TRANSFER / PIECE {
                stream.write_all(&piece).await.unwrap();
            }
            // A pipe that is closed may forget what was not read.
            let _ = stream.read(&mut [0; 1]).await;
        });
    });
    let took = proxy().block_on(async {
        let mut stream = connected(&name).await;
        let (mut buffer, mut left) = (vec![0; PIECE], TRANSFER);
        let started = Instant::now();
        while left > 0 {
            left -= stream.read(&mut buffer).await.unwrap();
        }
        started.elapsed()
    });
    worker.join().unwrap();
    took
}
