//! Sends each message of a WebSocket back as it came, and answers ordinary requests with a page that tries it.

use exports::wasmserve::websocket::socket_handler::{Connection, Guest, Opening};
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

wit_bindgen::generate!({
    path: "../../../wit",
    world: "wasmserve:websocket/server@0.1.0",
    generate_all,
});

struct Echo;

export!(Echo);
wasip2::http::proxy::export!(Echo);

impl Guest for Echo {
    fn handle(opening: Opening, connection: Connection) {
        if !opening.path_with_query.starts_with("/echo") {
            let _ = connection.reject(404, &[], b"WebSockets are at /echo\n");
            return;
        }
        let subprotocol = opening.subprotocols.first().map(String::as_str);
        if connection.accept(subprotocol, &[]).is_err() {
            return;
        }
        // It ends when the client closes, or leaves.
        while let Ok(message) = connection.blocking_receive() {
            if connection.send(&message).is_err() {
                return;
            }
        }
    }
}

const PAGE: &str = r#"<!doctype html><title>Echo</title><input id="text" placeholder="Say something"><pre id="log"></pre>
<script>
const socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/echo`);
socket.onmessage = event => log.textContent += event.data + "\n";
text.onchange = () => { socket.send(text.value); text.value = ""; };
</script>
"#;

impl wasip2::exports::http::incoming_handler::Guest for Echo {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let headers = Fields::new();
        let html = b"text/html; charset=utf-8".to_vec();
        headers.set("content-type", &[html]).expect("it is legal");
        let response = OutgoingResponse::new(headers);
        let body = response.body().expect("it is taken once");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("it is taken once");
        let _ = stream.blocking_write_and_flush(PAGE.as_bytes());
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}
