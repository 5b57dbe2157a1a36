//! Spans arrive at a collector: which there are for a request, whose children they are, and what they say.

use super::{ID, PARENT, told};
use crate::harness::certificates::Authority;
use crate::harness::collector::{Collector, Span};
use crate::harness::http2::{END_HEADERS, END_STREAM, Http2, head};
use crate::harness::{Server, Start, Upstream, finished, get, guest, said, wasmserve, websocket};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tokio_tungstenite::tungstenite::Message;

/// A server whose spans go to this collector, without a pause.
pub(super) fn exporting(collector: &str) -> Start {
    exporting_from("behaviours", collector)
}

/// The same of another guest.
fn exporting_from(name: &str, collector: &str) -> Start {
    Server::component(guest(name))
        .option("--otlp-endpoint", collector)
        .env("OTEL_BSP_SCHEDULE_DELAY", "10")
}

fn serve(collector: &Collector, arguments: &[&str]) -> Server {
    exporting(&collector.url()).args(arguments).start()
}

fn is_server(span: &Span) -> bool {
    span.kind == SpanKind::Server
}

fn attribute<'a>(span: &'a Span, name: &str) -> &'a str {
    let value = span.attributes.get(name);
    value.unwrap_or_else(|| panic!("no `{name}` in {span:#?}"))
}

#[test]
fn a_request_has_a_span_and_its_guest_a_child_of_that() {
    let collector = Collector::start();
    let server = serve(&collector, &[]);
    let response = server
        .connect()
        .post("/request?a=b")
        .host("shop.example:81")
        .header("User-Agent", "tester")
        .header("X-Request-Id", "me")
        .header("traceparent", PARENT)
        .header("tracestate", "v=1")
        .body("abc")
        .response()
        .unwrap();
    let told = told(&response.text());
    let span = &collector.wait_for(1, is_server)[0];
    assert_eq!((span.name.as_str(), span.trace.as_str()), ("POST", ID));
    assert_eq!(
        (span.parent.as_str(), span.state.as_str()),
        ("00f067aa0ba902b7", "v=1")
    );
    assert_eq!(span.id, told.span);
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("url.path", "/request"),
        ("url.query", "a=b"),
        ("url.scheme", "http"),
        ("server.address", "shop.example"),
        ("server.port", "81"),
        ("client.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "tester"),
        ("http.request.body.size", "3"),
        ("http.response.body.size", &response.body.len().to_string()),
        ("wasmserve.request_id", "me"),
        ("process.pid", &server.workers()[0].to_string()),
    ] {
        assert_eq!(attribute(span, name), value, "{name}");
    }
    assert!(!span.has_failed && span.nanos > 0);
    assert_eq!(span.resource["service.name"], "behaviours");
    let guest = &collector.wait_for(1, |span| span.kind == SpanKind::Internal)[0];
    assert_eq!((guest.name.as_str(), &guest.parent), ("guest", &span.id));
    assert!(guest.trace == ID && guest.nanos <= span.nanos);
    let (_, head) = &collector.heads()[0];
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("content-type: application/x-protobuf\r\n"),
        "{head}"
    );
}

#[test]
fn requests_of_http2_and_refused_ones_have_spans_too() {
    let collector = Collector::start();
    let server = serve(&collector, &["--limit-body", "10"]);
    let mut client = Http2::open(server.address).unwrap();
    let stream = client
        .ask(END_HEADERS | END_STREAM, &head("GET", "/two", &[]))
        .unwrap();
    client.answer(stream).unwrap();
    let is = |path: &'static str| {
        move |span: &Span| is_server(span) && span.attributes["url.path"] == path
    };
    let span = &collector.wait_for(1, is("/two"))[0];
    assert_eq!(attribute(span, "network.protocol.version"), "2");
    assert_eq!(
        (span.parent.as_str(), attribute(span, "server.address")),
        ("", "test")
    );
    assert_eq!(
        server
            .connect()
            .post("/large")
            .body("12345678901")
            .response()
            .unwrap()
            .status,
        413
    );
    let span = &collector.wait_for(1, is("/large"))[0];
    assert_eq!(attribute(span, "http.response.status_code"), "413");
    assert!(!span.has_failed);
}

