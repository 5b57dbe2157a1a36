//! FastAPI's WebSocket routes, as they are.

use super::{FASTAPI, FLASK, STARLETTE};
use crate::harness::process::anonymous;
use crate::harness::websocket::{
    Socket, closed, next, open, open_in_http2, refused, request, try_open,
};
use crate::harness::{Server, eventually};
use crate::toolchains::{built, trials};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

fn status(server: &Server, path: &str) -> u16 {
    refused(server, path).0
}

#[test]
fn a_route_accepts_receives_sends_and_closes() {
    let server = trials::serve(&built(FASTAPI), &[]);
    let mut asked = request(&server, "/talk/Ada?tag=blue");
    let headers = asked.headers_mut();
    headers.insert("sec-websocket-protocol", "one, two".parse().unwrap());
    let (mut socket, response) = try_open(&server, asked).unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "one");
    assert_eq!(response.headers()["x-greeting"], "hello");
    socket.send(Message::text(r#"{"a":[1,2]}"#)).unwrap();
    let answer = next(&mut socket).into_text().unwrap();
    for part in [
        r#""name":"Ada""#,
        r#""tag":"blue""#,
        r#""scheme":"ws""#,
        r#""said":{"a":[1,2]}"#,
        r#""state":"hello from the lifespan""#,
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    socket.send(Message::text(r#""leave""#)).unwrap();
    assert_eq!(closed(&mut socket), (4000, "as you wish".to_owned()));
    // The client's own code arrives in the application.
    let mut socket = open(&server, "/talk/Grace");
    socket.close(None).unwrap();
    server.wait_for("Grace left with 1005");
}

#[test]
fn a_route_is_served_over_http2() {
    let server = trials::serve(&built(FASTAPI), &[]);
    let offered = [("sec-websocket-protocol", "one, two")];
    let mut socket = open_in_http2(&server, "/talk/Ada?tag=blue", &offered);
    socket.send(Message::text(r#"{"a":[1,2]}"#)).unwrap();
    let answer = next(&mut socket).into_text().unwrap();
    assert!(answer.contains(r#""said":{"a":[1,2]}"#), "{answer}");
    socket.send(Message::text(r#""leave""#)).unwrap();
    assert_eq!(closed(&mut socket), (4000, "as you wish".to_owned()));
}

#[test]
fn an_exception_closes_with_1011_and_is_in_the_log() {
    let server = trials::serve(&built(FASTAPI), &[]);
    let mut socket = open(&server, "/talk/Ada");
    socket.send(Message::text(r#""fail""#)).unwrap();
    assert_eq!(closed(&mut socket).0, 1011);
    server.wait_for("RuntimeError: as asked");
}

#[test]
fn a_route_that_closes_before_it_accepts_and_a_path_without_one_are_answered_403() {
    let server = trials::serve(&built(FASTAPI), &[]);
    assert_eq!(status(&server, "/talk/nobody"), 403);
    assert_eq!(status(&server, "/nowhere"), 403);
    let server = trials::serve(&built(STARLETTE), &[]);
    assert_eq!(status(&server, "/plain"), 403);
}

#[test]
fn a_wsgi_application_answers_as_it_answers_any_request() {
    let server = trials::serve(&built(FLASK), &[]);
    assert_eq!(status(&server, "/a-path-that-is-nowhere"), 404);
    // Werkzeug itself refuses a WebSocket at a route that is for requests.
    assert_eq!(status(&server, "/hello/Ada"), 400);
}

#[test]
fn a_route_sends_while_it_receives() {
    let server = trials::serve(&built(FASTAPI), &[]);
    let mut socket = open(&server, "/ticks");
    let (mut ticks, mut answered) = (0, false);
    socket.send(Message::binary(b"abc".to_vec())).unwrap();
    while ticks < 5 || !answered {
        match next(&mut socket) {
            Message::Text(text) => {
                assert_eq!(text.as_str(), format!("tick {ticks}"));
                ticks += 1;
            }
            Message::Binary(bytes) => {
                assert_eq!(&bytes[..], b"cba");
                answered = true;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Each has an instance of its own, whose tables and whatever else the host has for it are a large part of it.
#[test]
fn what_many_took_is_given_back_when_they_have_closed() {
    const MANY: usize = 200;
    let server = Server::component(built(FASTAPI))
        .arg("--no-access-log")
        .start();
    let ask = |socket: &mut Socket| {
        socket.send(Message::text(r#"{"a":1}"#)).unwrap();
        next(socket);
    };
    ask(&mut open(&server, "/talk/Ada"));
    std::thread::sleep(QUIET);
    let before = anonymous(server.workers()[0]);
    let mut open_ones: Vec<Socket> = (0..MANY).map(|_| open(&server, "/talk/Ada")).collect();
    open_ones.iter_mut().for_each(ask);
    // It is quiet while they are open, too.
    std::thread::sleep(QUIET);
    let open = anonymous(server.workers()[0]);
    for mut socket in open_ones {
        socket.close(None).unwrap();
        closed(&mut socket);
    }
    eventually("memory is given back", || {
        let left = anonymous(server.workers()[0]).saturating_sub(before);
        left * 10 < open.saturating_sub(before)
    });
}

/// There are more of them than the worker has memory for, when all are busy: those that wait have theirs put away.
#[test]
fn those_that_are_woken_at_a_time_take_no_more_than_their_worker_may_have() {
    const MOST: u64 = 160 << 10;
    let server = Server::component(built(FASTAPI))
        .option("--max-worker-memory", format!("{MOST}KiB"))
        // Nobody reads in between, and so nobody would answer.
        .arg("--ws-ping-interval=0")
        .start();
    let worker = server.workers()[0];
    let ask = |socket: &mut Socket| socket.send(Message::text(r#"{"a":1}"#)).unwrap();
    let mut sockets: Vec<Socket> = Vec::new();
    for _ in 0..4 {
        let mut more: Vec<Socket> = (0..30).map(|_| open(&server, "/talk/Ada")).collect();
        for socket in &mut more {
            ask(socket);
            next(socket);
        }
        let busy = anonymous(worker);
        eventually("they are at rest", || anonymous(worker) + (20 << 10) < busy);
        sockets.extend(more);
    }
    sockets.iter_mut().for_each(ask);
    let (mut answered, mut most) = (0, 0);
    for socket in &mut sockets {
        answered += usize::from(socket.read().is_ok_and(|message| message.is_text()));
        most = anonymous(worker).max(most);
    }
    assert!(answered > 40, "{answered}");
    assert!(most < MOST + (16 << 10), "{most} KiB");
    assert_eq!(server.workers(), [worker]);
}

/// Nothing begins or ends for so long, and what can be given back is.
const QUIET: Duration = Duration::from_secs(4);
