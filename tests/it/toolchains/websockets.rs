//! WebSockets of applications whose toolchains know none: what their bridges make of wasmserve:websocket.

use super::{built, directory_that, kept, place, trials, with_toolchains};
use crate::harness::websocket::{
    Socket, closed, next, open, open_in_http2, refused, request, try_open,
};
use crate::harness::{Server, Upstream, root};
use nix::sys::signal::Signal;
use std::process::Command;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

const HONO: &str = "guests/javascript/src/websocket.ts";
const SOCKETS: &str = "guests/javascript/tests/websockets.ts";
const GO: &str = "guests/go/websocket";

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

/// What comes back over a stream of HTTP/2, and how that ends.
fn talk_in_http2(server: &Server, path: &str) {
    let mut socket = open_in_http2(server, path, &[("x-own", "value")]);
    for text in ["hello", "\u{1f600} \u{e9}"] {
        socket.send(Message::text(text)).unwrap();
        assert_eq!(next(&mut socket), Message::text(text), "{path}");
    }
    let bytes = Message::binary(vec![7; 20_000]);
    socket.send(bytes.clone()).unwrap();
    assert_eq!(next(&mut socket), bytes, "{path}");
    let close = CloseFrame {
        code: 4002.into(),
        reason: "I am done".into(),
    };
    socket.close(Some(close)).unwrap();
    let answered = closed(&mut socket);
    assert_eq!(answered, (4002, "I am done".to_owned()), "{path}");
}

