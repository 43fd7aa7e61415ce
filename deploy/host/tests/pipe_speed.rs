//! How fast large bodies go through a pipe: as Tidegate's programs read it, and by blocking reads of 64 KiB. Only says
//! something on a real Windows: under Wine every read is a round trip to another process.

#![cfg(windows)]
#![allow(clippy::unwrap_used, reason = "a measurement")]

use std::fs::OpenOptions;
use std::io::Read;
use std::time::{Duration, Instant};

use tidegate_host::{Audience, Endpoint, LocalListener, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PIECE: usize = 64 << 10;
const PIECES: usize = 4096;

fn endpoint(name: &str) -> Endpoint {
    Endpoint::local(&std::env::temp_dir(), &format!("speed-{name}-{}", std::process::id()))
}

/// Writes everything to the first who connects.
async fn serve(mut listener: LocalListener) {
    let mut stream = listener.accept().await.unwrap();
    let piece = vec![7; PIECE];
    for _ in 0..PIECES {
        stream.write_all(&piece).await.unwrap();
    }
    // A pipe that is closed may forget what was not read.
    let _ = stream.read(&mut [0; 1]).await;
}

fn speed(took: Duration) -> f64 {
    ((PIECE * PIECES) >> 20) as f64 / took.as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a measurement"]
async fn reading_as_the_programs_do_against_blocking_reads() {
    let ours = endpoint("ours");
    let server = tokio::spawn(serve(LocalListener::bind(&ours, Audience::Proxy).unwrap()));
    let mut stream = connect(&ours, tokio::time::Instant::now() + Duration::from_secs(10)).await.unwrap();
    let (started, mut left, mut reads) = (Instant::now(), PIECE * PIECES, 0_u64);
    let mut buffer = vec![0; PIECE];
    while left > 0 {
        left -= stream.read(&mut buffer).await.unwrap();
        reads += 1;
    }
    let took = started.elapsed();
    drop(stream);
    server.await.unwrap();
    println!("as the programs read: {:.0} MiB/s in {reads} reads", speed(took));

    let large = endpoint("large");
    let server = tokio::spawn(serve(LocalListener::bind(&large, Audience::Proxy).unwrap()));
    let Endpoint::Pipe(name) = large else { unreachable!("Windows") };
    let (took, reads) = tokio::task::spawn_blocking(move || {
        let mut pipe = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let (started, mut left, mut reads) = (Instant::now(), PIECE * PIECES, 0_u64);
        let mut buffer = vec![0; PIECE];
        while left > 0 {
            left -= pipe.read(&mut buffer).unwrap();
            reads += 1;
        }
        (started.elapsed(), reads)
    })
    .await
    .unwrap();
    server.await.unwrap();
    println!("by blocking reads:    {:.0} MiB/s in {reads} reads", speed(took));
}
