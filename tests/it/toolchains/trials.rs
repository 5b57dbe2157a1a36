//! What every application goes through, whatever it is written in: the samples answer the same paths.

use crate::harness::asker::Speaks;
use crate::harness::{Connection, Response, Server, SetAtEnd, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

const CLIENTS: usize = 8;
const REQUESTS: usize = 1000;

/// Four workers, with what is asked for besides.
pub fn serve(component: &str, options: &[&str]) -> Server {
    Server::component(component)
        .workers(4)
        .arg("--no-access-log")
        .args(options)
        .start()
}

pub fn post(connection: &mut Connection, path: &str, body: &[u8]) -> Response {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
    connection.write([head.as_bytes(), body].concat()).unwrap();
    connection.response().unwrap()
}

/// A thousand requests, some with bodies and some for what is not there, each answered right.
pub fn a_thousand_mixed_requests(server: &Server) {
    scope(|threads| {
        for client in 0..CLIENTS {
            threads.spawn(move || {
                let mut connection = server.connect();
                for number in 0..REQUESTS / CLIENTS {
                    ask(&mut connection, client + number);
                }
            });
        }
    });
    assert!(!server.printed().contains("died"), "{}", server.printed());
}

fn ask(connection: &mut Connection, number: usize) {
    match number % 3 {
        0 => {
            let response = connection.get("/").response().unwrap();
            assert_eq!(
                (response.status, response.text().as_str()),
                (200, "Hello, world!\n")
            );
        }
        1 => {
            let body = format!("{number}, ").repeat(number);
            let response = post(connection, "/echo", body.as_bytes());
            assert_eq!((response.status, response.text()), (200, body));
        }
        _ => assert_eq!(connection.get("/nowhere").response().unwrap().status, 404),
    }
}

/// Five lines that are written a tenth of a second apart come so: none waits for the next.
pub fn what_is_streamed_comes_as_it_is_written(server: &Server) {
    let mut connection = server.connect();
    connection.get("/slow").send().unwrap();
    assert_eq!(connection.head().unwrap().status, 200);
    let mut arrived = Vec::new();
    let mut text = Vec::new();
    while let Some(chunk) = connection.chunk().unwrap() {
        text.extend(chunk);
        arrived.push(Instant::now());
    }
    let expected: String = (0..5).map(|number| format!("chunk {number}\n")).collect();
    assert_eq!(String::from_utf8(text).unwrap(), expected);
    assert!(arrived.len() >= 5, "{} chunks", arrived.len());
    let spread = *arrived.last().unwrap() - arrived[0];
    assert!(spread >= Duration::from_millis(350), "{spread:?}");
}

/// A body of several megabytes comes back as it was sent.
pub fn a_large_body_comes_back(server: &Server) {
    let body: Vec<u8> = (0..3_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let mut connection = server.connect();
    assert!(post(&mut connection, "/echo", &body).body == body);
}

/// Reloads lose nothing; a killed worker what it was itself answering.
pub fn signals_under_load_cost_no_more_than_they_must(server: &Server) {
    let lost = under_load(server, || {
        server.signal(Signal::SIGHUP);
        server.wait_for("Reloading");
    });
    assert_eq!(lost, 0, "lost for a reload");
    let lost = under_load(server, || {
        // One that the reload has replaced may go meanwhile.
        eventually("a worker is killed", || {
            kill(Pid::from_raw(server.workers()[0]), Signal::SIGKILL).is_ok()
        });
    });
    assert!(lost <= CLIENTS as u64, "{lost} lost for a killed worker");
    assert_eq!(server.connect().get("/").response().unwrap().status, 200);
}

/// Disturbs while clients ask, and gives them time after it. How many requests were lost.
fn under_load(server: &Server, disturb: impl FnOnce()) -> u64 {
    let (answered, lost) = (AtomicU64::new(0), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    let target = server.address.into();
    let more = |count: u64| {
        let goal = answered.load(Ordering::Relaxed) + count;
        eventually("requests are answered", || {
            answered.load(Ordering::Relaxed) >= goal
        });
    };
    scope(|threads| {
        let _end = SetAtEnd(&stop);
        for client in 0..CLIENTS {
            let keep = client.is_multiple_of(2);
            let mut asker = Speaks::Http1 { keep }.asker(&target, None);
            let (answered, lost, stop) = (&answered, &lost, &stop);
            threads.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let count = if asker.ask().is_ok() { answered } else { lost };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        more(100);
        disturb();
        more(400);
    });
    lost.into_inner()
}

/// What the engine's own code computes is interrupted as all else: `/backtracks` would take years.
pub fn a_regular_expression_without_end_is_ended(application: &str) {
    let server = Server::component(application)
        .workers(1)
        .args(["--no-access-log", "--limit-cpu", "500ms"])
        .start();
    let mut endless = server.connect();
    endless.get("/backtracks").send().unwrap();
    // Others are answered meanwhile, and afterwards.
    for _ in 0..2 {
        assert_eq!(server.connect().get("/").response().unwrap().status, 200);
    }
    assert_eq!(endless.response().unwrap().status, 504);
    server.wait_for("the guest used up its processor time (--limit-cpu)");
    assert_eq!(server.connect().get("/").response().unwrap().status, 200);
}
