//! This file writes spans as OpenTelemetry has them: OTLP's messages, with the names of its conventions for HTTP.

use super::Settings;
use crate::trace::{self, Span};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{self as otlp, ResourceSpans, ScopeSpans, Status};
use prost::Message;

/// The methods that the conventions name; others are shown beside a placeholder.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
];
const OTHER: &str = "_OTHER";

/// A span has these flags beside those of its trace: whether its parent is known to be another process's or not, and
/// whether it is.
const KNOWS_PARENT: u32 = 0x100;
const HAS_REMOTE_PARENT: u32 = 0x200;

pub fn encode(settings: &Settings, spans: Vec<Span>) -> Bytes {
    let resource = settings.resource.iter();
    let scope_spans = ScopeSpans {
        scope: Some(InstrumentationScope {
            name: "wasmserve".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        }),
        spans: spans.into_iter().map(told).collect(),
        ..ScopeSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: resource.map(|(key, value)| text(key, value)).collect(),
                ..Resource::default()
            }),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        }],
    };
    request.encode_to_vec().into()
}

fn told(span: Span) -> otlp::Span {
    let kind = span.kind();
    let method = known_method(&span);
    let name = match kind {
        trace::SpanKind::Guest => "guest",
        trace::SpanKind::WebSocket => "websocket",
        trace::SpanKind::Server | trace::SpanKind::Client if method == OTHER => "HTTP",
        trace::SpanKind::Server | trace::SpanKind::Client => method,
    };
    let remote = match kind {
        trace::SpanKind::Server if !span.parent.is_empty() => HAS_REMOTE_PARENT,
        _ => 0,
    };
    otlp::Span {
        name: name.to_owned(),
        kind: match kind {
            trace::SpanKind::Server => SpanKind::Server,
            trace::SpanKind::Guest | trace::SpanKind::WebSocket => SpanKind::Internal,
            trace::SpanKind::Client => SpanKind::Client,
        }
        .into(),
        attributes: attributes(&span),
        status: (!span.error.is_empty()).then(|| Status {
            code: StatusCode::Error.into(),
            message: span.message.clone(),
        }),
        flags: span.flags | KNOWS_PARENT | remote,
        start_time_unix_nano: span.start,
        end_time_unix_nano: span.end,
        trace_id: span.trace,
        span_id: span.span,
        parent_span_id: span.parent,
        trace_state: span.state,
        ..otlp::Span::default()
    }
}

fn known_method(span: &Span) -> &'static str {
    let known = METHODS.iter().find(|name| **name == span.method);
    known.copied().unwrap_or(OTHER)
}

fn attributes(span: &Span) -> Vec<KeyValue> {
    let mut all = Attributes::default();
    all.text("error.type", &span.error);
    all.number("process.pid", span.process.into());
    if span.kind() == trace::SpanKind::Guest {
        all.number("wasmserve.guest.running_ns", span.running);
        return all.0;
    }
    if span.kind() == trace::SpanKind::WebSocket {
        all.text("network.protocol.name", "websocket");
        all.number("wasmserve.websocket.close_code", span.code.into());
        all.number("wasmserve.websocket.messages_received", span.received);
        all.number("wasmserve.websocket.messages_sent", span.sent);
        return all.0;
    }
    all.text("http.request.method", known_method(span));
    if known_method(span) == OTHER {
        all.text("http.request.method_original", &span.method);
    }
    all.number("http.response.status_code", span.status.into());
    all.text("server.address", bare(&span.host));
    all.number("server.port", port(span).into());
    if span.kind() == trace::SpanKind::Client {
        all.text("url.full", &url(span));
        all.number("http.response.body.size", span.received);
        return all.0;
    }
    all.text("url.scheme", &span.scheme);
    all.text("url.path", &span.path);
    all.text("url.query", &span.query);
    all.text("client.address", &span.client);
    all.number("client.port", span.client_port.into());
    all.text("network.peer.address", &span.peer);
    all.number("network.peer.port", span.peer_port.into());
    all.text("network.protocol.name", "http");
    all.text("network.protocol.version", &span.protocol);
    all.text("user_agent.original", &span.user_agent);
    all.number("http.request.body.size", span.received);
    all.number("http.response.body.size", span.sent);
    all.text("wasmserve.request_id", &span.request_id);
    all.0
}

/// `Attributes` are those that are known.
#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn text(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.0.push(text(key, value));
        }
    }

    fn number(&mut self, key: &str, value: u64) {
        if let Ok(value @ 1..) = i64::try_from(value) {
            self.0.push(attribute(key, Value::IntValue(value)));
        }
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// Returns an IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn port(span: &Span) -> u32 {
    match (span.port, span.scheme.as_str()) {
        (0, "http") if !span.host.is_empty() => 80,
        (0, "https") if !span.host.is_empty() => 443,
        (port, _) => port,
    }
}

fn url(span: &Span) -> String {
    let mut url = format!("{}://{}", span.scheme, span.host);
    if span.port != 0 {
        url = format!("{url}:{}", span.port);
    }
    url.push_str(&span.path);
    if !span.query.is_empty() {
        url = format!("{url}?{}", span.query);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{SpanId, TraceId};

    fn span(kind: trace::SpanKind) -> Span {
        Span {
            method: "GET".to_owned(),
            scheme: "http".to_owned(),
            host: "[::1]".to_owned(),
            path: "/a".to_owned(),
            query: "b=c".to_owned(),
            ..Span::new(
                kind,
                TraceId::random(),
                SpanId::random(),
                Some(SpanId::random()),
            )
        }
    }

    fn value(span: &otlp::Span, key: &str) -> Option<String> {
        let attribute = span.attributes.iter().find(|it| it.key == key)?;
        match attribute.value.clone()?.value? {
            Value::StringValue(text) => Some(text),
            Value::IntValue(number) => Some(number.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn spans_are_told_by_the_conventions_for_http() {
        let server = told(span(trace::SpanKind::Server));
        assert_eq!(
            (server.name.as_str(), server.kind()),
            ("GET", SpanKind::Server)
        );
        assert_eq!(value(&server, "url.path").unwrap(), "/a");
        assert_eq!(value(&server, "url.query").unwrap(), "b=c");
        assert_eq!(value(&server, "server.address").unwrap(), "::1");
        assert_eq!(value(&server, "server.port").unwrap(), "80");
        assert_eq!(server.flags, KNOWS_PARENT | HAS_REMOTE_PARENT);
        assert_eq!(server.status, None);
        let client = told(Span {
            port: 8080,
            error: "404".to_owned(),
            ..span(trace::SpanKind::Client)
        });
        let url = value(&client, "url.full").unwrap();
        assert_eq!(url, "http://[::1]:8080/a?b=c");
        assert_eq!(client.status.unwrap().code(), StatusCode::Error);
        let guest = told(span(trace::SpanKind::Guest));
        assert_eq!(
            (guest.name.as_str(), guest.kind()),
            ("guest", SpanKind::Internal)
        );
    }

    /// Otherwise each letter that somebody sends makes another series in every backend.
    #[test]
    fn a_method_that_is_not_known_is_no_name_of_a_span() {
        let odd = told(Span {
            method: "BREW".to_owned(),
            ..span(trace::SpanKind::Server)
        });
        assert_eq!(odd.name, "HTTP");
        assert_eq!(value(&odd, "http.request.method").unwrap(), "_OTHER");
        assert_eq!(value(&odd, "http.request.method_original").unwrap(), "BREW");
    }
}
