//! Requests belong to traces: continued or begun, told to guests and to the servers that they ask, and named in the log.

mod export;
mod outages;

use crate::harness::http2::{END_HEADERS, END_STREAM, Http2, head};
use crate::harness::{After, DEADLINE, GREETING, Server, Upstream, get, guest};
use std::io::Write;
use std::sync::{Condvar, Mutex};

const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The fields of a trace that a text names, one `header NAME: VALUE` a line.
#[derive(Debug, PartialEq)]
struct Told {
    id: String,
    span: String,
    flags: String,
    state: Option<String>,
}

fn told(text: &str) -> Told {
    let field = |name: &str| {
        let mut lines = text.lines().map(|line| line.trim_start_matches("header "));
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(|value| value.trim().to_owned())
    };
    let parent = field("traceparent").unwrap_or_else(|| panic!("no trace in {text}"));
    let parts: Vec<&str> = parent.split('-').collect();
    let [version, id, span, flags] = parts[..] else {
        panic!("{parent}")
    };
    let is_hexadecimal = |text: &str| text.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
    assert_eq!((version, id.len(), span.len()), ("00", 32, 16), "{parent}");
    assert!(is_hexadecimal(id) && is_hexadecimal(span), "{parent}");
    Told {
        id: id.to_owned(),
        span: span.to_owned(),
        flags: flags.to_owned(),
        state: field("tracestate"),
    }
}

/// What the guest is told where the client sends these fields.
fn asked(server: &Server, fields: &str) -> Told {
    told(&said(server, fields))
}

fn said(server: &Server, fields: &str) -> String {
    let response = server.connect().get("/request").lines(fields).response();
    let response = response.unwrap();
    assert_eq!(response.status, 200);
    response.text()
}

fn serve(arguments: &[&str]) -> Server {
    let guest = guest("behaviours");
    Server::component(&guest)
        .arg("--trace-context")
        .args(arguments)
        .start()
}

#[test]
fn a_trace_is_continued_or_begun_and_told_to_the_guest() {
    let server = serve(&[]);
    let continued = asked(
        &server,
        &format!("Traceparent: {PARENT}\r\nTracestate: a=1\r\ntracestate: b=2 , c=3\r\n"),
    );
    assert_eq!(continued.id, ID);
    assert_eq!(continued.flags, "01");
    assert_eq!(continued.state.as_deref(), Some("a=1,b=2,c=3"));
    assert_ne!(continued.span, "00f067aa0ba902b7");
    let (first, second) = (asked(&server, ""), asked(&server, ""));
    assert_ne!(first.id, second.id);
    assert_eq!((first.flags.as_str(), first.state), ("01", None));
    // A version that is not known yet.
    let later = format!("traceparent: cc{}-more\r\n", &PARENT[2..]);
    assert_eq!(asked(&server, &later).id, ID);
}

#[test]
fn a_trace_of_http2_is_continued_too() {
    let server = serve(&[]);
    let mut client = Http2::open(server.address).unwrap();
    let fields = [
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
    ];
    let stream = client
        .ask(END_HEADERS | END_STREAM, &head("GET", "/request", &fields))
        .unwrap();
    let text = String::from_utf8(client.answer(stream).unwrap()).unwrap();
    let told = told(&text);
    assert_eq!(told.id, ID);
    assert_eq!(told.state.as_deref(), Some("a=1,b=2"));
}

/// A field that is passed on broken would break every system behind this one.
#[test]
fn where_the_parent_is_broken_a_trace_begins_and_a_broken_state_is_left_out() {
    let server = serve(&[]);
    for broken in [
        format!("traceparent: {}\r\n", PARENT.to_uppercase()),
        format!("traceparent: {PARENT}\r\ntraceparent: {PARENT}\r\n"),
        format!("traceparent: {PARENT}-more\r\n"),
        format!("traceparent: ff{}\r\n", &PARENT[2..]),
        format!("traceparent: 00-{}-00f067aa0ba902b7-01\r\n", "0".repeat(32)),
        format!("traceparent: 00-{ID}-{}-01\r\n", "0".repeat(16)),
        "traceparent: \r\n".to_owned(),
        "traceparent: x\r\n".to_owned(),
    ] {
        let told = asked(&server, &format!("{broken}tracestate: a=1\r\n"));
        assert_ne!(told.id, ID, "{broken}");
        assert_eq!(told.state, None, "{broken}");
    }
    let told = asked(
        &server,
        &format!("traceparent: {PARENT}\r\ntracestate: a=1,=\r\n"),
    );
    assert_eq!((told.id.as_str(), told.state), (ID, None));
}

