//! Whatever a server says beside rows, little of it is held in memory, and the guest is told what is wrong.

use super::{ONE, ask, postgres, serve};
use crate::harness::peak;
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

/// Whoever is waited for must come by then.
const PATIENCE: Duration = Duration::from_secs(60);

/// Guards against errors of any length: this one took a gigabyte, whatever `--max-memory` said.
#[test]
fn an_error_is_no_larger_than_what_is_read_of_one() {
    let postgres = postgres();
    let mut options = ONE.to_vec();
    options.extend(["--max-memory", "64MiB"]);
    let server = serve(&postgres.url(), &options);
    assert_eq!(ask(&server, "query", &["select 1 as a"]), "a: 1");
    let before = peak(server.workers()[0]);
    let raise = |level: &str, bytes: u32| {
        format!("do $$ begin raise {level} '%', repeat('x', {bytes}); end $$")
    };
    let said = ask(&server, "query", &[&raise("exception", 100_000_000)]);
    assert!(said.contains("error is larger than 1 MiB"), "{said}");
    assert_eq!(ask(&server, "query", &["select 1 as a"]), "a: 1");
    let said = ask(&server, "query", &[&raise("warning", 100_000_000)]);
    assert!(said.contains("the database says more than"), "{said}");
    // What is read of it, the guest has the beginning of.
    let said = ask(&server, "query", &[&raise("exception", 500_000)]);
    assert!(said.starts_with("error P0001 xxx"), "{said}");
    assert!(said.len() < 100_000, "{}", said.len());
    let taken = peak(server.workers()[0]) - before;
    assert!(taken < 32 << 20, "{taken} bytes");
}

/// Serves one connection in the way of `serve`; returns the URL of the server.
fn stranger<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        serve(stream)
    });
    let url = format!("postgres://tester:secret@localhost:{port}/postgres");
    (url, serving)
}

#[test]
fn who_is_no_server_of_postgresql_is_said_to_be_none() {
    let (url, serving) = stranger(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    let server = serve(&url, &ONE);
    let said = ask(&server, "query", &["select 1"]);
    assert!(said.contains("but is no PostgreSQL server"), "{said}");
    serving.join().unwrap().unwrap();
}

/// Guards against a server that never becomes ready: the client keeps what it says of itself.
#[test]
fn what_a_server_says_before_it_is_ready_is_bounded() {
    const MANY: usize = 64 << 20;
    let (url, serving) = stranger(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"R\0\0\0\x08\0\0\0\0");
        let mut sent = 0;
        for nth in 0_u32.. {
            let told = format!("S\0\0\0\x10{nth:010}\0\0");
            sent += told.len();
            if sent > MANY || stream.write_all(told.as_bytes()).is_err() {
                break;
            }
        }
        sent
    });
    let server = serve(&url, &ONE);
    let said = ask(&server, "query", &["select 1"]);
    assert!(said.contains("the database says more than"), "{said}");
    let sent = serving.join().unwrap();
    assert!(sent < MANY, "{sent} bytes");
}

/// The server is ready for a statement, and no transaction is open.
pub const READY: &[u8] = b"Z\0\0\0\x05I";

/// Answers as a server does which refuses every statement. What is asked beside them it answers when `told` says so;
/// returns whether the client says that it goes.
fn refuse_all(mut stream: TcpStream, asked: &Sender<()>, told: &Receiver<()>) -> bool {
    const REFUSED: &[u8] = b"E\0\0\0\x17SERROR\0C42000\0Mno\0\0Z\0\0\0\x05I";
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    take(&mut stream, length).unwrap();
    stream.write_all(b"R\0\0\0\x08\0\0\0\0").unwrap();
    stream.write_all(READY).unwrap();
    let (mut kind, mut has_bound) = ([0], false);
    while stream.read_exact(&mut kind).is_ok() {
        if kind == *b"X" {
            return true;
        }
        stream.read_exact(&mut length).unwrap();
        take(&mut stream, length).unwrap();
        match &kind {
            b"B" => has_bound = true,
            b"S" if std::mem::take(&mut has_bound) => stream.write_all(REFUSED).unwrap(),
            b"S" => {
                let prepared = b"1\0\0\0\x04t\0\0\0\x06\0\0n\0\0\0\x04";
                stream.write_all(prepared).unwrap();
                stream.write_all(READY).unwrap();
            }
            b"Q" => {
                asked.send(()).unwrap();
                told.recv().unwrap();
                let _ = stream.write_all(b"C\0\0\0\x0aRESET\0");
                let _ = stream.write_all(READY);
            }
            _ => {}
        }
    }
    false
}

/// Reads the rest of a message.
pub fn take(stream: &mut TcpStream, length: [u8; 4]) -> std::io::Result<Vec<u8>> {
    let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut rest).map(|()| rest)
}

/// Guards against connections that are broken off while they are being cleaned, which the database logs as errors.
#[test]
fn a_worker_that_leaves_waits_until_its_connections_are_clean_and_says_that_it_goes() {
    let ((ask_sender, asked), (tell, told)) = (channel(), channel());
    let (url, serving) = stranger(move |stream| refuse_all(stream, &ask_sender, &told));
    let mut server = serve(&url, &ONE);
    let said = ask(&server, "query", &["select 1"]);
    assert!(said.starts_with("error 42000 no"), "{said}");
    asked.recv_timeout(PATIENCE).unwrap();
    server.signal(Signal::SIGTERM);
    server.wait_for("Shutting down");
    tell.send(()).unwrap();
    assert_eq!(server.wait().code(), Some(0));
    assert!(serving.join().unwrap(), "the client says that it goes");
}

/// What stands between is told what is spoken inside of TLS (`sslnegotiation=direct`, of PostgreSQL 17).
#[test]
fn tls_is_spoken_at_once_where_the_url_asks_for_it() {
    let (url, serving) = stranger(|mut stream| {
        let mut hello = vec![0; 4096];
        let read = stream.read(&mut hello).unwrap();
        hello.truncate(read);
        hello
    });
    let url = format!("{url}?sslmode=require&sslnegotiation=direct");
    let server = serve(&url, &ONE);
    ask(&server, "query", &["select 1"]);
    let hello = serving.join().unwrap();
    assert_eq!(hello[0], 0x16, "a handshake of TLS: {hello:?}");
    let protocol = b"\x0apostgresql";
    assert!(
        hello.windows(protocol.len()).any(|it| it == protocol),
        "{hello:?}"
    );
}