#[test]
fn hono_and_libraries_of_go_speak_over_http2() {
    let server = trials::serve(&built(SOCKETS), &[]);
    talk_in_http2(&server, "/echo");
    server.wait_for(r#"closed 4002 "I am done" true in state 3"#);
    let server = trials::serve(&built_with_libraries(), &[]);
    for path in ["/gorilla", "/coder"] {
        talk_in_http2(&server, path);
    }
    server.wait_for("gorilla: websocket: close 4002: I am done");
    server.wait_for("status = StatusCode(4002) and reason = \"I am done\"");
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

/// Its libraries are those that Debian packages.
fn built_with_libraries() -> String {
    kept(GO, &[], |file| -> Command {
        let copy = place("go-websocket");
        let libraries = directory_that("guests/go/libraries");
        let original = root().join(GO);
        std::fs::copy(original.join("main.go"), copy.join("main.go")).unwrap();
        let mut module = std::fs::read_to_string(original.join("go.mod")).unwrap();
        for path in [
            "github.com/gorilla/websocket",
            "github.com/klauspost/compress",
            "nhooyr.io/websocket",
        ] {
            let here = libraries.join(path);
            module += &format!("\nreplace {path} => {}\n", here.display());
        }
        std::fs::write(copy.join("go.mod"), module).unwrap();
        let mut command = with_toolchains();
        command.arg("build").arg(&copy).arg("-o").arg(file);
        command
    })
}

#[test]
fn libraries_of_go_send_back_what_comes() {
    let server = trials::serve(&built_with_libraries(), &[]);
    for path in ["/gorilla", "/coder"] {
        let mut socket = open(&server, path);
        for text in ["", "hello", "\u{1f600} \u{e9}"] {
            comes_back(&mut socket, Message::text(text));
        }
        for size in [1, 125, 126, 65_535, 65_536, 1 << 20] {
            comes_back(&mut socket, Message::binary(vec![7; size]));
        }
        for number in 0..50 {
            socket.send(Message::text(number.to_string())).unwrap();
        }
        for number in 0..50 {
            assert_eq!(next(&mut socket), Message::text(number.to_string()));
        }
        close_with(&mut socket, 4002, "I am done");
        assert_eq!(closed(&mut socket), (4002, "I am done".to_owned()));
    }
    server.wait_for("gorilla: websocket: close 4002: I am done");
    server.wait_for("status = StatusCode(4002) and reason = \"I am done\"");
    let response = server.connect().get("/").response().unwrap();
    assert_eq!(response.text(), "Hello, world!\n");
}

#[test]
fn libraries_of_go_choose_subprotocols_and_see_the_request() {
    let server = trials::serve(&built_with_libraries(), &[]);
    for (path, who) in [
        ("/gorilla", r#""second" "value" true"#),
        ("/coder", r#""second""#),
    ] {
        let mut asked = request(&server, path);
        let headers = asked.headers_mut();
        headers.insert("sec-websocket-protocol", "first, second".parse().unwrap());
        headers.insert("x-own", "value".parse().unwrap());
        let extensions = "permessage-deflate; client_max_window_bits";
        headers.insert("sec-websocket-extensions", extensions.parse().unwrap());
        let (mut socket, response) = try_open(&server, asked).unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "second");
        assert!(!response.headers().contains_key("sec-websocket-extensions"));
        if path == "/gorilla" {
            assert_eq!(response.headers()["x-greeting"], "hello");
            assert_eq!(response.headers()["set-cookie"], "a=b");
        }
        socket.send(Message::text("who")).unwrap();
        assert_eq!(next(&mut socket), Message::text(who));
    }
}

#[test]
fn libraries_of_go_close_with_a_code_after_what_they_have_sent() {
    let server = trials::serve(&built_with_libraries(), &[]);
    for path in ["/gorilla", "/coder"] {
        let mut socket = open(&server, path);
        socket.send(Message::text("first")).unwrap();
        socket.send(Message::text("close")).unwrap();
        assert_eq!(next(&mut socket), Message::text("first"));
        assert_eq!(closed(&mut socket), (4001, "enough".to_owned()));
    }
    server.wait_for("its end: <nil>");
    let mut socket = open(&server, "/flood");
    for number in 0..1000 {
        let text = next(&mut socket).into_text().unwrap();
        assert!(text.starts_with(&format!("{number} 0")));
    }
    assert_eq!(closed(&mut socket), (4000, "all".to_owned()));
    // A message that a library does not take, for its size.
    let mut socket = open(&server, "/coder");
    socket
        .send(Message::binary(vec![0; (4 << 20) + 1]))
        .unwrap();
    assert_eq!(closed(&mut socket).0, 1009);
}

#[test]
fn a_handler_in_go_that_panics_closes_with_1011_or_is_answered_500() {
    let server = trials::serve(&built_with_libraries(), &[]);
    let mut socket = open(&server, "/gorilla");
    socket.send(Message::text("panic")).unwrap();
    assert_eq!(closed(&mut socket).0, 1011);
    server.wait_for("http: panic serving /gorilla: as asked");
    assert_eq!(refused(&server, "/panic").0, 500);
    server.wait_for("http: panic serving /panic: before");
    assert_eq!(refused(&server, "/forever").0, 500);
    server.wait_for("the handler of /forever waits for what never comes");
    let printed = server.printed();
    assert!(!printed.contains("trapped"), "{printed}");
}

#[test]
fn a_handler_in_go_answers_a_handshake_as_any_request_where_it_opens_no_websocket() {
    let server = trials::serve(&built_with_libraries(), &[]);
    assert_eq!(refused(&server, "/denied"), (403, "not today\n".to_owned()));
    assert_eq!(refused(&server, "/nowhere").0, 404);
    // gorilla refuses an ordinary request, which is none.
    let response = server.connect().get("/gorilla").response().unwrap();
    assert_eq!(response.status, 400);
}

#[test]
fn goroutines_go_on_beside_a_websocket_and_a_client_that_leaves_is_noticed() {
    let server = trials::serve(&built_with_libraries(), &[]);
    let mut socket = open(&server, "/chat");
    let (mut ticks, mut said) = (0, 0);
    // Longer than a client may be silent that answers no pings.
    while ticks < 15 || said < 3 {
        if said == ticks / 5 {
            socket.send(Message::text(format!("say {said}"))).unwrap();
        }
        let text = next(&mut socket).into_text().unwrap();
        match text.strip_prefix("tick ") {
            Some(number) => {
                assert_eq!(number, ticks.to_string());
                ticks += 1;
            }
            None => said += 1,
        }
    }
    drop(socket);
    server.wait_for("chat: websocket: close 1006 (abnormal closure)");
    server.wait_for("chat: over");
    let mut socket = open(&server, "/coder");
    socket.send(Message::text("ping")).unwrap();
    server.wait_for("its ping: <nil>");
    comes_back(&mut socket, Message::text("still there"));
}

#[test]
fn a_reload_closes_a_websocket_of_go_with_1012() {
    let options = ["--timeout-graceful-shutdown", "2s"];
    let server = trials::serve(&built_with_libraries(), &options);
    let mut socket = open(&server, "/gorilla");
    comes_back(&mut socket, Message::text("here"));
    server.signal(Signal::SIGHUP);
    assert_eq!(closed(&mut socket).0, 1012);
    server.wait_for("gorilla: websocket: close 1012");
    comes_back(&mut open(&server, "/gorilla"), Message::text("new"));
}
