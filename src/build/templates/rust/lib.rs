//! Answers at `/`, and with what it was sent at `/echo`.

use wstd::http::{Body, Error, Method, Request, Response, StatusCode};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => Ok(Response::new("Hello, world!\n".into())),
        (&Method::POST, "/echo") => Ok(Response::new(request.into_body())),
        _ => {
            let mut response = Response::new("There is nothing here.\n".into());
            *response.status_mut() = StatusCode::NOT_FOUND;
            Ok(response)
        }
    }
}
