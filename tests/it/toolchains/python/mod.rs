//! Python: FastAPI with Pydantic's native core, Starlette and Flask, each as it runs natively.

mod ask;
mod asynchronous;
mod chance;
mod databases;
mod django;
mod granted;
mod handed;
mod native;
mod packages;
mod priming;
mod projects;
mod pure;
mod recursion;
mod rehearsal;
mod responses;
mod schemathesis;
mod services;
mod sqlite;
mod startup;
mod table;
mod temporary;
mod tokens;
mod websocket;

use super::{built, built_for, kept, place, trials, with_toolchains};
use crate::harness::{Server, Upstream, get, root};
use ask::{Answer, Ask};
use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::thread::scope;
use std::time::{Duration, Instant};

const FASTAPI: &str = "guests/python/fastapi";
const STARLETTE: &str = "guests/python/starlette";
const FLASK: &str = "guests/python/flask";
const SERVICE: &str = "guests/python/service";
const OF_TESTS: &str = "guests/python/tests";

/// How often an instance answers: once, and again and again.
const REUSE: [&str; 2] = ["1", "100"];

const CLIENTS: usize = 8;
const REQUESTS: usize = 1000;

/// Through the table in steps that meet every request, and mix what belongs together.
const STEP: usize = 7;

/// The FastAPI sample, natively.
fn uvicorn() -> Server {
    uvicorn_of(FASTAPI)
}

fn uvicorn_of(application: &str) -> Server {
    uvicorn_in(application, &root().join(application), &[])
}

/// An application natively, in a working directory, with these variables in its environment.
fn uvicorn_in(application: &str, directory: &Path, environment: &[(&str, &str)]) -> Server {
    // With cryptography there, other packages do what they do not do without it.
    let environment_of = match application {
        packages::NATIVE => "native",
        _ => "uvicorn",
    };
    let python = root().join("target/python").join(environment_of);
    let mut command = Command::new(python.join("bin/uvicorn"));
    command
        .current_dir(directory)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["main:app", "--port", "0", "--no-access-log", "--app-dir"])
        .arg(root().join(application));
    Server::command(command)
        .envs(environment)
        .until("Uvicorn running on ")
        .start()
}

/// The FastAPI sample as a component, whose clients are known to it as they are to uvicorn.
fn fastapi(reuse: &str, upstream: &Upstream) -> Server {
    let allowed = format!("http://{}", upstream.address);
    let options = ["--client-header", "X-Real-IP", "--no-request-id"];
    let more = ["--allow-http", &allowed, "--reuse", reuse];
    trials::serve(&built(FASTAPI), &[&options[..], &more].concat())
}

/// Every request of the table, with what uvicorn answers.
fn answered_natively(upstream: &Upstream) -> Vec<(Ask, Answer)> {
    let native = uvicorn();
    let asks = table::all(upstream.address).into_iter();
    asks.map(|ask| {
        let answer = ask.of(native.address);
        (ask, answer)
    })
    .collect()
}

fn differences(server: &Server, expected: &[(Ask, Answer)]) -> Vec<String> {
    let unlike = |(ask, wanted): &(Ask, Answer)| {
        let what = ask.of(server.address).unlike(wanted)?;
        Some(format!("{}\n    {what}", ask.name()))
    };
    expected.iter().filter_map(unlike).collect()
}

#[test]
fn fastapi_answers_as_it_does_under_uvicorn() {
    let upstream = Upstream::friendly();
    let expected = answered_natively(&upstream);
    for reuse in REUSE {
        let found = differences(&fastapi(reuse, &upstream), &expected);
        assert!(
            found.is_empty(),
            "{} of {} differ with --reuse {reuse}, component != uvicorn:\n{}",
            found.len(),
            expected.len(),
            found.join("\n")
        );
    }
}

