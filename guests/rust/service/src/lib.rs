//! A WASI 0.3 application: `/` greets, `/echo` sends the body of the request back as it comes.

use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_bindgen, wit_future, wit_stream};

wasip3::http::service::export!(Service);

struct Service;

impl wasip3::exports::http::handler::Guest for Service {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        match request.get_path_with_query().as_deref() {
            Some("/echo") => Ok(echo(request)),
            _ => greet(),
        }
    }
}

fn greet() -> Result<Response, ErrorCode> {
    let headers = Fields::from_list(&[("content-type".to_owned(), b"text/plain".to_vec())])
        .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
    let (mut body, reader) = wit_stream::new();
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(headers, Some(reader), trailers);
    wit_bindgen::spawn_local(async move {
        body.write_all(b"Hello, world!\n".to_vec()).await;
    });
    Ok(response)
}

fn echo(request: Request) -> Response {
    let (_, received) = wit_future::new(|| Ok(()));
    let (body, trailers) = Request::consume_body(request, received);
    Response::new(Fields::new(), Some(body), trailers).0
}