#[test]
fn a_request_of_the_guest_is_a_child_whose_id_the_other_server_is_told() {
    for name in ["behaviours", "behaviours-p3"] {
        let (collector, upstream) = (Collector::start(), Upstream::friendly());
        let rule = format!("http://{}", upstream.address);
        let server = exporting_from(name, &collector.url())
            .option("--allow-http", &rule)
            .arg("--allow-http=http://127.0.0.1:1")
            .start();
        let path = format!("/outbound?authority={}&path=/x%3Fy", upstream.address);
        assert!(get(server.address, &path).text().starts_with("status 200"));
        let span = &collector.wait_for(1, |span| span.kind == SpanKind::Client)[0];
        let parent = &collector.wait_for(1, is_server)[0];
        assert_eq!(
            (&span.trace, &span.parent),
            (&parent.trace, &parent.id),
            "{name}"
        );
        assert_eq!(told(&upstream.seen()[0].head).span, span.id);
        assert_eq!(attribute(span, "http.response.status_code"), "200");
        assert_eq!(attribute(span, "server.address"), "127.0.0.1");
        let port = upstream.address.port().to_string();
        assert_eq!(attribute(span, "server.port"), port);
        assert!(attribute(span, "url.full").starts_with(&rule), "{span:#?}");
        assert!(!span.has_failed);
        // One that nobody answers.
        get(server.address, "/outbound?authority=127.0.0.1:1");
        let refused = |span: &Span| span.kind == SpanKind::Client && span.has_failed;
        let span = &collector.wait_for(1, refused)[0];
        assert_eq!(attribute(span, "error.type"), "ConnectionRefused");
    }
}

#[test]
fn what_guests_failed_is_told() {
    let collector = Collector::start();
    let server = serve(&collector, &["--timeout-request", "1s"]);
    for (path, status, kind) in [
        ("/trap-before-head", 500, "trap"),
        ("/spin", 504, "timeout"),
        ("/no-response", 500, "no_response"),
    ] {
        assert_eq!(get(server.address, path).status, status, "{path}");
        let is = |span: &Span| is_server(span) && span.attributes["url.path"] == path;
        let span = &collector.wait_for(1, is)[0];
        assert!(span.has_failed, "{path}");
        assert_eq!(attribute(span, "error.type"), kind);
        let guest = |guest: &Span| guest.parent == span.id && guest.has_failed;
        assert_eq!(
            attribute(&collector.wait_for(1, guest)[0], "error.type"),
            kind
        );
    }
}

#[test]
fn what_is_not_sampled_is_not_exported() {
    let collector = Collector::start();
    let server = serve(&collector, &[]);
    let ask = |path: &str, flags: &str| {
        let parent = format!("{}{flags}", &PARENT[..PARENT.len() - 2]);
        assert_eq!(
            server
                .connect()
                .get(path)
                .header("traceparent", &parent)
                .response()
                .unwrap()
                .status,
            200
        );
    };
    ask("/left-out", "00");
    ask("/recorded", "01");
    let spans = collector.wait_for(1, is_server);
    assert_eq!(attribute(&spans[0], "url.path"), "/recorded");
    assert_eq!(spans.len(), 1);
}

#[test]
fn the_variables_of_opentelemetry_are_honoured() {
    let collector = Collector::start();
    let server = Server::component(guest("behaviours"))
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url() + "/below")
        .env(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "api-key=a%20secret, x-team=shop",
        )
        .env("OTEL_SERVICE_NAME", "shop")
        .env(
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=other,deployment.environment.name=a%2Cb",
        )
        .env("OTEL_BSP_SCHEDULE_DELAY", "10")
        .start();
    get(server.address, "/");
    let span = &collector.wait_for(1, is_server)[0];
    assert_eq!(span.resource["service.name"], "shop");
    assert_eq!(span.resource["deployment.environment.name"], "a,b");
    let (_, head) = &collector.heads()[0];
    assert!(head.starts_with("POST /below/v1/traces "), "{head}");
    assert!(head.contains("api-key: a secret\r\n"), "{head}");
    assert!(head.contains("x-team: shop\r\n"), "{head}");
}