#[test]
fn a_thousand_requests_are_answered_as_natively_fresh_and_reused() {
    let upstream = Upstream::friendly();
    let expected = answered_natively(&upstream);
    for reuse in REUSE {
        let server = fastapi(reuse, &upstream);
        let ask = |client: usize| {
            let (server, expected) = (&server, &expected);
            let mine = (0..REQUESTS / CLIENTS).map(move |number| CLIENTS * number + client);
            let pairs: Vec<(Ask, Answer)> = mine
                .map(|number| expected[number * STEP % expected.len()].clone())
                .collect();
            move || differences(server, &pairs)
        };
        let found = scope(|threads| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| threads.spawn(ask(client)))
                .collect();
            let found = clients.into_iter().map(|client| client.join().unwrap());
            found.flatten().collect::<Vec<String>>()
        });
        assert!(found.is_empty(), "--reuse {reuse}:\n{}", found.join("\n"));
        assert!(!server.printed().contains("died"), "{}", server.printed());
    }
}

#[test]
fn events_leave_one_by_one() {
    for (application, path, count) in [(FASTAPI, "/events?n=5&ms=100", 5), (STARLETTE, "/ticks", 3)]
    {
        let server = trials::serve(&built(application), &[]);
        let mut connection = server.connect();
        connection.get(path).send().unwrap();
        assert_eq!(connection.head().unwrap().status, 200);
        let mut arrived = Vec::new();
        while connection.chunk().unwrap().is_some() {
            arrived.push(Instant::now());
        }
        assert_eq!(arrived.len(), count, "{path}");
        let spread = arrived[count - 1] - arrived[0];
        // Half of what lies between the first and the last: the first may be seen late.
        assert!(spread >= Duration::from_millis(50), "{path}: {spread:?}");
    }
}

