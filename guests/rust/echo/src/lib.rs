//! Sends the body of a request back as it comes, with its trailers.

use wstd::http::{Body, Error, Request, Response};

/// What says how the body is to be read. Over HTTP/1.1 trailers arrive only where `trailer` announced them.
const OF_THE_BODY: [&str; 2] = ["content-type", "trailer"];

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let mut response = Response::builder();
    for name in OF_THE_BODY {
        for value in request.headers().get_all(name) {
            response = response.header(name, value);
        }
    }
    // Not read here: the body is sent on, piece by piece, while more of it comes.
    Ok(response.body(request.into_body())?)
}
