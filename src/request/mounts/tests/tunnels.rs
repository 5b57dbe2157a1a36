//! These tests open WebSockets at a mounted server.

use super::*;
use crate::request::mounts::TunnelAnswer;
use http::header;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn open(mount: &Mount, request: Request<RequestBody>) -> Result<TunnelAnswer, Refusal> {
    let (arrival, origin) = arrived();
    let exchange = Exchange::begin(&arrival, &request, &mount.slot, false);
    let asked = RequestContext {
        origin: &origin,
        arrival: &arrival,
        exchange: &exchange,
        progress: &ClientProgress::new(0, &Rc::default()),
    };
    mount.open_tunnel(request.into_parts().0, &asked).await
}

fn opening() -> Request<RequestBody> {
    let mut request = request("GET", empty());
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "chat"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

#[test]
fn a_websocket_is_a_stream_of_bytes_to_the_server() {
    run(async {
        let (socket, listener) = listener();
        serve(listener, |mut request| async move {
            let protocol = request.extensions().get::<hyper::ext::Protocol>();
            assert_eq!(protocol.unwrap().as_str(), "websocket");
            assert_eq!(request.method(), Method::CONNECT);
            let mut names: Vec<&str> = request.headers().keys().map(|name| name.as_str()).collect();
            names.sort_unstable();
            let expected = [
                "sec-websocket-extensions",
                "sec-websocket-key",
                "sec-websocket-protocol",
                "sec-websocket-version",
                "x-forwarded-for",
                "x-forwarded-proto",
            ];
            assert_eq!(names, expected);
            spawn_local(async move {
                let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
                let mut stream = hyper_util::rt::TokioIo::new(upgraded);
                let mut bytes = [0; 4];
                stream.read_exact(&mut bytes).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
                stream.shutdown().await.unwrap();
            });
            let response = Response::builder().header("sec-websocket-protocol", "chat");
            response.body(empty()).unwrap()
        });
        let mount = mount(socket);
        let Ok(TunnelAnswer::Open(head, mut tunnel)) = open(&mount, opening()).await else {
            panic!("it is not open");
        };
        assert_eq!(head.headers()[header::SEC_WEBSOCKET_PROTOCOL], "chat");
        tunnel.sender.send_data("\u{1}any".into(), false).unwrap();
        let data = tunnel.receiver.data().await.unwrap().unwrap();
        assert_eq!(data, "\u{1}any");
        let last = tunnel.receiver.data().await.unwrap().unwrap();
        assert!(last.is_empty() && tunnel.receiver.is_end_stream());
        let link = mount.server.link().await.unwrap();
        assert_eq!(link.open(), 1);
        drop(tunnel);
        assert_eq!(link.open(), 0);
    });
}

#[test]
fn another_answer_is_passed_on() {
    run(async {
        let (socket, listener) = listener();
        serve(listener, |_| async {
            let response = Response::builder().status(403);
            response.body(full("not for you")).unwrap()
        });
        let mount = mount(socket);
        let Ok(TunnelAnswer::Response(response)) = open(&mount, opening()).await else {
            panic!("it is open");
        };
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(text(response).await, "not for you");
    });
}

#[test]
fn a_server_without_websockets_is_not_asked_for_one() {
    run(async {
        let (socket, listener) = listener();
        spawn_local(async move {
            let mut connection = by_hand(&listener).await;
            while connection.accept().await.is_some() {}
        });
        let mount = mount(socket);
        let answer = open(&mount, opening()).await;
        let Ok(TunnelAnswer::NotTaken(parts)) = answer else {
            panic!("it was asked");
        };
        assert_eq!(parts.headers[header::UPGRADE], "websocket");
    });
}
