//! Guests that answer.

use crate::reply::{self, head, sleep};
use query::Query;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wasip2::http::types::{Fields, IncomingBody, IncomingRequest, ResponseOutparam};
use wasip2::io::streams::StreamError;
use wasip2::random::{insecure, insecure_seed, random};

/// `n` chunks, `ms` apart, of this `type`.
pub fn slow_stream(out: ResponseOutparam, query: &Query) {
    let pause = Duration::from_millis(query.number("ms", 100));
    let kind = query.text("type");
    let kind = kind.map(|kind| ("content-type".to_owned(), kind.into()));
    let body = head(out, 200, kind.as_slice());
    for chunk in 0..query.number("n", 10) {
        if chunk > 0 {
            sleep(pause);
        }
        body.write(format!("chunk {chunk}\n"));
    }
    body.finish(None);
}

/// Answers after `ms`.
pub fn late(out: ResponseOutparam, query: &Query) {
    sleep(Duration::from_millis(query.number("ms", 500)));
    reply::text(out, "slept\n");
}

/// A line on each stream, and on standard output lines of which the last has no end.
pub fn stdio(out: ResponseOutparam, text: &str) {
    println!("out: {text}");
    eprintln!("err: {text}");
    print!("one\ntwo\nunfinished");
    std::io::stdout().flush().unwrap();
    reply::text(out, "printed\n");
}

/// `n` lines on standard output.
pub fn chatter(out: ResponseOutparam, query: &Query) {
    for line in 0..query.number("n", 1000) {
        println!("line {line} of many");
    }
    reply::text(out, "said\n");
}

/// Environment variables and arguments, a line each.
pub fn environment(out: ResponseOutparam) {
    let mut text = String::new();
    for (name, value) in std::env::vars() {
        writeln!(text, "{name}={value}").unwrap();
    }
    for argument in std::env::args() {
        writeln!(text, "argument {argument}").unwrap();
    }
    reply::text(out, &text);
}

/// What every interface of `wasi:random` gives, a line each.
pub fn random(out: ResponseOutparam) {
    let mut text = String::new();
    writeln!(text, "{:x?}", random::get_random_bytes(16)).unwrap();
    writeln!(text, "{:x?}", insecure::get_insecure_random_bytes(16)).unwrap();
    writeln!(text, "{:x?}", insecure_seed::insecure_seed()).unwrap();
    reply::text(out, &text);
}

/// What the guest sees of a request, a line each.
pub fn describe(request: IncomingRequest, out: ResponseOutparam) {
    let mut text = String::new();
    writeln!(text, "method {:?}", request.method()).unwrap();
    writeln!(text, "scheme {:?}", request.scheme()).unwrap();
    writeln!(
        text,
        "authority {}",
        request.authority().unwrap_or_default()
    )
    .unwrap();
    writeln!(
        text,
        "path {}",
        request.path_with_query().unwrap_or_default()
    )
    .unwrap();
    for (name, value) in request.headers().entries() {
        writeln!(text, "header {name}: {}", String::from_utf8_lossy(&value)).unwrap();
    }
    let body = request.consume().expect("the only body");
    writeln!(text, "body {}", length(&body)).unwrap();
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    if let Some(Ok(Ok(Some(trailers)))) = trailers.get() {
        for (name, value) in trailers.entries() {
            writeln!(text, "trailer {name}: {}", String::from_utf8_lossy(&value)).unwrap();
        }
    }
    reply::text(out, &text);
}

/// Reads a body to its end.
fn length(body: &IncomingBody) -> usize {
    let stream = body.stream().expect("the only stream");
    std::iter::from_fn(|| stream.blocking_read(65536).ok())
        .map(|bytes| bytes.len())
        .sum()
}

/// `status`, `header=NAME:VALUE` again and again, `body`, `trailer=NAME:VALUE`; says what it is to `say` before, and
/// traps afterwards if it is to `trap`.
pub fn respond(out: ResponseOutparam, query: &Query) {
    let status = u16::try_from(query.number("status", 200)).expect("a status");
    // With what is told of it, as frameworks do that catch what the application throws.
    for line in query.all("say") {
        let line = query::unescaped(line);
        eprintln!("{}", String::from_utf8_lossy(&line));
    }
    let body = head(out, status, &query.fields("header"));
    body.write(query.text("body").unwrap_or_default());
    let trailers = query.fields("trailer");
    let trailers =
        (!trailers.is_empty()).then(|| Fields::from_list(&trailers).expect("legal trailers"));
    body.finish(trailers);
    if query.text("trap").is_some() {
        panic!("trapped after its own answer");
    }
}

