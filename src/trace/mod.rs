//! A request belongs to a trace (W3C Trace Context): one that its client has begun, or one that begins here. This room
//! decides which, and whether it is recorded; it knows nothing of who answers.

mod ids;
mod parent;
mod recorder;
mod sampler;
mod span;
mod tracestate;

pub use ids::{SpanId, TraceId};
pub use recorder::{begin_recording, record};
pub use sampler::Sampler;
pub use span::{Span, SpanKind};

use http::{HeaderMap, HeaderName, HeaderValue};
use parent::Parent;
use std::sync::Arc;

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// This flag says that the caller records the trace.
const SAMPLED: u8 = 1;
/// This flag says that the trace's id is random (level 2 of the standard).
const RANDOM: u8 = 2;

/// `Tracing` says how the traces of requests are continued or begun.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tracing {
    pub sampler: Sampler,
    /// Somebody takes the spans.
    pub exports: bool,
}

/// A `Trace` is the place of one request in its trace. The server's own span is the parent of everything that the
/// request causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub id: TraceId,
    /// The server's span has this id.
    pub span: SpanId,
    /// The client's span has this id, where the client named one.
    pub parent: Option<SpanId>,
    flags: u8,
    exports: bool,
    /// Systems before this one noted this, which is passed on as it is.
    pub state: Option<HeaderValue>,
}

impl Tracing {
    /// Continues the trace that a request names, or begins one, and has the request name the server's span as the
    /// parent of what follows. Whether the client records the trace counts only where it is trusted: anybody can
    /// claim that. Neither does a stranger's choice of an id decide.
    pub fn begin(self, headers: &mut HeaderMap, is_trusted: bool) -> Arc<Trace> {
        let parent = Parent::read(headers);
        let state = parent.as_ref().and_then(|_| tracestate::read(headers));
        let trace = match parent {
            Some(parent) => {
                let sampled = match is_trusted {
                    true => self.sampler.continues(parent.id, parent.is_sampled()),
                    false => self.sampler.begins(TraceId::random()),
                };
                Trace {
                    id: parent.id,
                    span: SpanId::random(),
                    parent: Some(parent.span),
                    flags: parent.flags & RANDOM | u8::from(sampled),
                    exports: self.exports,
                    state,
                }
            }
            None => {
                let id = TraceId::random();
                Trace {
                    id,
                    span: SpanId::random(),
                    parent: None,
                    flags: u8::from(self.sampler.begins(id)),
                    exports: self.exports,
                    state: None,
                }
            }
        };
        trace.announce(trace.span, headers);
        Arc::new(trace)
    }
}

impl Trace {
    fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Begins a span of this trace, where its spans are taken.
    pub fn span(&self, kind: SpanKind, id: SpanId) -> Option<Span> {
        if !self.exports || !self.is_sampled() {
            return None;
        }
        let parent = match kind {
            SpanKind::Server => self.parent,
            SpanKind::Guest | SpanKind::Client | SpanKind::WebSocket => Some(self.span),
        };
        let mut span = Span::new(kind, self.id, id, parent);
        span.flags = self.flags.into();
        if let Some(state) = self.state.as_ref().and_then(|state| state.to_str().ok()) {
            span.state = state.to_owned();
        }
        Some(span)
    }

    /// Has the head of a request that the guest sends name `span` as its parent, unless it names one of the guest's
    /// own. What it was itself called by, and copies, is none of its own.
    pub fn announce_child(&self, span: SpanId, headers: &mut HeaderMap) {
        let own = match headers.get(TRACEPARENT) {
            None => false,
            Some(value) => value.as_bytes() != self.traceparent(self.span).as_bytes(),
        };
        if !own {
            self.announce(span, headers);
        }
    }

    /// Has the head of a request name `span` as its parent.
    pub fn announce(&self, span: SpanId, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::try_from(self.traceparent(span)) {
            headers.insert(TRACEPARENT, value);
        }
        match &self.state {
            Some(state) => headers.insert(TRACESTATE, state.clone()),
            None => headers.remove(TRACESTATE),
        };
    }

