//! Guests that ask others.

use crate::reply;
use query::Query;
use std::fmt::Write;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme};
use wasip3::wit_bindgen::spawn_local;
use wasip3::{wit_future, wit_stream};

/// Asks `authority`, before which are so many `letters`, for `path` by `scheme` and `method`, with a body of `send` bytes; gives up after
/// `connect`, `first` or `between` milliseconds. Says what came of it.
pub async fn ask(query: &Query<'_>) -> Response {
    reply::text(match exchange(query).await {
        Ok(said) => said,
        Err(error) => format!("error {error:?}\n"),
    })
}

async fn exchange(query: &Query<'_>) -> Result<String, ErrorCode> {
    let options = RequestOptions::new();
    let nanos = |name: &str| query.text(name).map(|_| query.number(name, 0) * 1_000_000);
    options.set_connect_timeout(nanos("connect")).unwrap();
    options.set_first_byte_timeout(nanos("first")).unwrap();
    options.set_between_bytes_timeout(nanos("between")).unwrap();

    let length = usize::try_from(query.number("send", 0)).expect("a body that fits");
    let contents = (length > 0).then(|| {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            writer.write_all(vec![b'x'; length]).await;
        });
        reader
    });
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (request, sent) = Request::new(Fields::new(), contents, trailers, Some(options));
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

    let response = client::send(request).await;
    if query.text("transmission").is_some() {
        let response = response.map(|response| response.get_status_code());
        return Ok(format!("{response:?}, {:?}\n", sent.await));
    }
    let response = response?;
    let mut text = format!("status {}\n", response.get_status_code());
    for (name, value) in response.get_headers().copy_all() {
        writeln!(text, "header {name}: {}", String::from_utf8_lossy(&value)).unwrap();
    }
    let (_, received) = wit_future::new(|| Ok(()));
    let (body, trailers) = Response::consume_body(response, received);
    let bytes = body.collect().await;
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
    writeln!(text, "length {}\n{shown}", bytes.len()).unwrap();
    if let Err(error) = trailers.await {
        writeln!(text, "broken {error:?}").unwrap();
    }
    Ok(text)
}
