//! Clients that take nothing of their answers, over TLS and over HTTP/1.1: what they hold is bounded.

use crate::harness::certificates::Authority;
use crate::harness::http2::{self, Http2};
use crate::harness::{Connection, DEADLINE, Server, eventually, guest, secure};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt,
};
use rustls::{ClientConnection, StreamOwned};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

struct Secure {
    server: Server,
    authority: Authority,
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

impl Secure {
    fn serve(options: &[&str]) -> Secure {
        let authority = Authority::new();
        let pair = authority.issue("server", &["a.test"]);
        Secure {
            server: secure(&pair, options),
            authority,
        }
    }

    /// A client that speaks this over a socket with little room.
    fn connect(&self, alpn: &str) -> Tls {
        let socket = with_little_room(self.server.address);
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let config = self.authority.client(alpn);
        let client = ClientConnection::new(config, "a.test".try_into().unwrap()).unwrap();
        StreamOwned::new(client, socket)
    }

    /// One that has no room for any answer (SETTINGS_INITIAL_WINDOW_SIZE).
    fn without_room(&self, window: u32) -> Http2<Tls> {
        let setting = [&4_u16.to_be_bytes()[..], &window.to_be_bytes()].concat();
        Http2::with_settings(self.connect("h2"), &setting).unwrap()
    }

    /// The first line of an answer.
    fn ask(&self) -> String {
        let mut client = self.connect("http/1.1");
        let head = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
        client.write_all(head).unwrap();
        let mut answer = String::new();
        // Not all end TLS as they should, which is no matter here.
        let _ = client.read_to_string(&mut answer);
        answer.lines().next().unwrap_or_default().to_owned()
    }
}

/// A connection whose client's side of the kernel takes next to nothing.
fn with_little_room(address: SocketAddr) -> TcpStream {
    let SocketAddr::V4(address) = address else {
        panic!("{address}");
    };
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    setsockopt(&fd, sockopt::RcvBuf, &4096).unwrap();
    connect(fd.as_raw_fd(), &SockaddrIn::from(address)).unwrap();
    TcpStream::from(fd)
}

/// The same over TLS: an answer that the client makes no room for.
#[test]
fn answers_that_nobody_takes_over_tls_hold_no_seats() {
    for path in ["/", "/big?bytes=50000"] {
        let secure = Secure::serve(&["--limit-concurrency", "20", "--limit-queue", "1000"]);
        let mut idle: Vec<_> = (0..3).map(|_| secure.without_room(0)).collect();
        for client in &mut idle {
            for _ in 0..100 {
                client.get(path).unwrap();
            }
            client.wait_for(http2::HEADERS).unwrap();
        }
        for _ in 0..20 {
            assert_eq!(secure.ask(), "HTTP/1.1 200 OK", "{path}");
        }
    }
}

#[test]
fn a_stream_that_stands_still_over_tls_is_reset() {
    let secure = Secure::serve(&["--timeout-write", "500ms"]);
    for (window, path) in [(0, "/"), (1, "/"), (70_000, "/big?bytes=1000000")] {
        let mut client = secure.without_room(window);
        let stream = client.get(path).unwrap();
        let reset = client.wait_for(http2::RST_STREAM).unwrap();
        assert_eq!(reset.stream, stream, "{path} with a window of {window}");
    }
}

#[test]
fn a_client_that_takes_nothing_over_tls_is_reset() {
    let secure = Secure::serve(&["--timeout-write", "500ms"]);
    let mut client = secure.connect("http/1.1");
    client
        .write_all(b"GET /big?bytes=50000000 HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .unwrap();
    eventually("its connection is reset", || {
        client.sock.take_error().unwrap().is_some()
    });
    assert_eq!(secure.ask(), "HTTP/1.1 200 OK");
}

/// Bytes that a process has in memory of its own.
fn own_memory(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.unwrap().split_whitespace().next().unwrap();
    kib.parse::<u64>().unwrap() << 10
}

/// Guards against answers of HTTP/1.1 that each connection keeps some of: 224 KiB each, whatever their number.
#[test]
fn answers_that_clients_of_http_1_do_not_take_are_bounded_together() {
    const CLIENTS: usize = 800;
    const LENGTH: u64 = 5_000_000;
    // What is kept of answers, and what so many connections take besides until they end. Without a bound it is 190 MiB.
    const MOST: u64 = (64 + 76) << 20;
    let directory = format!("stalled-{}", std::process::id());
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(directory);
    fs::create_dir_all(&directory).unwrap();
    let file = fs::File::create(directory.join("large")).unwrap();
    file.set_len(LENGTH).unwrap();
    let files = format!("/files={}", directory.display());
    // What the kernel keeps for a Unix socket is little.
    let socket = directory.join("socket");
    let server = Server::component(guest("behaviours"))
        .option("--static", &files)
        .option("--uds", &socket)
        .arg("--no-access-log")
        .without_port()
        .start();
    let worker = server.workers()[0];
    let before = own_memory(worker);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = UnixStream::connect(&socket).unwrap();
        client
            .write_all(b"GET /files/large HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        // Its answer has begun, and so it stands still for longer than whoever comes later.
        client.read_exact(&mut [0; 15]).unwrap();
        clients.push(client);
    }
    // Those that keep up lose nothing.
    let mut quick = Connection::open(socket.as_path());
    assert_eq!(
        quick.get("/files/large").response().unwrap().body.len() as u64,
        LENGTH
    );
    let mut most = 0;
    let open = || fs::read_dir(format!("/proc/{worker}/fd")).unwrap().count();
    eventually("some clients are shown out", || {
        most = most.max(own_memory(worker).saturating_sub(before));
        open() < CLIENTS
    });
    assert_eq!(
        quick.get("/files/large").response().unwrap().body.len() as u64,
        LENGTH
    );
    most = most.max(own_memory(worker) - before);
    assert!(most < MOST, "{} MiB", most >> 20);
    drop(clients);
    let _ = fs::remove_dir_all(&directory);
}
