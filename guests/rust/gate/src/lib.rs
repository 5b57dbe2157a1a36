//! Middleware of WASI 0.2: a request reaches the application only with `authorization: Bearer TOKEN`, where the
//! variable `TOKEN` says which. All others are answered 401, and so is everybody where there is no such variable.

use exports::wasi::http::incoming_handler::Guest;
use wasi::http::incoming_handler;
use wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

wit_bindgen::generate!({
    path: "../../../wit",
    inline: "
        package example:gate;
        world gate {
            import wasi:http/incoming-handler@0.2.10;
            export wasi:http/incoming-handler@0.2.10;
        }
    ",
    world: "example:gate/gate",
    generate_all,
});

struct Gate;

export!(Gate);

impl Guest for Gate {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        if is_let_in(&request) {
            // The application answers; its body is not seen here.
            incoming_handler::handle(request, out);
        } else {
            refuse(out);
        }
    }
}

fn is_let_in(request: &IncomingRequest) -> bool {
    let Ok(token) = std::env::var("TOKEN") else {
        return false;
    };
    let wanted = format!("Bearer {token}");
    let given = request.headers().get("authorization");
    !token.is_empty() && given.len() == 1 && is_same(&given[0], wanted.as_bytes())
}

/// Compares in a time that does not tell how much of it was right.
fn is_same(given: &[u8], wanted: &[u8]) -> bool {
    let differences = given
        .iter()
        .zip(wanted)
        .fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == wanted.len() && differences == 0
}

fn refuse(out: ResponseOutparam) {
    let challenge = [("www-authenticate".to_owned(), b"Bearer".to_vec())];
    let fields = Fields::from_list(&challenge).expect("it is a legal field");
    let response = OutgoingResponse::new(fields);
    response.set_status_code(401).expect("it is a status");
    let body = response.body().expect("a body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("a stream is taken once");
    // The client may have left.
    let _ = stream.blocking_write_and_flush(b"a token is needed\n");
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}
