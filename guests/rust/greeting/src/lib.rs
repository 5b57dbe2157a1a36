//! Answers every request with a greeting, by the interfaces of WASI themselves: what a request costs a server is
//! best seen where its guest does no more than that.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

wasip2::http::proxy::export!(Greeting);

struct Greeting;

impl Guest for Greeting {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("a body is taken once");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("a stream is taken once");
        stream
            .blocking_write_and_flush(b"Hello, world!\n")
            .expect("the client is there");
        drop(stream);
        OutgoingBody::finish(body, None).expect("the body is whole");
    }
}
