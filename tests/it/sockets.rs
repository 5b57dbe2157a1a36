//! Sockets of guests reach those whom the command line names, and nobody else.

use crate::harness::{Server, eventually, finished, get, guest, wasmserve};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const BOTH: [&str; 2] = ["behaviours", "behaviours-p3"];

/// A peer that answers `pong`, by TCP and by UDP at the same port, and counts who came.
fn peer() -> (u16, Arc<AtomicUsize>) {
    let (tcp, udp) = loop {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            break (tcp, udp);
        }
    };
    let port = tcp.local_addr().unwrap().port();
    let came = Arc::new(AtomicUsize::new(0));
    let (one, other) = (came.clone(), came.clone());
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            one.fetch_add(1, Ordering::SeqCst);
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut buffer = [0; 4];
                if stream.read_exact(&mut buffer).is_ok() {
                    let _ = stream.write_all(b"pong");
                }
                // The guest reads before it is closed.
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                let _ = stream.read(&mut buffer);
            });
        }
    });
    std::thread::spawn(move || {
        let mut buffer = [0; 100];
        while let Ok((_, from)) = udp.recv_from(&mut buffer) {
            other.fetch_add(1, Ordering::SeqCst);
            let _ = udp.send_to(b"pong", from);
        }
    });
    (port, came)
}

fn serve(name: &str, rules: &[&str]) -> Server {
    let rules = rules.iter().flat_map(|rule| ["--allow-net", rule]);
    Server::component(guest(name)).args(rules).start()
}

fn ask(server: &Server, query: &str) -> String {
    get(server.address, &format!("/sockets?{query}")).text()
}

/// As the two versions of WASI put it.
fn denied(said: &str) -> bool {
    said.contains("access-denied") || said.contains("AccessDenied")
}

#[test]
fn a_peer_that_is_named_is_reached_by_address_and_by_name() {
    let (port, _) = peer();
    for name in BOTH {
        for (rule, host) in [
            (format!("127.0.0.1:{port}"), "127.0.0.1"),
            (format!("127.0.0.0/8:{port}"), "127.0.0.1"),
            (format!("localhost:{port}"), "localhost"),
        ] {
            let server = serve(name, &[&rule]);
            for kind in ["tcp", "udp"] {
                let said = ask(&server, &format!("{kind}={host}&port={port}"));
                assert_eq!(said, "pong", "{name}, {rule}, {kind}");
            }
        }
    }
}

#[test]
fn nobody_else_is_reached_and_the_log_says_what_would_allow_it() {
    let (port, came) = peer();
    for name in BOTH {
        for rules in [
            &[][..],
            &["127.0.0.1:1"],
            &["*:443", "example.com:5432"],
            &[&format!("*:{port}")],
        ] {
            let server = serve(name, rules);
            for kind in ["tcp", "udp"] {
                let said = ask(&server, &format!("{kind}=127.0.0.1&port={port}"));
                assert!(
                    said.starts_with("error"),
                    "{name}, {rules:?}, {kind}: {said}"
                );
            }
            if !rules.is_empty() {
                let line = server.wait_for("denied a socket of the guest");
                assert!(
                    line.contains(&format!("--allow-net 127.0.0.1:{port} would")),
                    "{line}"
                );
            }
        }
    }
    assert_eq!(came.load(Ordering::SeqCst), 0);
}

#[test]
fn only_names_that_are_named_are_looked_up() {
    for name in BOTH {
        let server = serve(name, &["localhost:5432"]);
        assert!(ask(&server, "lookup=localhost").starts_with("found "));
        let said = ask(&server, "lookup=example.com");
        assert!(denied(&said), "{name}: {said}");
        let line = server.wait_for("denied the guest to look up example.com");
        assert!(
            line.contains("--allow-net example.com:PORT would"),
            "{line}"
        );
        // The name is allowed, another port of it is not.
        let (port, came) = peer();
        let said = ask(&server, &format!("tcp=localhost&port={port}"));
        assert!(denied(&said), "{name}: {said}");
        assert_eq!(came.load(Ordering::SeqCst), 0);
        // What one request has looked up, another has not.
        assert!(denied(&ask(&server, "tcp=127.0.0.1&port=5432")));
    }
}

/// To look at it took the worker longer than it may be silent.
#[test]
fn a_name_that_is_none_for_its_length_costs_nothing() {
    let server = serve("behaviours", &["*:443"]);
    let worker = server.workers()[0];
    let said = ask(&server, "lookups=1&letters=50000000");
    assert!(said.contains("invalid-argument"), "{said}");
    assert_eq!(server.workers()[0], worker);
}

/// They held all threads, and what waited for disks waited for name servers.
#[test]
fn names_whose_servers_do_not_answer_hold_up_no_file() {
    let may = Command::new("unshare").args(["--mount", "true"]).output();
    let silent = UdpSocket::bind("127.0.0.77:53");
    if silent.is_err() || !may.is_ok_and(|tried| tried.status.success()) {
        eprintln!("not tried: only root can say which name server there is");
        return;
    }
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("silent-names");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join("large"), [b'x'; 300_000]).unwrap();
    let names = home.join("resolv.conf");
    let long = "nameserver 127.0.0.77\noptions timeout:30 attempts:5\n";
    std::fs::write(&names, long).unwrap();
    let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let names = names.display().to_string();
    let mut server = Server::component(guest("behaviours"))
        .workers(1)
        .option("--static", format!("/files={}", home.display()))
        .args(["--allow-net", "*:443", "--timeout-graceful-shutdown", "60"])
        .under(["unshare", "--mount", "sh", "-c", script, &names])
        .start();
    let mut looking = server.connect();
    looking.get("/sockets?lookups=600&ms=25000").send().unwrap();
    server.wait_for("looks up 600");
    let began = Instant::now();
    assert_eq!(get(server.address, "/files/large").body.len(), 300_000);
    assert!(began.elapsed() < Duration::from_secs(20));
    // Nor does it end with them.
    looking.reset();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(25),
        "{:?}",
        began.elapsed()
    );
}

/// A C library opens the network with the first socket, and keeps it.
#[test]
fn instances_that_have_had_sockets_are_restored() {
    let (port, _) = peer();
    let rule = format!("127.0.0.1:{port}");
    let watched = Server::component(guest("behaviours"))
        .option("--allow-net", &rule)
        .watched();
    for _ in 0..4 {
        let said = ask(
            &watched.server,
            &format!("keep=yes&tcp=127.0.0.1&port={port}"),
        );
        assert_eq!(said, "pong");
    }
    eventually("instances were restored", || {
        watched.metric("wasmserve_instances_restored_total") >= 3.0
    });
    let kept = r#"wasmserve_instances_dropped_total{reason="kept_resources"}"#;
    assert_eq!(watched.metric(kept), 0.0);
}

#[test]
fn nobody_listens() {
    for name in BOTH {
        let server = serve(name, &["127.0.0.0/8:8080", "*:443"]);
        let said = ask(&server, "listen=");
        assert!(denied(&said), "{name}: {said}");
    }
}

#[test]
fn a_rule_without_a_port_is_a_mistake() {
    for (rule, said) in [
        (
            "db.test",
            "option --allow-net: `db.test` has no port; write it like db.test:5432",
        ),
        ("http://db.test:80", "a socket has none, write HOST:PORT"),
    ] {
        let mut command = wasmserve();
        command.args([&guest("behaviours"), "--port", "0", "--allow-net", rule]);
        let output = finished(command);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        assert!(printed.contains(said), "{printed}");
    }
}