#[test]
fn a_collector_is_spoken_to_over_tls_and_must_be_the_right_one() {
    // Another wasmserve stands before the collector: what it is asked is what its guest is told.
    let authority = Authority::new();
    let pair = authority.issue("collector", &["localhost"]);
    let secure = Server::component(guest("behaviours"))
        .certificate(&pair)
        .start();
    let url = format!("https://localhost:{}", secure.address.port());
    let with = |authority: &Authority| {
        let server = exporting(&url)
            .env("OTEL_EXPORTER_OTLP_CERTIFICATE", authority.file())
            .start();
        get(server.address, "/");
        server
    };
    let _server = with(&authority);
    secure.wait_for("\"POST /v1/traces HTTP/1.1\" 200");
    let other = with(&Authority::new());
    other.wait_for("spans cannot be exported to https://localhost:");
}

#[test]
fn a_collector_that_cannot_be_one_is_refused_and_a_kill_switch_works() {
    let refused = |endpoint: &str| {
        let mut command = wasmserve();
        command.args([
            &guest("behaviours"),
            "--port",
            "0",
            "--otlp-endpoint",
            endpoint,
        ]);
        let output = finished(command);
        assert_eq!(output.status.code(), Some(2), "{endpoint}");
        said(&output)
    };
    assert!(refused("localhost:4318").contains("option --otlp-endpoint: "));
    assert!(refused("http://user:secret@host").contains("OTEL_EXPORTER_OTLP_HEADERS"));
    let collector = Collector::start();
    let server = exporting(&collector.url())
        .env("OTEL_SDK_DISABLED", "true")
        .start();
    assert!(
        !get(server.address, "/request")
            .text()
            .contains("traceparent")
    );
    assert_eq!(server.exporter(), None);
}

/// What is left when the server stops is most of what is known about why it did.
#[test]
fn what_waits_is_sent_before_the_server_ends() {
    let collector = Collector::start();
    let server = exporting(&collector.url())
        .workers(2)
        .env("OTEL_BSP_SCHEDULE_DELAY", "600000")
        .start();
    (0..20).for_each(|_| assert_eq!(get(server.address, "/").status, 200));
    server.stop();
    assert_eq!(collector.wait_for(20, is_server).len(), 20);
}

/// The span of the opening request is over when the WebSocket has just begun.
#[test]
fn a_websocket_has_a_span_until_it_is_closed() {
    let collector = Collector::start();
    let server = exporting_from("behaviours-websocket", &collector.url()).start();
    let mut socket = websocket::open(&server, "/echo");
    let opened = &collector.wait_for(1, is_server)[0];
    assert_eq!(attribute(opened, "http.response.status_code"), "101");
    socket.send(Message::text("hello")).unwrap();
    assert_eq!(websocket::next(&mut socket), Message::text("hello"));
    let is_websocket = |span: &Span| span.name == "websocket";
    assert!(!collector.spans().iter().any(is_websocket), "it is open");
    socket.close(None).unwrap();
    websocket::closed(&mut socket);
    let span = &collector.wait_for(1, is_websocket)[0];
    assert_eq!((&span.parent, &span.trace), (&opened.id, &opened.trace));
    assert!(!span.has_failed && span.kind == SpanKind::Internal);
    for (name, value) in [
        ("network.protocol.name", "websocket"),
        ("wasmserve.websocket.messages_received", "1"),
        ("wasmserve.websocket.messages_sent", "1"),
    ] {
        assert_eq!(attribute(span, name), value, "{name}");
    }
}