    fn traceparent(&self, span: SpanId) -> String {
        format!("00-{}-{span}-{:02x}", self.id, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn begin(sampler: Sampler, fields: &[(&'static str, &str)], is_trusted: bool) -> Trace {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let exports = true;
        let trace = Tracing { sampler, exports }.begin(&mut headers, is_trusted);
        let expected = format!("00-{}-{}-{:02x}", trace.id, trace.span, trace.flags);
        assert_eq!(headers[TRACEPARENT], expected);
        assert_eq!(headers.get(TRACESTATE), trace.state.as_ref());
        assert_eq!(headers.get_all(TRACEPARENT).iter().count(), 1);
        (*trace).clone()
    }

    fn parent(flags: &str) -> String {
        format!("00-{ID}-{SPAN}-{flags}")
    }

    #[test]
    fn a_trace_is_continued_with_the_servers_span_as_parent() {
        let fields = [
            ("traceparent", parent("01")),
            ("tracestate", "a=1".to_owned()),
        ];
        let fields = fields
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let trace = begin(Sampler::default(), &fields, true);
        assert_eq!(trace.id.to_string(), ID);
        assert_eq!(trace.parent.unwrap().to_string(), SPAN);
        assert_ne!(trace.span, trace.parent.unwrap());
        assert_eq!(trace.state.unwrap(), "a=1");
        assert_eq!(trace.flags, SAMPLED);
    }

    #[test]
    fn without_a_parent_a_trace_begins_and_what_was_noted_for_another_is_left() {
        let trace = begin(Sampler::default(), &[("tracestate", "a=1")], true);
        assert_eq!((trace.parent, trace.state), (None, None));
        let broken = begin(
            Sampler::default(),
            &[("traceparent", "00-x"), ("tracestate", "a=1")],
            true,
        );
        assert_eq!((broken.parent, broken.state), (None, None));
    }

    /// Otherwise anybody could have everything recorded, or nothing of what they do.
    #[test]
    fn what_a_stranger_says_about_recording_does_not_count() {
        let never = Sampler::parse("parentbased_always_off", None).unwrap();
        let always = Sampler::default();
        let (sampled, unsampled) = (parent("01"), parent("00"));
        let sampled = [("traceparent", sampled.as_str())];
        let unsampled = [("traceparent", unsampled.as_str())];
        assert!(begin(never, &sampled, true).is_sampled());
        assert!(!begin(never, &sampled, false).is_sampled());
        assert!(!begin(always, &unsampled, true).is_sampled());
        assert!(begin(always, &unsampled, false).is_sampled());
    }

    /// An id of noughts is below every ratio but nought.
    #[test]
    fn the_id_that_a_stranger_chose_does_not_decide() {
        let few = Sampler::parse("traceidratio", Some("0.000001")).unwrap();
        let chosen = "00-4bf92f3577b34da60000000000000001-00f067aa0ba902b7-01";
        let fields = [("traceparent", chosen)];
        assert!(begin(few, &fields, true).is_sampled());
        let recorded = (0..100).filter(|_| begin(few, &fields, false).is_sampled());
        assert!(recorded.count() < 50);
    }

    #[test]
    fn a_guest_names_its_own_parent_or_is_one() {
        let trace = begin(Sampler::default(), &[], true);
        let child = SpanId::random();
        let named = |value: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(TRACEPARENT, value.parse().unwrap());
            }
            trace.announce_child(child, &mut headers);
            headers[TRACEPARENT].to_str().unwrap().to_owned()
        };
        let ours = trace.traceparent(child);
        assert_eq!(named(None), ours);
        assert_eq!(named(Some(&trace.traceparent(trace.span))), ours);
        assert_eq!(named(Some(&parent("01"))), parent("01"));
    }

    #[test]
    fn of_the_flags_only_known_ones_are_passed_on() {
        let all = parent("ff");
        let trace = begin(Sampler::default(), &[("traceparent", &all)], true);
        assert_eq!(trace.flags, SAMPLED | RANDOM);
    }
}
