//! Disturbances under load, and what they cost: nothing for what the operator asks for, and for a
//! killed worker what that worker was itself answering.
//!
//! Each disturbance lasts some seconds here; WASMSERVE_CHAOS_SECONDS sets how many.

use crate::harness::asker::{Asker, Speaks};
use crate::harness::certificates::Authority;
use crate::harness::{HELLO, Server, SetAtEnd, Target};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

const CLIENTS: u64 = 16;
const WORKERS: usize = 4;

/// What became of the requests.
#[derive(Default)]
struct Toll {
    answered: AtomicU64,
    lost: AtomicU64,
}

/// Asks again and again until told to stop.
fn client(mut asker: Box<dyn Asker>, number: u64, toll: &Toll, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match asker.ask() {
            Ok(()) => toll.answered.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                eprintln!("client {number} lost a request: {error}");
                toll.lost.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

/// Every second one wants a connection a request.
fn http1(number: u64) -> Speaks {
    Speaks::Http1 {
        keep: number.is_multiple_of(2),
    }
}

/// Runs clients of HTTP/1.1 while `disturb` is called again and again; gives what was answered and lost.
fn under_load(server: &Server, disturb: impl FnMut()) -> (u64, u64) {
    under_load_of(&server.address.into(), None, http1, disturb)
}

/// The same with clients that speak as they are told, over TLS where there is an authority.
fn under_load_of(
    target: &Target,
    authority: Option<&Authority>,
    speaks: impl Fn(u64) -> Speaks,
    mut disturb: impl FnMut(),
) -> (u64, u64) {
    let seconds = std::env::var("WASMSERVE_CHAOS_SECONDS").map_or(4, |text| text.parse().unwrap());
    let toll = Toll::default();
    let stop = AtomicBool::new(false);
    scope(|threads| {
        let _end = SetAtEnd(&stop);
        for number in 0..CLIENTS {
            let (toll, stop) = (&toll, &stop);
            let asker = speaks(number).asker(target, authority);
            threads.spawn(move || client(asker, number, toll, stop));
        }
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            disturb();
        }
    });
    let (answered, lost) = (toll.answered.into_inner(), toll.lost.into_inner());
    println!("{answered} answered, {lost} lost");
    assert!(answered > 1000, "there was no load");
    (answered, lost)
}

fn server() -> Server {
    Server::component(HELLO)
        .workers(WORKERS)
        .arg("--no-access-log")
        .start()
}

fn pause(milliseconds: u64) {
    sleep(Duration::from_millis(milliseconds));
}

#[test]
fn a_reload_loses_nothing() {
    let server = server();
    let (_, lost) = under_load(&server, || {
        server.signal(Signal::SIGHUP);
        pause(150);
    });
    assert_eq!(lost, 0);
}

#[test]
fn scaling_loses_nothing() {
    let server = server();
    let mut up = true;
    let (_, lost) = under_load(&server, || {
        server.signal(if up { Signal::SIGTTIN } else { Signal::SIGTTOU });
        up = !up;
        pause(100);
    });
    assert_eq!(lost, 0);
}

#[test]
fn recycling_loses_nothing() {
    let server = Server::component(HELLO)
        .workers(WORKERS)
        .arg("--no-access-log")
        .arg("--limit-max-requests=500")
        .arg("--limit-max-requests-jitter=100")
        .start();
    let (_, lost) = under_load(&server, || pause(100));
    assert_eq!(lost, 0);
    assert!(server.printed().contains("recycled after its requests"));
    assert!(!server.printed().contains("died"));
}

#[test]
fn a_killed_worker_costs_what_it_was_answering() {
    let server = server();
    let mut kills = 0;
    let (_, lost) = under_load(&server, || {
        let workers = server.workers();
        if workers.len() >= WORKERS {
            let _ = kill(
                Pid::from_raw(workers[kills % workers.len()]),
                Signal::SIGKILL,
            );
            kills += 1;
        }
        pause(400);
    });
    assert!(kills >= 3, "{kills} kills");
    // Every client of a worker may be in flight when it dies.
    let most = kills as u64 * CLIENTS;
    assert!(lost <= most, "{lost} lost by {kills} kills");
}

#[test]
fn replacing_the_executable_loses_nothing() {
    let server = server();
    let (_, lost) = under_load(&server, || {
        server.signal(Signal::SIGUSR2);
        pause(500);
    });
    assert_eq!(lost, 0);
}

#[test]
fn neither_reloads_nor_a_replaced_executable_lose_anything_over_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("wasmserve-{}-chaos.sock", std::process::id()));
    let mut server = Server::component(HELLO)
        .arg("--no-access-log")
        .workers(WORKERS)
        .option("--uds", &path)
        .without_port()
        .start();
    let mut count = 0;
    let (_, lost) = under_load_of(&Target::from(path.as_path()), None, http1, || {
        count += 1;
        server.signal(match count % 3 {
            0 => Signal::SIGUSR2,
            _ => Signal::SIGHUP,
        });
        pause(300);
    });
    assert_eq!(lost, 0);
    assert!(server.printed().contains("The executable was replaced"));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!path.exists(), "the executable that took over removes it");
}

fn secure_server(authority: &Authority) -> Server {
    let pair = authority.issue("server", &["localhost"]);
    Server::component(HELLO)
        .workers(WORKERS)
        .arg("--no-access-log")
        .certificate(&pair)
        .start()
}

#[test]
fn new_certificates_cost_nothing() {
    let authority = Authority::new();
    let server = secure_server(&authority);
    let target = server.address.into();
    let (_, lost) = under_load_of(&target, Some(&authority), http1, || {
        authority.issue("server", &["localhost"]);
        server.signal(Signal::SIGHUP);
        pause(300);
    });
    assert_eq!(lost, 0);
}

#[test]
fn a_reload_loses_nothing_of_http2() {
    let server = server();
    let (_, lost) = under_load_of(
        &server.address.into(),
        None,
        |_| Speaks::Http2,
        || {
            server.signal(Signal::SIGHUP);
            pause(150);
        },
    );
    assert_eq!(lost, 0);
}

#[test]
fn a_reload_loses_nothing_of_http2_over_tls() {
    let authority = Authority::new();
    let server = secure_server(&authority);
    let (_, lost) = under_load_of(
        &server.address.into(),
        Some(&authority),
        |_| Speaks::Http2,
        || {
            server.signal(Signal::SIGHUP);
            pause(300);
        },
    );
    assert_eq!(lost, 0);
}