/// Anybody can claim that their requests are to be recorded, at the operator's expense.
#[test]
fn only_those_who_are_trusted_decide_what_is_recorded() {
    let with = |sampler: &str, trusted: &str| {
        Server::component(guest("behaviours"))
            .arg("--trace-context")
            .option("--forwarded-allow-ips", trusted)
            .env("OTEL_TRACES_SAMPLER", sampler)
            .start()
    };
    let parent = |flags: &str| format!("traceparent: {}{flags}\r\n", &PARENT[..PARENT.len() - 2]);
    for (sampler, trusted, sent, got) in [
        ("parentbased_always_off", "127.0.0.1", "01", "01"),
        ("parentbased_always_off", "10.0.0.1", "01", "00"),
        ("parentbased_always_on", "127.0.0.1", "00", "00"),
        ("parentbased_always_on", "10.0.0.1", "00", "01"),
        ("always_off", "127.0.0.1", "01", "00"),
    ] {
        let told = asked(&with(sampler, trusted), &parent(sent));
        let case = format!("{sampler} {trusted} {sent}");
        assert_eq!((told.id.as_str(), told.flags.as_str()), (ID, got), "{case}");
    }
}

#[test]
fn without_the_option_fields_pass_as_they_are() {
    let server = Server::component(guest("behaviours")).start();
    assert!(!said(&server, "").contains("traceparent"));
    let text = said(&server, "traceparent: x\r\ntracestate: =\r\n");
    assert!(text.contains("header traceparent: x\n"), "{text}");
    assert!(text.contains("header tracestate: =\n"), "{text}");
}

#[test]
fn the_servers_that_a_guest_asks_are_told_the_trace() {
    for name in ["behaviours", "behaviours-p3"] {
        let upstream = Upstream::friendly();
        let rule = format!("http://{}", upstream.address);
        let server = Server::component(guest(name))
            .arg("--trace-context")
            .option("--allow-http", &rule)
            .start();
        let path = format!("/outbound?authority={}", upstream.address);
        for _ in 0..2 {
            let mut connection = server.connect();
            let request = connection.get(&path).header("traceparent", PARENT);
            let text = request
                .header("tracestate", "a=1")
                .response()
                .unwrap()
                .text();
            assert!(text.starts_with("status 200"), "{name}: {text}");
        }
        let seen: Vec<Told> = upstream
            .seen()
            .iter()
            .map(|seen| told(&seen.head))
            .collect();
        let [first, second] = &seen[..] else {
            panic!("{name}: {seen:?}")
        };
        assert_eq!(
            (first.id.as_str(), first.state.as_deref()),
            (ID, Some("a=1"))
        );
        assert_ne!(first.span, "00f067aa0ba902b7");
        assert_ne!(first.span, second.span);
    }
}

#[test]
fn a_guest_that_names_its_own_span_is_not_corrected() {
    let upstream = Upstream::friendly();
    let rule = format!("http://{}", upstream.address);
    let server = serve(&["--allow-http", &rule]);
    let path = format!(
        "/outbound?authority={}&header=traceparent:{PARENT}",
        upstream.address
    );
    assert_eq!(get(server.address, &path).status, 200);
    let told = told(&upstream.seen()[0].head);
    assert_eq!(
        (told.id.as_str(), told.span.as_str()),
        (ID, "00f067aa0ba902b7")
    );
    assert_eq!(told.state, None);
}

