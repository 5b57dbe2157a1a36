//! Guests that take memory, their own or the host's.

use crate::reply::{self, sleep};
use query::Query;
use std::hint::black_box;
use std::time::Duration;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::DirectoryEntryStream;
use wasip2::http::types::{
    Fields, Method, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::OutputStream;

/// Something of the host's.
enum Held {
    Fields(#[expect(dead_code, reason = "it is held")] Fields),
    Request(#[expect(dead_code, reason = "it is held")] OutgoingRequest),
    Body(
        #[expect(dead_code, reason = "it is held")] OutputStream,
        #[expect(dead_code, reason = "it is held")] OutgoingBody,
        #[expect(dead_code, reason = "it is held")] OutgoingResponse,
    ),
    Directory(#[expect(dead_code, reason = "it is held")] DirectoryEntryStream),
}

/// Has the host hold `n` of `what`, of `bytes` bytes each.
pub fn hold(out: ResponseOutparam, query: &Query) {
    let length = usize::try_from(query.number("bytes", 100_000)).expect("it fits");
    let what = query.text("what").unwrap_or("fields");
    let held = (0..query.number("n", 5000)).map(|_| one(what, length));
    let held: Vec<Held> = held.collect();
    reply::text(out, &format!("held {}\n", held.len()));
}

fn one(what: &str, length: usize) -> Held {
    match what {
        "fields" => {
            let fields = Fields::new();
            fields.set("x", &[vec![b'x'; length]]).expect("a field");
            Held::Fields(fields)
        }
        "methods" => {
            let request = OutgoingRequest::new(Fields::new());
            let method = Method::Other("x".repeat(length));
            request.set_method(&method).expect("a method");
            Held::Request(request)
        }
        "bodies" => {
            let response = OutgoingResponse::new(Fields::new());
            let body = response.body().expect("the only body");
            let stream = body.write().expect("the only stream");
            let room = usize::try_from(stream.check_write().expect("room")).expect("it fits");
            stream.write(&vec![b'x'; length.min(room)]).expect("room");
            Held::Body(stream, body, response)
        }
        "directories" => {
            let (directory, _) = &get_directories()[0];
            Held::Directory(directory.read_directory().expect("a directory"))
        }
        _ => panic!("there is no {what}"),
    }
}

/// Takes `bytes` bytes and holds them for `ms`.
pub fn fill(out: ResponseOutparam, query: &Query) {
    let length = usize::try_from(query.number("bytes", 1 << 20)).expect("it fits");
    let taken = black_box(vec![1_u8; length]);
    sleep(Duration::from_millis(query.number("ms", 0)));
    reply::text(out, &format!("filled {}\n", taken.len()));
}
