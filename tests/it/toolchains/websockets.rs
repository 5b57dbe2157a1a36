//! WebSockets of applications whose toolchains know none: what their bridges make of wasmserve:websocket.

use super::{built, trials};
use crate::harness::websocket::{Socket, closed, next, open, refused, request, try_open};
use crate::harness::{Server, Upstream};
use nix::sys::signal::Signal;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

const HONO: &str = "guests/javascript/src/websocket.ts";
const SOCKETS: &str = "guests/javascript/tests/websockets.ts";

fn comes_back(socket: &mut Socket, message: Message) {
    socket.send(message.clone()).unwrap();
    assert_eq!(next(socket), message);
}

fn close_with(socket: &mut Socket, code: u16, reason: &'static str) {
    let close = CloseFrame {
        code: code.into(),
        reason: reason.into(),
    };
    socket.close(Some(close)).unwrap();
}

#[test]
fn hono_sends_back_what_comes() {
    let server = trials::serve(&built(SOCKETS), &[]);
    let mut asked = request(&server, "/echo");
    asked
        .headers_mut()
        .insert("x-own", "value".parse().unwrap());
    let (mut socket, _) = try_open(&server, asked).unwrap();
    for text in ["", "hello", "\u{1f600} \u{e9}"] {
        comes_back(&mut socket, Message::text(text));
    }
    for size in [0, 1, 125, 126, 65_536, 1 << 20] {
        comes_back(&mut socket, Message::binary(vec![7; size]));
    }
    socket.send(Message::text("state")).unwrap();
    assert_eq!(next(&mut socket), Message::text(r#"[1,"value"]"#));
    for number in 0..50 {
        socket.send(Message::text(number.to_string())).unwrap();
    }
    for number in 0..50 {
        assert_eq!(next(&mut socket), Message::text(number.to_string()));
    }
    // The client's code and reason arrive in the application.
    close_with(&mut socket, 4002, "I am done");
    assert_eq!(closed(&mut socket), (4002, "I am done".to_owned()));
    server.wait_for(r#"closed 4002 "I am done" true in state 3"#);
    let mut socket = open(&server, "/echo");
    socket.close(None).unwrap();
    assert_eq!(closed(&mut socket).0, 1005);
    server.wait_for(r#"closed 1005 "" true in state 3"#);
}

#[test]
fn hono_chooses_a_subprotocol_and_fields_of_the_answer() {
    let server = trials::serve(&built(SOCKETS), &[]);
    let mut asked = request(&server, "/chosen");
    let headers = asked.headers_mut();
    headers.insert("sec-websocket-protocol", "first, second".parse().unwrap());
    let (mut socket, response) = try_open(&server, asked).unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "second");
    assert_eq!(response.headers()["x-greeting"], "hello");
    assert_eq!(response.headers()["set-cookie"], "a=b");
    socket.send(Message::text("which")).unwrap();
    assert_eq!(next(&mut socket), Message::text("chosen second"));
    // The client has not offered it.
    assert_eq!(refused(&server, "/chosen").0, 500);
    server.wait_for("the client has not offered the subprotocol second");
}

#[test]
fn hono_closes_with_a_code_after_what_it_has_sent() {
    let server = trials::serve(&built(SOCKETS), &[]);
    let mut socket = open(&server, "/close?code=4001&reason=enough");
    socket.send(Message::text("now")).unwrap();
    assert_eq!(next(&mut socket), Message::text("before"));
    assert_eq!(closed(&mut socket), (4001, "enough".to_owned()));
    let mut socket = open(&server, "/close?code=1005");
    socket.send(Message::text("now")).unwrap();
    for said in ["before", "InvalidAccessError", "after"] {
        assert_eq!(next(&mut socket), Message::text(said));
    }
    // It sends more than is queued for a client, which reads in the end.
    let mut socket = open(&server, "/flood");
    socket.send(Message::text("300")).unwrap();
    for number in 0..300 {
        let text = next(&mut socket).into_text().unwrap();
        assert!(text.starts_with(&format!("{number} x")));
    }
    assert_eq!(closed(&mut socket), (4000, "all".to_owned()));
}

#[test]
fn a_handler_in_javascript_that_throws_closes_with_1011_and_is_in_the_log() {
    let server = trials::serve(&built(SOCKETS), &[]);
    for (path, said) in [
        ("/throw", "Error: as asked"),
        ("/throw-later", "Error: as asked, later"),
    ] {
        let mut socket = open(&server, path);
        socket.send(Message::text("now")).unwrap();
        assert_eq!(closed(&mut socket).0, 1011, "{path}");
        server.wait_for(said);
    }
}

#[test]
fn hono_answers_a_handshake_as_any_request_where_it_opens_no_websocket() {
    let server = trials::serve(&built(SOCKETS), &[]);
    assert_eq!(refused(&server, "/denied"), (403, "not today\n".to_owned()));
    assert_eq!(refused(&server, "/nowhere").0, 404);
    // An ordinary request to a route for WebSockets.
    let response = server.connect().get("/echo").response().unwrap();
    assert_eq!(response.status, 404);
}

#[test]
fn a_client_that_leaves_hono_is_an_error_and_what_is_left_is_finished() {
    let server = trials::serve(&built(SOCKETS), &[]);
    let mut socket = open(&server, "/echo");
    comes_back(&mut socket, Message::text("here"));
    drop(socket);
    server.wait_for("an error came first");
    server.wait_for(r#"closed 1006 "" false in state 3"#);
    let mut socket = open(&server, "/afterwards");
    socket.send(Message::text("wait for ever")).unwrap();
    socket.close(None).unwrap();
    assert_eq!(closed(&mut socket).0, 1005);
    server.wait_for("done afterwards");
    let printed = server.printed();
    assert!(!printed.contains("trapped"), "{printed}");
}

#[test]
fn timers_and_requests_of_javascript_go_on_beside_a_websocket() {
    let upstream = Upstream::friendly();
    let allowed = format!("http://{}", upstream.address);
    let server = trials::serve(&built(SOCKETS), &["--allow-http", &allowed]);
    let mut socket = open(&server, &format!("/busy?url={allowed}/"));
    socket.send(Message::text("one")).unwrap();
    socket.send(Message::text("two")).unwrap();
    let (mut ticks, mut answers) = (0, Vec::new());
    while ticks < 5 || answers.len() < 2 {
        let text = next(&mut socket).into_text().unwrap();
        match text.strip_prefix("tick ") {
            Some(number) => {
                assert_eq!(number, ticks.to_string());
                ticks += 1;
            }
            None => answers.push(text.to_string()),
        }
    }
    answers.sort();
    assert_eq!(answers, ["one hello", "two hello"]);
    // No handler waits for the one before it.
    let mut socket = open(&server, "/slow");
    socket.send(Message::text("1000")).unwrap();
    socket.send(Message::text("1")).unwrap();
    assert_eq!(next(&mut socket), Message::text("1"));
    assert_eq!(next(&mut socket), Message::text("1000"));
}

#[test]
fn a_reload_closes_a_websocket_of_hono_with_1012() {
    let server = trials::serve(&built(HONO), &["--timeout-graceful-shutdown", "2s"]);
    let mut socket = open(&server, "/echo");
    comes_back(&mut socket, Message::text("here"));
    server.signal(Signal::SIGHUP);
    assert_eq!(closed(&mut socket).0, 1012);
    server.wait_for("closed with 1012");
    comes_back(&mut open(&server, "/echo"), Message::text("new"));
}

/// A component says by its exports whether it takes them.
#[test]
fn an_application_in_javascript_without_websockets_has_no_handler_for_them() {
    let server: Server = trials::serve(&built("guests/javascript"), &[]);
    assert_eq!(refused(&server, "/").0, 200);
}
