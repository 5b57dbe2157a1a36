//! Guests that answer.

use crate::reply::{self, sleep, streamed, with_head};
use query::Query;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wasip3::http::types::{Fields, Request, Response};
use wasip3::wit_future;

/// `n` chunks, `ms` apart.
pub fn slow_stream(query: &Query) -> Response {
    let pause = Duration::from_millis(query.number("ms", 100));
    let count = query.number("n", 5);
    streamed(move |mut body| async move {
        for chunk in 0..count {
            if chunk > 0 {
                sleep(pause).await;
            }
            body.write_all(format!("chunk {chunk}\n").into_bytes())
                .await;
        }
    })
}

/// Answers after `ms`.
pub async fn late(query: &Query<'_>) -> Response {
    sleep(Duration::from_millis(query.number("ms", 300))).await;
    reply::text("slept\n")
}

pub fn stdio(query: &Query) -> Response {
    let text = query.text("text").unwrap_or("three");
    println!("out: {text}");
    eprintln!("err: {text}");
    reply::text("printed\n")
}

/// What the guest sees of a request, a line each.
pub async fn describe(request: Request) -> Response {
    let mut text = String::new();
    writeln!(text, "method {:?}", request.get_method()).unwrap();
    writeln!(text, "scheme {:?}", request.get_scheme()).unwrap();
    let authority = request.get_authority().unwrap_or_default();
    writeln!(text, "authority {authority}").unwrap();
    let path = request.get_path_with_query().unwrap_or_default();
    writeln!(text, "path {path}").unwrap();
    text += &lines("header", &request.get_headers());
    let (_, received) = wit_future::new(|| Ok(()));
    let (body, trailers) = Request::consume_body(request, received);
    writeln!(text, "body {}", body.collect().await.len()).unwrap();
    if let Ok(Some(trailers)) = trailers.await {
        text += &lines("trailer", &trailers);
    }
    reply::text(text)
}

fn lines(kind: &str, fields: &Fields) -> String {
    let entries = fields.copy_all().into_iter();
    entries
        .map(|(name, value)| format!("{kind} {name}: {}\n", String::from_utf8_lossy(&value)))
        .collect()
}

/// How many requests this instance has seen.
pub fn counter() -> Response {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let seen = SEEN.fetch_add(1, Ordering::Relaxed) + 1;
    reply::text(format!("{seen}\n"))
}

pub fn echo(request: Request) -> Response {
    let (_, received) = wit_future::new(|| Ok(()));
    let (body, trailers) = Request::consume_body(request, received);
    Response::new(Fields::new(), Some(body), trailers).0
}

/// `status`, `header=NAME:VALUE` again and again, `body`.
pub fn respond(query: &Query) -> Response {
    let status = u16::try_from(query.number("status", 200)).expect("a status");
    let headers = Fields::from_list(&query.fields("header")).expect("legal headers");
    let text = query.text("body").unwrap_or_default().as_bytes().to_vec();
    with_head(status, headers, move |mut body| async move {
        body.write_all(text).await;
    })
}

/// Writes `actual` bytes where its Content-Length says `declared`.
pub fn content_length(query: &Query) -> Response {
    let declared = query.number("declared", 10).to_string();
    let actual = usize::try_from(query.number("actual", 5)).expect("a short body");
    let headers = [("content-length".to_owned(), declared.into_bytes())];
    let headers = Fields::from_list(&headers).expect("legal headers");
    with_head(200, headers, move |mut body| async move {
        body.write_all(vec![b'x'; actual]).await;
    })
}

/// Appends `length=LENGTH` again and again, and answers with `body`.
pub fn lengths(query: &Query) -> Response {
    let fields = Fields::new();
    for length in query.all("length") {
        fields
            .append("Content-Length", length.as_bytes())
            .expect("a legal length");
    }
    let text = query.text("body").unwrap_or_default().as_bytes().to_vec();
    with_head(200, fields, move |mut body| async move {
        body.write_all(text).await;
    })
}

/// Answers first, then reads the body of the request, and goes on working for `ms`.
pub fn early_response(request: Request, query: &Query) -> Response {
    let pause = Duration::from_millis(query.number("ms", 300));
    streamed(move |mut answer| async move {
        answer.write_all(b"answered\n".to_vec()).await;
        drop(answer);
        let (_, received) = wit_future::new(|| Ok(()));
        let (body, end) = Request::consume_body(request, received);
        let read = body.collect().await.len();
        let end = match end.await {
            Ok(_) => "whole",
            Err(_) => "broken",
        };
        sleep(pause).await;
        eprintln!("afterwork done, {read} bytes read, {end}");
    })
}

/// `n` headers with values of `bytes` bytes.
pub fn many_headers(query: &Query) -> Response {
    let length = usize::try_from(query.number("bytes", 10)).expect("a short value");
    let headers: Vec<_> = (0..query.number("n", 1000))
        .map(|number| (format!("x-{number}"), vec![b'v'; length]))
        .collect();
    let headers = Fields::from_list(&headers).expect("legal headers");
    with_head(200, headers, |mut body| async move {
        body.write_all(b"many\n".to_vec()).await;
    })
}

/// Which of the `header=NAME:VALUE` the host lets a guest set, a line each.
pub fn settable(query: &Query) -> Response {
    let mut text = String::new();
    for (name, value) in query.fields("header") {
        let set = Fields::from_list(&[(name.clone(), value.clone())]).is_ok();
        let appended = Fields::new().append(&name, &value).is_ok();
        writeln!(text, "{name} {set} {appended}").unwrap();
    }
    reply::text(text)
}
