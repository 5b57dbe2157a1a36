//! A WASI 0.3 application: `/` greets, `/echo` sends the body of the request back as it comes, with its
//! trailers, and `/slow` takes two seconds over five lines.

use wasip3::clocks::monotonic_clock;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::{StreamWriter, spawn_local};
use wasip3::{wit_future, wit_stream};

wasip3::http::service::export!(Service);

struct Service;

impl wasip3::exports::http::handler::Guest for Service {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        match target.split('?').next().unwrap_or_default() {
            "/echo" => echo(request),
            "/slow" => text(slow),
            _ => text(greet),
        }
    }
}

async fn greet(mut body: StreamWriter<u8>) {
    body.write_all(b"Hello, world!\n".to_vec()).await;
}

async fn slow(mut body: StreamWriter<u8>) {
    for line in 1..=5 {
        let unread = body.write_all(format!("line {line} of 5\n").into()).await;
        if !unread.is_empty() {
            return; // the client has left
        }
        if line < 5 {
            monotonic_clock::wait_for(500_000_000).await;
        }
    }
}

/// A response that is sent while `write` writes its body.
fn text<F>(write: fn(StreamWriter<u8>) -> F) -> Result<Response, ErrorCode>
where
    F: Future<Output = ()> + 'static,
{
    let headers = fields(&[("content-type".to_owned(), b"text/plain".to_vec())])?;
    let (writer, body) = wit_stream::new();
    let (_, no_trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(headers, Some(body), no_trailers);
    spawn_local(write(writer));
    Ok(response)
}

fn echo(request: Request) -> Result<Response, ErrorCode> {
    // What says how the body is to be read. Over HTTP/1.1 trailers arrive only where `trailer` announced them.
    let mut headers = request.get_headers().copy_all();
    headers.retain(|(name, _)| ["content-type", "trailer"].contains(&name.as_str()));
    let headers = fields(&headers)?;
    let (_, received) = wit_future::new(|| Ok(()));
    let (body, trailers) = Request::consume_body(request, received);
    let (response, _sent) = Response::new(headers, Some(body), trailers);
    Ok(response)
}

fn fields(entries: &[(String, Vec<u8>)]) -> Result<Fields, ErrorCode> {
    Fields::from_list(entries).map_err(|error| ErrorCode::InternalError(Some(error.to_string())))
}