/// Appends `length=LENGTH` again and again, and answers with `body`.
pub fn lengths(out: ResponseOutparam, query: &Query) {
    let fields = Fields::new();
    for length in query.all("length") {
        fields
            .append("Content-Length", length.as_bytes())
            .expect("a legal length");
    }
    let body = head(out, 200, &fields.entries());
    body.write(query.text("body").unwrap_or_default());
    body.finish(None);
}

/// `n` headers with values of `bytes` bytes.
pub fn many_headers(out: ResponseOutparam, query: &Query) {
    let length = usize::try_from(query.number("bytes", 10)).expect("a short value");
    let headers: Vec<_> = (0..query.number("n", 1000))
        .map(|number| (format!("x-{number}"), vec![b'v'; length]))
        .collect();
    let body = head(out, 200, &headers);
    body.write("many\n");
    body.finish(None);
}

/// Which of the `header=NAME:VALUE` the host lets a guest set, a line each.
pub fn settable(out: ResponseOutparam, query: &Query) {
    let mut text = String::new();
    for (name, value) in query.fields("header") {
        let set = Fields::from_list(&[(name.clone(), value.clone())]).is_ok();
        let appended = Fields::new().append(&name, &value).is_ok();
        writeln!(text, "{name} {set} {appended}").unwrap();
    }
    reply::text(out, &text);
}

/// `bytes` bytes, of no announced length.
pub fn big(out: ResponseOutparam, query: &Query) {
    let body = head(out, 200, &[]);
    let mut left = query.number("bytes", 1 << 20);
    let piece = [b'x'; 65536];
    while left > 0 {
        let length = left.min(piece.len() as u64);
        body.write(&piece[..length as usize]);
        left -= length;
    }
    body.finish(None);
}

/// How many requests this instance has seen.
pub fn counter(out: ResponseOutparam) {
    reply::text(out, &format!("{}\n", seen()));
}

/// Answers the first request that this instance sees, and none after it.
pub fn once(out: ResponseOutparam) {
    if seen() == 1 {
        reply::text(out, "the first\n");
    }
}

/// The same, but traps instead of being silent.
pub fn trap_if_used(out: ResponseOutparam) {
    assert_eq!(seen(), 1, "used before");
    reply::text(out, "the first\n");
}

/// Counts the requests of this instance that ask.
fn seen() -> u64 {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    SEEN.fetch_add(1, Ordering::Relaxed) + 1
}

/// Looks for what an earlier request left in memory, in memory that was there from the start and in
/// memory that it asks for, then leaves something in both itself.
pub fn scan(out: ResponseOutparam) {
    let dirty = stain_static() + stain_grown();
    reply::text(out, &format!("{dirty}\n"));
}

fn stain_static() -> usize {
    static ZEROS: [AtomicU64; 1 << 17] = [const { AtomicU64::new(0) }; 1 << 17];
    let stained = ZEROS.iter().map(|word| word.swap(!0, Ordering::Relaxed));
    stained.filter(|before| *before != 0).count()
}

fn stain_grown() -> usize {
    const PAGES: usize = 32;
    const PAGE: usize = 65536;
    let before = core::arch::wasm32::memory_grow::<0>(PAGES);
    assert_ne!(before, usize::MAX, "there is room");
    // SAFETY: these pages were just made, and nobody else knows of them.
    let memory =
        unsafe { std::slice::from_raw_parts_mut((before * PAGE) as *mut u8, PAGES * PAGE) };
    let dirty = memory.iter().filter(|byte| **byte != 0).count();
    memory.fill(0xa5);
    dirty
}

/// Goes on working for `ms` after the response is complete.
pub fn afterwork(out: ResponseOutparam, query: &Query) {
    reply::text(out, "answered\n");
    sleep(Duration::from_millis(query.number("ms", 200)));
    println!("afterwork done");
}

/// Answers first, then reads the body of the request, and goes on working for `ms`.
pub fn early_response(request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let body = request.consume().expect("the only body");
    reply::text(out, "answered\n");
    let stream = body.stream().expect("the only stream");
    let mut read = 0;
    let end = loop {
        match stream.blocking_read(65536) {
            Ok(bytes) => read += bytes.len(),
            Err(StreamError::Closed) => break "whole",
            Err(StreamError::LastOperationFailed(_)) => break "broken",
        }
    };
    sleep(Duration::from_millis(query.number("ms", 300)));
    eprintln!("afterwork done, {read} bytes read, {end}");
}