/// An instance that answers several requests asks for each of them in the trace of that one.
#[test]
fn requests_that_are_answered_beside_each_other_keep_their_own_traces() {
    const BESIDE: usize = 4;
    let arrived = (Mutex::new(0), Condvar::new());
    let upstream = Upstream::start(move |_, stream| {
        let (count, changed) = &arrived;
        let mut count = count.lock().unwrap();
        *count += 1;
        changed.notify_all();
        let waited = changed.wait_timeout_while(count, DEADLINE, |count| *count < BESIDE);
        drop(waited.unwrap());
        stream.write_all(GREETING).unwrap();
        After::Keep
    });
    let (guest, rule) = (
        guest("behaviours-p3"),
        format!("http://{}", upstream.address),
    );
    let beside = [
        "--reuse",
        "100",
        "--reuse-concurrency",
        "8",
        "--trace-context",
    ];
    let server = Server::component(&guest)
        .option("--allow-http", &rule)
        .args(beside)
        .start();
    std::thread::scope(|scope| {
        for number in 0..BESIDE {
            let (server, upstream) = (&server, &upstream);
            scope.spawn(move || {
                let path = format!("/outbound?authority={}&path=/{number}", upstream.address);
                let parent = format!("00-{number:032x}-00f067aa0ba902b7-01", number = number + 1);
                let text = server
                    .connect()
                    .get(&path)
                    .header("traceparent", &parent)
                    .response()
                    .unwrap()
                    .text();
                assert!(text.starts_with("status 200"), "{text}");
            });
        }
    });
    let seen = upstream.seen();
    assert_eq!(seen.len(), BESIDE);
    for seen in seen {
        let path = seen.head.split(' ').nth(1).unwrap();
        let number: u128 = path.trim_start_matches('/').parse().unwrap();
        assert_eq!(told(&seen.head).id, format!("{:032x}", number + 1));
    }
}

#[test]
fn both_logs_name_the_trace() {
    let server = serve(&["--log-format", "json"]);
    let ask = |path: &str| {
        server
            .connect()
            .get(path)
            .header("traceparent", PARENT)
            .response()
            .unwrap()
    };
    assert_eq!(ask("/trap-before-head").status, 500);
    let span = told(&ask("/request").text()).span;
    let line = server.wait_for(&format!("\"span_id\":\"{span}\""));
    assert!(line.contains("\"message\":\"request\""), "{line}");
    assert!(line.contains(&format!("\"trace_id\":\"{ID}\"")), "{line}");
    let line = server.wait_for("\"level\":\"ERROR\"");
    assert!(line.contains(&format!("\"trace_id\":\"{ID}\"")), "{line}");
    assert!(
        serde_json::from_str::<serde_json::Value>(&line).is_ok(),
        "{line}"
    );
    ask("/log");
    let line = server.wait_for("without context");
    assert!(line.contains(&format!("\"trace_id\":\"{ID}\"")), "{line}");
}

#[test]
fn a_text_log_names_the_trace_beside_the_request() {
    let server = serve(&[]);
    let ask = |path: &str| {
        let mut connection = server.connect();
        let request = connection.get(path).header("X-Request-Id", "me");
        request.header("traceparent", PARENT).response().unwrap()
    };
    assert_eq!(ask("/trap-before-head").status, 500);
    server.wait_for(&format!("\"GET /trap-before-head\" [me trace={ID}]: "));
    ask("/log");
    server.wait_for(&format!(" me trace={ID}] "));
}

#[test]
fn a_sampler_that_is_not_known_is_refused() {
    let mut command = crate::harness::wasmserve();
    command
        .args([&guest("behaviours"), "--port", "0", "--trace-context"])
        .env("OTEL_TRACES_SAMPLER", "sometimes");
    let output = crate::harness::finished(command);
    assert_eq!(output.status.code(), Some(2));
    let said = crate::harness::said(&output);
    assert!(
        said.contains("OTEL_TRACES_SAMPLER: `sometimes` is no sampler"),
        "{said}"
    );
}
