//! A collector of spans (OTLP over HTTP), which keeps what it is sent and answers as the test decides.

use super::DEADLINE;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1 as otlp;
use prost::Message;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

/// What is answered, once the spans were noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted,
    /// This status, and after how many seconds to come again.
    Status(u16, Option<u32>),
    Nothing,
}

pub struct Collector {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    answer: Answer,
    /// The spans that were accepted, and requests whatever was answered.
    spans: Vec<Span>,
    heads: Vec<(Instant, String)>,
}

/// A span, with ids in hexadecimal digits.
#[derive(Clone, Debug)]
pub struct Span {
    pub name: String,
    pub kind: otlp::span::SpanKind,
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub state: String,
    pub nanos: u64,
    pub has_failed: bool,
    pub attributes: HashMap<String, String>,
    pub resource: HashMap<String, String>,
}

/// An address that is reserved, where nobody listens yet.
pub struct Reserved(OwnedFd);

impl Reserved {
    pub fn new() -> Reserved {
        let (family, kind) = (AddressFamily::Inet, SockType::Stream);
        let reserved = socket(family, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(reserved.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        Reserved(reserved)
    }

    pub fn url(&self) -> String {
        let address: SockaddrIn = getsockname(self.0.as_raw_fd()).unwrap();
        format!("http://{address}")
    }

    pub fn listen(self) -> Collector {
        listen(&self.0, Backlog::MAXCONN).unwrap();
        Collector::listen(TcpListener::from(self.0))
    }
}

impl Collector {
    pub fn start() -> Collector {
        Collector::listen(TcpListener::bind(("127.0.0.1", 0)).unwrap())
    }

    fn listen(listener: TcpListener) -> Collector {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                answer: Answer::Accepted,
                spans: Vec::new(),
                heads: Vec::new(),
            }),
            changed: Condvar::new(),
        });
        let all = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), all) = (stream, all.clone()) else {
                    return;
                };
                std::thread::spawn(move || converse(stream, &all));
            }
        });
        Collector { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn answers(&self, answer: Answer) {
        self.shared.state.lock().unwrap().answer = answer;
    }

    pub fn spans(&self) -> Vec<Span> {
        self.shared.state.lock().unwrap().spans.clone()
    }

    /// The heads of all requests, and when they came.
    pub fn heads(&self) -> Vec<(Instant, String)> {
        self.shared.state.lock().unwrap().heads.clone()
    }

    /// Waits until so many spans were accepted that `is_meant` says.
    pub fn wait_for(&self, count: usize, is_meant: impl Fn(&Span) -> bool) -> Vec<Span> {
        let meant = |state: &State| -> Vec<Span> {
            let spans = state.spans.iter().filter(|span| is_meant(span));
            spans.cloned().collect()
        };
        let state = self.shared.state.lock().unwrap();
        let changed = &self.shared.changed;
        let waits = |state: &mut State| meant(state).len() < count;
        let (state, _) = changed.wait_timeout_while(state, DEADLINE, waits).unwrap();
        let found = meant(&state);
        assert!(
            found.len() >= count,
            "{count} spans are not in {:#?}",
            state.spans
        );
        found
    }
}

fn converse(mut stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some((head, body)) = request(&mut reader) {
        let request = ExportTraceServiceRequest::decode(&body[..]).expect("it is OTLP");
        let answer = {
            let mut state = shared.state.lock().unwrap();
            state.heads.push((Instant::now(), head));
            if state.answer == Answer::Accepted {
                state.spans.extend(spans(request));
            }
            shared.changed.notify_all();
            state.answer
        };
        let text = match answer {
            Answer::Accepted => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Answer::Nothing => continue,
            Answer::Status(status, after) => {
                let after = after.map(|after| format!("Retry-After: {after}\r\n"));
                let after = after.unwrap_or_default();
                format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n{after}\r\n")
            }
        };
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_lowercase();
    let length = lower.split("content-length: ").nth(1)?;
    let length = length.split("\r\n").next()?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let hexadecimal = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut all = Vec::new();
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.unwrap_or_default();
        let resource = members(&resource.attributes);
        let spans = of_resource.scope_spans.into_iter().flat_map(|it| it.spans);
        all.extend(spans.map(|span| Span {
            kind: span.kind(),
            trace: hexadecimal(&span.trace_id),
            id: hexadecimal(&span.span_id),
            parent: hexadecimal(&span.parent_span_id),
            nanos: span.end_time_unix_nano - span.start_time_unix_nano,
            has_failed: span.status.is_some_and(|status| status.code == 2),
            attributes: members(&span.attributes),
            name: span.name,
            state: span.trace_state,
            resource: resource.clone(),
        }));
    }
    all
}

fn members(
    attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue],
) -> HashMap<String, String> {
    let text = |value: Value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    let member = attributes.iter().map(|it| {
        let value = it.value.clone().unwrap().value.unwrap();
        (it.key.clone(), text(value))
    });
    member.collect()
}
