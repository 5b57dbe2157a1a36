//! What guests do with WebSockets, good and bad, for the tests: the first segment of the path says what.

use exports::wasmserve::websocket::socket_handler::{Connection, Guest, Opening};
use query::Query;
use wasip2::clocks::monotonic_clock;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasmserve::websocket::connections::{Closed, Message};

wit_bindgen::generate!({
    path: "../../wit",
    world: "wasmserve:websocket/server@0.1.0",
    generate_all,
});

struct Behaviours;

export!(Behaviours);
wasip2::http::proxy::export!(Behaviours);

impl Guest for Behaviours {
    fn handle(opening: Opening, connection: Connection) {
        let (behaviour, query) = query::parse(&opening.path_with_query);
        match behaviour {
            "reject" => {
                let status = query.number("status", 403) as u16;
                let headers = [("x-why".to_owned(), b"as asked".to_vec())];
                let rejected = connection.reject(status, &headers, b"not today\n");
                if rejected.is_err() {
                    let _ = connection.reject(400, &[], b"it is refused\n");
                }
            }
            "trap-before" => panic!("as asked"),
            "return-before" => {}
            "wait-before" => sleep(query.number("ms", 60_000)),
            _ => {
                let subprotocol = opening.subprotocols.last().map(String::as_str);
                let cookie = [("set-cookie".to_owned(), b"a=b".to_vec())];
                connection.accept(subprotocol, &cookie).expect("it may");
                let _ = accepted(behaviour, &query, &opening, &connection);
            }
        }
    }
}

fn accepted(
    behaviour: &str,
    query: &Query,
    opening: &Opening,
    connection: &Connection,
) -> Result<(), Closed> {
    let say = |text: String| connection.send(&Message::Text(text));
    match behaviour {
        // What it sees of the opening request.
        "opening" => {
            say(format!("method {}", opening.method))?;
            say(format!("path {}", opening.path_with_query))?;
            say(format!("scheme {}", opening.scheme))?;
            say(format!("authority {}", opening.authority))?;
            say(format!("version {}", opening.http_version))?;
            say(format!("client {}", opening.client.is_some()))?;
            for (name, value) in &opening.headers {
                say(format!("header {name}: {}", String::from_utf8_lossy(value)))?;
            }
        }
        "close" => {
            let reason = query.text("reason").unwrap_or_default();
            connection.close(Some(query.number("code", 4000) as u16), reason);
            // Nothing can be sent any more.
            assert!(say("too late".to_owned()).is_err());
        }
        "trap" => {
            connection.blocking_receive()?;
            panic!("as asked");
        }
        // Runs without end for one message.
        "spin" => {
            connection.blocking_receive()?;
            let mut number = 1_u64;
            loop {
                number = std::hint::black_box(number.wrapping_mul(3));
            }
        }
        // Uses processor time for each message, as `ms` says.
        "toil" => loop {
            let message = connection.blocking_receive()?;
            let end = monotonic_clock::now() + query.number("ms", 50) * 1_000_000;
            while monotonic_clock::now() < end {}
            connection.send(&message)?;
        },
        // Takes nothing that comes.
        "deaf" => sleep(query.number("ms", 600_000)),
        // Sends as much as it may.
        "flood" => {
            let bytes = vec![b'x'; query.number("bytes", 65_536) as usize];
            loop {
                connection.send(&Message::Binary(bytes.clone()))?;
            }
        }
        "ping" => {
            connection.ping(b"are you there")?;
            connection.blocking_receive()?;
        }
        // Waits for messages by a pollable, and says how the connection ended in the log.
        "watch" => loop {
            connection.subscribe_receive().block();
            match connection.receive() {
                Ok(Some(message)) => connection.send(&message)?,
                Ok(None) => {}
                Err(closed) => {
                    println!("it was closed with {} {}", closed.code, closed.reason);
                    return Ok(());
                }
            }
        },
        // Changes some of its memory for each message, and says whether all of it is as it should be.
        "remember" => {
            let mut memory = vec![0_u8; 6 << 20];
            let mut written = 0_u8;
            loop {
                let message = connection.blocking_receive()?;
                let is_as_written = (0..memory.len()).all(|at| memory[at] == expected(at, written));
                written += 1;
                for at in (0..memory.len()).filter(|at| changes(*at)) {
                    memory[at] = written;
                }
                say(format!("remembers {is_as_written}"))?;
                drop(message);
            }
        }
        "hog" => {
            connection.blocking_receive()?;
            let mut held = Vec::new();
            loop {
                held.push(vec![1_u8; 1 << 20]);
            }
        }
        _ => loop {
            let message = connection.blocking_receive()?;
            connection.send(&message)?;
        },
    }
    Ok(())
}

/// Says whether a byte is one that changes: all at the beginning, and some everywhere else.
fn changes(at: usize) -> bool {
    at < 100_000 || at.is_multiple_of(3001)
}

fn expected(at: usize, written: u8) -> u8 {
    if changes(at) { written } else { 0 }
}

fn sleep(ms: u64) {
    monotonic_clock::subscribe_duration(ms * 1_000_000).block();
}

impl wasip2::exports::http::incoming_handler::Guest for Behaviours {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("it is taken once");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("it is taken once");
        let _ = stream.blocking_write_and_flush(b"an ordinary answer\n");
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}
