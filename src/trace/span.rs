//! A `Span` is what is recorded on its way from the process that measured it to the one that exports it: a record of
//! bounded size. Who reads it checks it: it comes from a process that runs guests.

use super::{SpanId, TraceId};
use prost::Message;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// This many letters of each text are kept.
const LONGEST: usize = 1024;
const SHORT: usize = 256;

/// A `SpanKind` says what a span is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum SpanKind {
    /// The server answers a request.
    Server = 0,
    /// The guest runs for it.
    Guest = 1,
    /// The guest asks a server.
    Client = 2,
    /// A WebSocket is open.
    WebSocket = 3,
}

/// A `Span` has empty texts, and zeros, for what is not known.
#[derive(Clone, PartialEq, Message)]
pub struct Span {
    #[prost(enumeration = "SpanKind", tag = "1")]
    pub kind: i32,
    #[prost(bytes = "vec", tag = "2")]
    pub trace: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub span: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub parent: Vec<u8>,
    #[prost(uint32, tag = "5")]
    pub flags: u32,
    #[prost(string, tag = "6")]
    pub state: String,
    /// The span began at this time, in nanoseconds since 1970.
    #[prost(fixed64, tag = "7")]
    pub start: u64,
    #[prost(fixed64, tag = "8")]
    pub end: u64,
    #[prost(string, tag = "9")]
    pub method: String,
    #[prost(string, tag = "10")]
    pub scheme: String,
    #[prost(string, tag = "11")]
    pub host: String,
    #[prost(uint32, tag = "12")]
    pub port: u32,
    #[prost(string, tag = "13")]
    pub path: String,
    #[prost(string, tag = "14")]
    pub query: String,
    /// This client asked, as far as trusted proxies tell.
    #[prost(string, tag = "15")]
    pub client: String,
    #[prost(uint32, tag = "16")]
    pub client_port: u32,
    /// This peer was connected.
    #[prost(string, tag = "17")]
    pub peer: String,
    #[prost(uint32, tag = "18")]
    pub peer_port: u32,
    #[prost(string, tag = "19")]
    pub protocol: String,
    #[prost(string, tag = "20")]
    pub user_agent: String,
    #[prost(uint32, tag = "21")]
    pub status: u32,
    /// The bodies had this many bytes.
    #[prost(uint64, tag = "22")]
    pub received: u64,
    #[prost(uint64, tag = "23")]
    pub sent: u64,
    /// The failure was of this kind, and this is said about it.
    #[prost(string, tag = "24")]
    pub error: String,
    #[prost(string, tag = "25")]
    pub message: String,
    #[prost(string, tag = "26")]
    pub request_id: String,
    #[prost(uint32, tag = "27")]
    pub process: u32,
    /// The guest was running for this many nanoseconds.
    #[prost(uint64, tag = "28")]
    pub running: u64,
    /// A WebSocket was closed with this code; what was received and sent are messages.
    #[prost(uint32, tag = "29")]
    pub code: u32,
}

impl Span {
    pub fn new(kind: SpanKind, trace: TraceId, span: SpanId, parent: Option<SpanId>) -> Span {
        Span {
            kind: kind.into(),
            trace: trace.0.to_vec(),
            span: span.0.to_vec(),
            parent: parent.map_or_else(Vec::new, |parent| parent.0.to_vec()),
            process: std::process::id(),
            ..Span::default()
        }
    }

    /// The span began at this time, and is over after this one.
    pub fn lasts(&mut self, start: SystemTime, took: Duration) {
        let since = start.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.start = nanos(since);
        self.end = self.start.saturating_add(nanos(took));
    }

    /// Cuts texts that are too long for a record.
    pub fn cut(&mut self) {
        for text in [&mut self.path, &mut self.query] {
            cut(text, LONGEST);
        }
        cut(&mut self.state, 2 * SHORT);
        for text in [
            &mut self.method,
            &mut self.scheme,
            &mut self.host,
            &mut self.client,
            &mut self.peer,
            &mut self.protocol,
            &mut self.user_agent,
            &mut self.error,
            &mut self.message,
            &mut self.request_id,
        ] {
            cut(text, SHORT);
        }
    }

    /// Reads what another process wrote. Returns `None` where it cannot be a span.
    pub fn read(record: &[u8]) -> Option<Span> {
        let mut span = Span::decode(record).ok()?;
        let is_id =
            |id: &[u8], length: usize| id.len() == length && id.iter().any(|byte| *byte != 0);
        let is_valid = is_id(&span.trace, 16)
            && is_id(&span.span, 8)
            && (span.parent.is_empty() || is_id(&span.parent, 8))
            && SpanKind::try_from(span.kind).is_ok()
            && span.start <= span.end
            && span.status < 1000
            && span.code < 5000
            && span.port <= u32::from(u16::MAX)
            && span.client_port <= u32::from(u16::MAX)
            && span.peer_port <= u32::from(u16::MAX);
        span.cut();
        span.flags &= 0xff;
        is_valid.then_some(span)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn cut(text: &mut String, most: usize) {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span() -> Span {
        let parent = Some(SpanId::random());
        let mut span = Span::new(
            SpanKind::Server,
            TraceId::random(),
            SpanId::random(),
            parent,
        );
        span.lasts(SystemTime::now(), Duration::from_millis(5));
        span
    }

    #[test]
    fn a_span_arrives() {
        let span = Span {
            path: "/a".to_owned(),
            status: 200,
            ..span()
        };
        assert_eq!(Span::read(&span.encode_to_vec()), Some(span));
    }

    #[test]
    fn the_longest_span_fits_into_a_record() {
        let long = || "\u{e4}".repeat(100_000);
        let mut span = Span {
            path: long(),
            query: long(),
            state: long(),
            method: long(),
            host: long(),
            user_agent: long(),
            error: long(),
            message: long(),
            request_id: long(),
            scheme: long(),
            client: long(),
            peer: long(),
            protocol: long(),
            received: u64::MAX,
            sent: u64::MAX,
            ..span()
        };
        span.cut();
        assert!(span.encoded_len() < crate::scoreboard::LONGEST_RECORD);
        assert_eq!(Span::read(&span.encode_to_vec()), Some(span));
    }

    /// A worker that was taken over may write anything.
    #[test]
    fn what_cannot_be_a_span_is_refused() {
        let wrong: [fn(&mut Span); 9] = [
            |span| span.trace.truncate(15),
            |span| span.trace = vec![0; 16],
            |span| span.span = vec![1; 9],
            |span| span.parent = vec![1; 7],
            |span| span.kind = 4,
            |span| span.code = 5000,
            |span| span.end = span.start - 1,
            |span| span.status = 1000,
            |span| span.peer_port = 1 << 16,
        ];
        for change in wrong {
            let mut span = span();
            change(&mut span);
            assert_eq!(Span::read(&span.encode_to_vec()), None, "{span:?}");
        }
        assert_eq!(Span::read(b"\xff\xff\xff"), None);
        assert_eq!(Span::read(b""), None);
    }
}
