//! Requests and responses by `wasmserve:http/exchange`.

use super::reply;
use query::Query;
use std::fmt::Write;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};
use wasmserve::http::exchange;

wit_bindgen::generate!({
    path: "../../wit",
    world: "wasmserve:http/at-once@0.1.0",
    with: {
        "wasi:clocks/monotonic-clock@0.2.10": wasip2::clocks::monotonic_clock,
        "wasi:http/types@0.2.10": wasip2::http::types,
        "wasi:io/error@0.2.10": wasip2::io::error,
        "wasi:io/poll@0.2.10": wasip2::io::poll,
        "wasi:io/streams@0.2.10": wasip2::io::streams,
    },
    generate_all,
});

/// Says what the head of the request is, and what the functions of `incoming-request` say.
pub fn head(request: &IncomingRequest, out: ResponseOutparam) {
    let head = exchange::head_of(request);
    let mut text = format!(
        "method {}\nscheme {}\nauthority {}\npath {}\n",
        head.method, head.scheme, head.authority, head.path_with_query
    );
    for (name, value) in &head.headers {
        writeln!(text, "header {}: {}", text_of(name), text_of(value)).unwrap();
    }
    let fields = request.headers().entries();
    let names = fields
        .iter()
        .map(|(name, value)| (name.as_bytes(), &value[..]));
    let is_same = names.eq(head
        .headers
        .iter()
        .map(|(name, value)| (&name[..], &value[..])))
        && request.authority() == Some(head.authority)
        && request.path_with_query() == Some(head.path_with_query);
    writeln!(text, "same {is_same}").unwrap();
    reply::text(out, &text);
}

/// `status`, `header=NAME:VALUE` again and again, `length` of a body unless `body=none`. Where that is refused, it says
/// so. Traps afterwards if it is to `trap`, and spins if it is to `spin`.
pub fn respond(out: ResponseOutparam, query: &Query) {
    let pairs = query.all("header").filter_map(|text| text.split_once(':'));
    let headers: Vec<_> = pairs
        .map(|(name, value)| (query::unescaped(name), query::unescaped(value)))
        .collect();
    let body = vec![b'x'; usize::try_from(query.number("length", 5)).expect("a length")];
    let body = (query.text("body") != Some("none")).then_some(&body[..]);
    let status = query.number("status", 200);
    let status = u16::try_from(status).expect("a status is small");
    if let Err(refusal) = exchange::respond(out, status, &headers, body) {
        reply::text(refusal.response_out, &format!("{:?}\n", refusal.problem));
    }
    if query.text("trap").is_some() {
        panic!("trapped after the response");
    }
    while query.text("spin").is_some() {}
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
