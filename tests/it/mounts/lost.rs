//! What comes of a request whose mount's worker goes while it is on its way.

use super::{SITE, Site, mount, pid};
use crate::harness::websocket::{closed, next, open};
use crate::harness::{Connection, HELLO, Server, eventually, guest, order, said};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_tungstenite::tungstenite::Message;

/// Has the worker be killed that has begun a request.
fn kill_worker(server: &Server) {
    let begun = || mount(server, "/api")["requests"]["in_flight"] == 1;
    eventually("it is begun", begun);
    let workers = mount(server, "/api")["workers"].clone();
    for worker in workers.as_array().unwrap() {
        kill(Pid::from_raw(pid(worker)), Signal::SIGKILL).unwrap();
    }
}

/// Nobody knows how far a worker had come that died: only what may be done twice is asked again.
#[test]
fn what_a_killed_worker_had_begun_is_asked_once_more_where_that_does_no_harm() {
    let site = Site::new(SITE);
    let server = site.server().start();
    // They sleep for longer than finding their worker takes, also where commands take seconds to start.
    for (method, ms, expected) in [
        ("GET", 6000, 200),
        ("DELETE", 6000, 200),
        ("POST", 20000, 502),
    ] {
        let mut connection = server.connect();
        let path = format!("/api/sleep?ms={ms}");
        connection.request(method, &path).send().unwrap();
        kill_worker(&server);
        let response = connection.response().unwrap();
        assert_eq!(response.status, expected, "{method}");
    }
    server.wait_for("\"POST /api/sleep?ms=20000\"");
}

/// A request that ends its worker is not given to one after the other.
#[test]
fn what_was_lost_twice_is_given_up() {
    let site = Site::new(SITE);
    let server = site.server().start();
    let mut connection: Connection = server.connect();
    connection.get("/api/sleep?ms=20000").send().unwrap();
    kill_worker(&server);
    server.wait_for("[/api] Child process");
    eventually("another worker serves", || {
        let workers = mount(&server, "/api")["workers"].clone();
        workers
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["state"] == "ready")
    });
    kill_worker(&server);
    assert_eq!(connection.response().unwrap().status, 502);
}

#[test]
fn a_reload_of_a_mount_leaves_its_websockets_their_time_and_closes_them_with_1012() {
    let component = guest("behaviours-websocket");
    let server = Server::component(HELLO)
        .option("--mount", format!("/ws={component}"))
        .args(["--timeout-graceful-shutdown", "2s"])
        .start();
    let mut socket = open(&server, "/ws/echo");
    let worker = pid(&mount(&server, "/ws")["workers"][0]);
    let reloaded = order(&server, &["reload", "--mount", "/ws"]);
    assert_eq!(reloaded.status.code(), Some(0), "{}", said(&reloaded));
    // Those that are open go on for a while, and those that are opened now are the new version's.
    socket.send(Message::text("still here")).unwrap();
    assert!(next(&mut socket) == Message::text("still here"));
    let mut other = open(&server, "/ws/echo");
    assert_eq!(closed(&mut socket).0, 1012);
    other.send(Message::text("new")).unwrap();
    assert!(next(&mut other) == Message::text("new"));
    let workers = mount(&server, "/ws")["workers"].clone();
    assert!(
        workers
            .as_array()
            .unwrap()
            .iter()
            .any(|it| pid(it) != worker)
    );
}
