//! These tests replace servers: what one has not begun is answered by the next, and nothing is lost.

use super::*;
use std::cell::Cell;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

/// Speaks as a server that is about to be replaced: it answers the ping, and begins nothing that comes after that.
async fn leave(mut transport: UnixStream) {
    const PREFACE: usize = 24;
    const PING: u8 = 6;
    const HEADERS: u8 = 1;
    let mut preface = [0; PREFACE];
    transport.read_exact(&mut preface).await.unwrap();
    transport
        .write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    loop {
        let mut header = [0; 9];
        transport.read_exact(&mut header).await.unwrap();
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let mut payload = vec![0; length as usize];
        transport.read_exact(&mut payload).await.unwrap();
        match header[3] {
            PING => {
                let pong = [&[0, 0, 8, PING, 1, 0, 0, 0, 0], &payload[..]].concat();
                transport.write_all(&pong).await.unwrap();
            }
            HEADERS => break,
            _ => {}
        }
    }
    // No stream was begun, and there is no error.
    let goodbye = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    transport.write_all(&goodbye).await.unwrap();
    transport.shutdown().await.unwrap();
    let _ = transport.read_to_end(&mut Vec::new()).await;
}

/// A server that is replaced says which requests it has not begun.
#[test]
fn what_a_server_has_not_begun_is_sent_to_the_next_one() {
    run(async {
        let (socket, listener) = listener();
        spawn_local(async move {
            // This one is gone before it has read anything, and the next ones before they have begun anything.
            let _ = by_hand(&listener).await;
            for _ in 0..2 {
                let (transport, _) = listener.accept().await.unwrap();
                leave(transport).await;
            }
            // This one leaves as workers do: what is on its way is answered.
            let mut connection = by_hand(&listener).await;
            connection.graceful_shutdown();
            spawn_local(async move { while connection.accept().await.is_some() {} });
            serve(listener, |request| async {
                let body = request.into_body().collect().await.unwrap();
                Response::new(full(body.to_bytes()))
            });
        });
        let mount = mount(socket);
        let (frames, body) = streamed();
        frames.send(data("first, ")).unwrap();
        let asked = async {
            let response = forward(&mount, request("POST", body)).await;
            text(response.ok().unwrap()).await
        };
        let rest = async {
            sleep(Duration::from_millis(200)).await;
            frames.send(data("second")).unwrap();
            drop(frames);
        };
        let (answered, ()) = tokio::join!(asked, rest);
        assert_eq!(answered, "first, second");
    });
}

#[test]
fn a_refused_stream_is_asked_for_again() {
    run(async {
        let (socket, listener) = listener();
        spawn_local(async move {
            let mut connection = by_hand(&listener).await;
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            respond.send_reset(Reason::REFUSED_STREAM);
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            respond.send_response(Response::new(()), true).unwrap();
            while connection.accept().await.is_some() {}
        });
        let mount = mount(socket);
        let response = get(&mount).await.ok().unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    });
}

/// Has a server that dies begin this many requests, one on each connection, and another answer what comes then.
fn dies(listener: UnixListener, begins: usize) {
    spawn_local(async move {
        for _ in 0..begins {
            let mut connection = by_hand(&listener).await;
            connection.accept().await.unwrap().unwrap();
        }
        serve(listener, |request| async {
            let body = request.into_body().collect().await.unwrap();
            Response::new(full(body.to_bytes()))
        });
    });
}

/// Nobody knows how far a server had come that died: only what may be done twice is asked again.
#[test]
fn what_is_lost_with_its_server_is_asked_once_more_where_that_does_no_harm() {
    for (method, begins, is_answered) in [
        ("GET", 1, true),
        ("PUT", 1, true),
        ("DELETE", 1, true),
        // What ends one server could end them all.
        ("GET", 2, false),
        ("POST", 1, false),
        ("PATCH", 1, false),
    ] {
        run(async {
            let (socket, listener) = listener();
            dies(listener, begins);
            let mount = mount(socket);
            let body = if method == "GET" {
                empty()
            } else {
                full("body")
            };
            let outcome = forward(&mount, request(method, body)).await;
            match outcome {
                Ok(response) => {
                    assert!(is_answered, "{method} {begins}");
                    let expected = if method == "GET" { "" } else { "body" };
                    assert_eq!(text(response).await, expected);
                }
                Err(Refusal::Mount(MountFailure::Lost(why))) => {
                    assert!(!is_answered, "{method} {begins}: {why}");
                }
                Err(other) => panic!("{method} {begins}: {:?}", other.why()),
            }
        });
    }
}

#[test]
fn a_request_that_has_sent_much_is_not_sent_again() {
    run(async {
        let (socket, listener) = listener();
        spawn_local(async move {
            let mut connection = by_hand(&listener).await;
            let (request, mut respond) = connection.accept().await.unwrap().unwrap();
            let (_, mut body) = request.into_parts();
            spawn_local(async move { while connection.accept().await.is_some() {} });
            let mut received = 0;
            while received <= 65_000 {
                let data = body.data().await.unwrap().unwrap();
                received += data.len();
                let _ = body.flow_control().release_capacity(data.len());
            }
            respond.send_reset(Reason::REFUSED_STREAM);
        });
        let mount = mount(socket);
        let (frames, body) = streamed();
        for _ in 0..8 {
            frames.send(data(vec![b'x'; 10_000])).unwrap();
        }
        let outcome = forward(&mount, request("POST", body)).await;
        assert!(matches!(
            outcome,
            Err(Refusal::Mount(MountFailure::Lost(_)))
        ));
    });
}

/// Servers reload under load: each connection is ended in an orderly way after a few requests.
#[test]
fn no_request_is_lost_while_servers_go() {
    run(async {
        let (socket, listener) = listener();
        spawn_local(async move {
            while let Ok((transport, _)) = listener.accept().await {
                let answered = Rc::new(Cell::new(0));
                let counted = answered.clone();
                let service = hyper::service::service_fn(move |_| {
                    counted.set(counted.get() + 1);
                    async {
                        tokio::task::yield_now().await;
                        Ok::<_, std::convert::Infallible>(Response::new(full("served")))
                    }
                });
                let builder = hyper::server::conn::http2::Builder::new(LocalExecutor);
                let transport = hyper_util::rt::TokioIo::new(transport);
                let mut connection = builder.serve_connection(transport, service);
                spawn_local(async move {
                    poll_fn(|cx| {
                        if answered.get() >= 5 {
                            Pin::new(&mut connection).graceful_shutdown();
                        }
                        Pin::new(&mut connection).poll(cx).map(drop)
                    })
                    .await;
                });
            }
        });
        let mount = Rc::new(mount(socket));
        let clients: Vec<_> = (0..20)
            .map(|_| {
                let mount = mount.clone();
                spawn_local(async move {
                    for _ in 0..50 {
                        assert_eq!(text(get(&mount).await.ok().unwrap()).await, "served");
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    });
}