#[test]
fn a_request_is_read_as_it_comes() {
    let server = trials::serve(&built(FASTAPI), &[]);
    let mut connection = server.connect();
    let head = "POST /first HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.write(format!("{head}5\r\nhello\r\n")).unwrap();
    // The rest is never sent.
    let response = connection.response().unwrap();
    assert_eq!(response.text(), r#"{"first":"hello"}"#);
    for reuse in REUSE {
        let server = trials::serve(&built(FASTAPI), &["--reuse", reuse]);
        trials::a_large_body_comes_back(&server);
    }
}

#[test]
fn background_tasks_run_after_the_response() {
    for reuse in REUSE {
        let server = trials::serve(&built(FASTAPI), &["--reuse", reuse]);
        let mut connection = server.connect();
        let accepted = trials::post(&mut connection, "/background/sweeping", b"");
        assert_eq!(
            (accepted.status, accepted.text()),
            (202, r#"{"accepted":"sweeping"}"#.into())
        );
        server.wait_for("background task sweeping done");
        server.wait_for("plain background task sweeping done");
    }
}

#[test]
fn what_is_random_is_not_the_snapshots() {
    for reuse in REUSE {
        let server = trials::serve(&built(FASTAPI), &["--reuse", reuse]);
        let answers: Vec<String> = (0..8)
            .map(|_| get(server.address, "/random").text())
            .collect();
        for key in ["random", "secret", "uuid"] {
            let value = |text: &String| {
                let (_, rest) = text.split_once(&format!("\"{key}\":")).unwrap();
                rest.split(',').next().unwrap().to_owned()
            };
            let distinct: HashSet<String> = answers.iter().map(value).collect();
            assert_eq!(distinct.len(), 8, "{key}: {answers:?}");
        }
    }
}

#[test]
fn signals_under_load_cost_no_more_than_they_must() {
    let server = trials::serve(&built(FASTAPI), &["--reuse", "100"]);
    trials::signals_under_load_cost_no_more_than_they_must(&server);
}

#[test]
fn a_starlette_application_answers() {
    for reuse in REUSE {
        let server = trials::serve(&built(STARLETTE), &["--reuse", reuse]);
        let mut connection = server.connect();
        let hello = connection.get("/hello/world").response().unwrap();
        assert_eq!(hello.text(), "Hello, world!\n");
        let echoed = trials::post(&mut connection, "/echo", br#"{"a": [1, "\u00fc"]}"#);
        assert_eq!(echoed.text(), r#"{"you sent":{"a":[1,"ü"]}}"#);
        let plain = connection.get("/plain").response().unwrap();
        assert_eq!(plain.text(), "a plain function\n");
        assert_eq!(connection.get("/nowhere").response().unwrap().status, 404);
        assert_eq!(connection.get("/echo").response().unwrap().status, 405);
    }
}

#[test]
fn a_flask_application_answers() {
    for reuse in REUSE {
        let server = trials::serve(&built(FLASK), &["--reuse", reuse]);
        let hello = get(server.address, "/hello/%3Cyou%3E");
        assert!(hello.text().contains("&lt;you&gt;"), "{}", hello.text());
        let counted = get(server.address, "/count");
        let cookie = counted.header("set-cookie").unwrap().split(';').next();
        let again = ask::get("/count").header("Cookie", cookie.unwrap());
        assert!(again.of(server.address).text().contains("2"));
        let form = ask::form("/form?q=a+b", "name=Gr%C3%BCn").of(server.address);
        assert!(form.text().contains(r#""query":"a b""#), "{}", form.text());
        let json = ask::json("/echo", r#"{"a":[1,2]}"#).of(server.address);
        assert!(json.text().contains(r#"{"a":[1,2]}"#), "{}", json.text());
        let lines = get(server.address, "/lines");
        assert_eq!(lines.text(), "line 0\nline 1\nline 2\n");
        assert_eq!(get(server.address, "/slow").text(), "{\"slow\":true}\n");
        let loops = get(server.address, "/loops").text();
        assert_eq!(loops, "no loop runs, slept, slept");
        let octets = get(server.address, "/octets/%FF%C3%BC").text();
        assert_eq!(octets, r"b'/octets/\xff\xc3\xbc'");
        let missing = get(server.address, "/missing");
        assert_eq!(missing.status, 404);
        assert!(missing.text().contains("it is not here"));
        assert_eq!(get(server.address, "/echo").status, 405);
        assert_eq!(get(server.address, "/throw").status, 500);
        server.wait_for("Exception in WSGI application");
        server.wait_for("ValueError: outside of Flask");
    }
}

#[test]
fn references_to_what_an_instance_begins_with_are_not_counted() {
    let server = trials::serve(&of_tests(), &[]);
    for _ in 0..3 {
        let answer = get(server.address, "/immortal").text();
        assert_eq!(answer, "True True True True True True True False False");
    }
}

#[test]
fn what_nobody_holds_is_given_back_and_finalizers_are_those_of_python() {
    for reuse in REUSE {
        let server = trials::serve(&of_tests(), &["--reuse", reuse]);
        for _ in 0..3 {
            let answer = get(server.address, "/resources").text();
            assert_eq!(answer, "as it should be");
        }
    }
}

/// The application of the tests, which is asked nothing while it is built: the first that it knows of is a start.
fn of_tests() -> String {
    kept(OF_TESTS, &["--no-prime"], |file| {
        let mut command = with_toolchains();
        command.args(["build", "--no-warm-up", OF_TESTS, "-o"]);
        command.arg(file);
        command
    })
}

/// The sample for WASI 0.3, by componentize-py alone.
fn service() -> String {
    kept(SERVICE, &[], |file| {
        let mut command =
            Command::new(root().join("target/python/componentize/bin/componentize-py"));
        command
            .current_dir(root().join(SERVICE))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .args(["-d", "wit", "-w", "wasi:http/service@0.3.0"])
            .args(["componentize", "app", "-o"])
            .arg(file);
        command
    })
}

#[test]
fn a_component_of_wasi_0_3_answers() {
    for reuse in REUSE {
        let server = trials::serve(&service(), &["--reuse", reuse]);
        trials::a_thousand_mixed_requests(&server);
        trials::what_is_streamed_comes_as_it_is_written(&server);
        trials::a_large_body_comes_back(&server);
        assert!(!server.printed().contains("ERROR"), "{}", server.printed());
    }
}
