//! Local sockets through the public API: Unix sockets, or pipes where the tests run on Windows.

#![allow(clippy::unwrap_used, reason = "tests")]

mod scratch;

use std::io;
use std::time::Duration;

use scratch::Scratch;
use tidegate_host::{Audience, Endpoint, LocalListener, LocalStream, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Pipe names are the whole system's, so they carry the directory's unique name.
fn endpoint(scratch: &Scratch, name: &str) -> Endpoint {
    let unique = scratch.0.file_name().unwrap().to_str().unwrap();
    Endpoint::local(&scratch.0.join("sockets"), &format!("{unique}-{name}"))
}

async fn echo(mut stream: LocalStream) -> io::Result<()> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).await?;
    let mut body = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut body).await?;
    stream.write_all(&body).await?;
    stream.flush().await?;
    // Dropping a pipe may discard what the other side has not read.
    let mut end = [0; 1];
    let _ = stream.read(&mut end).await;
    Ok(())
}

async fn ask(endpoint: &Endpoint, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = connect(endpoint, soon()).await?;
    stream.write_all(&(body.len() as u32).to_be_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = vec![0; body.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn serve(mut listener: LocalListener) {
    tokio::spawn(async move {
        while let Ok(stream) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_at_once_are_all_served() {
    let scratch = Scratch::new();
    let endpoint = endpoint(&scratch, "flood");
    serve(LocalListener::bind(&endpoint, Audience::Proxy).unwrap());
    let clients: Vec<_> = (0..200_u32)
        .map(|number| {
            let endpoint = endpoint.clone();
            tokio::spawn(async move {
                let body = number.to_be_bytes().repeat(5000);
                ask(&endpoint, &body).await.unwrap() == body
            })
        })
        .collect();
    for client in clients {
        assert!(client.await.unwrap());
    }
}

#[tokio::test]
async fn clients_that_leave_at_once_do_not_disturb_the_next() {
    let scratch = Scratch::new();
    let endpoint = endpoint(&scratch, "fickle");
    serve(LocalListener::bind(&endpoint, Audience::Proxy).unwrap());
    for _ in 0..50 {
        drop(connect(&endpoint, soon()).await.unwrap());
    }
    assert_eq!(ask(&endpoint, b"still there").await.unwrap(), b"still there");
}

#[tokio::test]
async fn the_end_of_a_stream_is_seen_by_the_other_side() {
    let scratch = Scratch::new();
    let endpoint = endpoint(&scratch, "end");
    let mut listener = LocalListener::bind(&endpoint, Audience::Proxy).unwrap();
    let (client, server) = tokio::join!(connect(&endpoint, soon()), listener.accept());
    drop(client.unwrap());
    assert_eq!(server.unwrap().read(&mut [0; 1]).await.unwrap(), 0);

    let (client, server) = tokio::join!(connect(&endpoint, soon()), listener.accept());
    drop(server.unwrap());
    assert_eq!(client.unwrap().read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn accepting_can_be_cancelled_without_losing_a_client() {
    let scratch = Scratch::new();
    let endpoint = endpoint(&scratch, "cancel");
    let mut listener = LocalListener::bind(&endpoint, Audience::Proxy).unwrap();
    for _ in 0..20 {
        let mut client = connect(&endpoint, soon()).await.unwrap();
        let _ = tokio::time::timeout(Duration::ZERO, std::future::pending::<()>()).await;
        let cancelled = tokio::select! {
            biased;
            () = std::future::ready(()) => None,
            accepted = listener.accept() => Some(accepted),
        };
        assert!(cancelled.is_none());
        let mut server = listener.accept().await.unwrap();
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), b'x');
    }
}

#[tokio::test]
async fn nobody_listening_is_told_at_once() {
    let scratch = Scratch::new();
    let missing = endpoint(&scratch, "missing");
    let error = connect(&missing, soon()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains(&missing.to_string()), "{error}");
}

#[tokio::test]
async fn tcp_endpoints_work_alike() {
    let free = tidegate_host::listen_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = Endpoint::Tcp(free.local_addr().unwrap());
    drop(free);
    serve(LocalListener::bind(&endpoint, Audience::Proxy).unwrap());
    assert_eq!(ask(&endpoint, b"over tcp").await.unwrap(), b"over tcp");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use super::*;

    fn path(endpoint: &Endpoint) -> PathBuf {
        match endpoint {
            Endpoint::Unix(path) => path.clone(),
            other => panic!("{other} is no Unix socket"),
        }
    }

    #[tokio::test]
    async fn a_socket_is_its_owners_only_and_goes_with_its_listener() {
        let scratch = Scratch::new();
        let endpoint = endpoint(&scratch, "mode");
        let listener = LocalListener::bind(&endpoint, Audience::Proxy).unwrap();
        let path = path(&endpoint);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let scratch = Scratch::new();
        let endpoint = endpoint(&scratch, "stale");
        std::fs::create_dir(scratch.0.join("sockets")).unwrap();
        // The standard library's listener leaves its file behind.
        drop(UnixListener::bind(path(&endpoint)).unwrap());
        let listener = LocalListener::bind(&endpoint, Audience::Proxy).unwrap();
        let error = LocalListener::bind(&endpoint, Audience::Proxy).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&endpoint.to_string()), "{error}");
        serve(listener);
        assert_eq!(ask(&endpoint, b"first").await.unwrap(), b"first");
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let scratch = Scratch::new();
        let endpoint = endpoint(&scratch, "file");
        std::fs::create_dir(scratch.0.join("sockets")).unwrap();
        std::fs::write(path(&endpoint), "precious").unwrap();
        assert_eq!(LocalListener::bind(&endpoint, Audience::Proxy).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::read(path(&endpoint)).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn a_listener_leaves_the_file_of_its_successor() {
        let scratch = Scratch::new();
        let endpoint = endpoint(&scratch, "successor");
        let old = LocalListener::bind(&endpoint, Audience::Proxy).unwrap();
        std::fs::remove_file(path(&endpoint)).unwrap();
        let _new = LocalListener::bind(&endpoint, Audience::Proxy).unwrap();
        let inode = path(&endpoint).metadata().unwrap().ino();
        drop(old);
        assert_eq!(path(&endpoint).metadata().unwrap().ino(), inode);
    }

    #[tokio::test]
    async fn a_socket_nobody_answers_on_refuses() {
        let scratch = Scratch::new();
        let endpoint = endpoint(&scratch, "dead");
        std::fs::create_dir(scratch.0.join("sockets")).unwrap();
        drop(UnixListener::bind(path(&endpoint)).unwrap());
        let error = connect(&endpoint, soon()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_full_backlog_is_waited_for_until_the_deadline() {
        let scratch = Scratch::new();
        let endpoint = endpoint(&scratch, "full");
        std::fs::create_dir(scratch.0.join("sockets")).unwrap();
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        socket.bind(&socket2::SockAddr::unix(path(&endpoint)).unwrap()).unwrap();
        socket.listen(0).unwrap();
        let _waiting = connect(&endpoint, soon()).await.unwrap();
        let error = connect(&endpoint, Instant::now() + Duration::from_millis(30)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let (next, ()) = tokio::join!(connect(&endpoint, soon()), async {
            socket.accept().unwrap();
        });
        next.unwrap();
    }

    #[tokio::test]
    async fn a_directory_that_everybody_can_write_to_is_refused() {
        let scratch = Scratch::new();
        let endpoint = endpoint(&scratch, "open");
        let dir = scratch.0.join("sockets");
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o777)).unwrap();
        let error = LocalListener::bind(&endpoint, Audience::Proxy).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o1777)).unwrap();
        LocalListener::bind(&endpoint, Audience::Proxy).unwrap();
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_is_explained() {
        let endpoint = Endpoint::Unix(format!("/tmp/{}.sock", "x".repeat(120)).into());
        for error in [
            LocalListener::bind(&endpoint, Audience::Proxy).unwrap_err(),
            connect(&endpoint, soon()).await.unwrap_err(),
        ] {
            let message = error.to_string();
            assert!(message.contains("107") && message.contains("/tmp/xxx"), "{message}");
        }
    }
}
