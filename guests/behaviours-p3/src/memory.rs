//! Guests that take memory, their own or the host's.

use crate::reply::{self, sleep};
use query::Query;
use std::hint::black_box;
use std::time::Duration;
use wasip3::http::types::{Fields, Method, Request, Response};
use wasip3::{wit_future, wit_stream};

/// Has the host hold `n` of `what`, of `bytes` bytes each.
pub fn hold(query: &Query) -> Response {
    let length = usize::try_from(query.number("bytes", 100_000)).expect("it fits");
    let count = query.number("n", 5000);
    let held = match query.text("what").unwrap_or("fields") {
        "fields" => hold_all(count, || {
            let fields = Fields::new();
            fields.set("x", &[vec![b'x'; length]]).expect("a field");
            fields
        }),
        "methods" => hold_all(count, || {
            let (_, trailers) = wit_future::new(|| Ok(None));
            let (request, sent) = Request::new(Fields::new(), None, trailers, None);
            let method = Method::Other("x".repeat(length));
            request.set_method(&method).expect("a method");
            (request, sent)
        }),
        "streams" => hold_all(count, wit_stream::new::<u8>),
        what => panic!("there is no {what}"),
    };
    reply::text(format!("held {held}\n"))
}

fn hold_all<T>(count: u64, one: impl Fn() -> T) -> usize {
    let held: Vec<T> = (0..count).map(|_| one()).collect();
    held.len()
}

/// Takes `bytes` bytes and holds them for `ms`.
pub async fn fill(query: &Query<'_>) -> Response {
    let length = usize::try_from(query.number("bytes", 1 << 20)).expect("it fits");
    let taken = black_box(vec![1_u8; length]);
    sleep(Duration::from_millis(query.number("ms", 0))).await;
    reply::text(format!("filled {}\n", taken.len()))
}
