//! Guests that ask others.

use crate::reply;
use query::Query;
use std::fmt::Write;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, ResponseOutparam, Scheme,
};
use wasip2::io::streams::StreamError;

/// Asks `authority`, before which are so many `letters`, for `path` by `scheme` and `method`, with `header=NAME:VALUE` again and again and a
/// body of `send` bytes, `times` times at once; gives up after `connect`, `first` or `between`
/// milliseconds. Says what came of each, or traps then if it is to `trap`.
pub fn ask(out: ResponseOutparam, query: &Query) {
    let times = query.number("times", 1);
    let asked: Vec<_> = (0..times).map(|_| start(query)).collect();
    let mut text = String::new();
    for asked in asked {
        match asked.and_then(finish) {
            Ok(said) => text += &said,
            Err(error) => writeln!(text, "error {error:?}").unwrap(),
        }
    }
    if query.text("trap").is_some() {
        panic!("heard {text}");
    }
    reply::text(out, &text);
}

fn start(query: &Query) -> Result<FutureIncomingResponse, ErrorCode> {
    let headers = Fields::new();
    for header in query.all("header") {
        let (name, value) = header.split_once(':').expect("a header");
        headers
            .append(name, value.as_bytes())
            .expect("a legal header");
    }
    let request = OutgoingRequest::new(headers);
    let scheme = match query.text("scheme") {
        Some("https") => Scheme::Https,
        _ => Scheme::Http,
    };
    request.set_scheme(Some(&scheme)).unwrap();
    let letters = usize::try_from(query.number("letters", 0)).expect("it fits");
    let authority = query.text("authority");
    let authority = authority.map(|authority| "a".repeat(letters) + authority);
    request.set_authority(authority.as_deref()).unwrap();
    let path = query.text("path").unwrap_or("/");
    let path = Some(path).filter(|path| !path.is_empty());
    request.set_path_with_query(path).unwrap();
    let method = query.text("method").unwrap_or("GET").to_owned();
    request.set_method(&Method::Other(method)).unwrap();

    let options = RequestOptions::new();
    let nanos = |name: &str| query.text(name).map(|_| query.number(name, 0) * 1_000_000);
    options.set_connect_timeout(nanos("connect")).unwrap();
    options.set_first_byte_timeout(nanos("first")).unwrap();
    options.set_between_bytes_timeout(nanos("between")).unwrap();

    let length = query.number("send", 0);
    let body = (length > 0).then(|| request.body().expect("the only body"));
    let response = outgoing_handler::handle(request, Some(options))?;
    if let Some(body) = body {
        let stream = body.write().expect("the only stream");
        let mut left = usize::try_from(length).expect("a body that fits");
        while left > 0 {
            let piece = left.min(4096);
            if stream
                .blocking_write_and_flush(&[b'x'; 4096][..piece])
                .is_err()
            {
                break;
            }
            left -= piece;
        }
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
    Ok(response)
}

fn finish(response: FutureIncomingResponse) -> Result<String, ErrorCode> {
    response.subscribe().block();
    let response = response.get().expect("it is ready").expect("taken once")?;
    let mut text = format!("status {}\n", response.status());
    for (name, value) in response.headers().entries() {
        writeln!(text, "header {name}: {}", String::from_utf8_lossy(&value)).unwrap();
    }
    text += &body(&response);
    Ok(text)
}

/// What came of it, and how it ended if it did not end well.
fn body(response: &IncomingResponse) -> String {
    let body = response.consume().expect("the only body");
    let stream = body.stream().expect("the only stream");
    let mut bytes = Vec::new();
    let end = loop {
        match stream.blocking_read(65536) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => break String::new(),
            Err(StreamError::LastOperationFailed(_)) => break "broken\n".to_owned(),
        }
    };
    format!(
        "length {}\n{}\n{end}",
        bytes.len(),
        String::from_utf8_lossy(&bytes[..bytes.len().min(2000)])
    )
}
