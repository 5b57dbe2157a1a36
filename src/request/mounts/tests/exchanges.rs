//! These tests look at what passes between a client and a mounted server: heads, bodies and trailers, in both
//! directions, and side by side.

use super::*;
use http::header;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Answers with what was asked, in the order of names.
async fn describe(request: Request<hyper::body::Incoming>) -> Response<RequestBody> {
    let (parts, body) = request.into_parts();
    let mut lines = vec![format!("{} {}", parts.method, parts.uri)];
    for (name, value) in &parts.headers {
        lines.push(format!("{name}: {}", value.to_str().unwrap()));
    }
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    for (name, value) in &trailers {
        lines.push(format!("trailer {name}: {}", value.to_str().unwrap()));
    }
    lines[1..].sort_unstable();
    lines.push(String::from_utf8(body.to_bytes().to_vec()).unwrap());
    let mut response = Response::new(full(lines.join("\n")));
    let headers = response.headers_mut();
    headers.insert(
        header::DATE,
        "Thu, 01 Jan 1970 00:00:00 GMT".parse().unwrap(),
    );
    response
}

#[test]
fn a_request_arrives_as_it_was_with_what_tells_who_asks() {
    run(async {
        let (socket, listener) = listener();
        serve(listener, describe);
        let mount = mount(socket);
        let mut asked = request("PROPFIND", full("body"));
        let headers = asked.headers_mut();
        headers.insert(header::CONTENT_LENGTH, 4.into());
        headers.insert(header::HOST, "other".parse().unwrap());
        headers.insert(header::CONNECTION, "x-hop".parse().unwrap());
        headers.insert("x-hop", "1".parse().unwrap());
        headers.insert("x-request-id", "abc".parse().unwrap());
        headers.insert("traceparent", "00-1-2-01".parse().unwrap());
        let response = forward(&mount, asked).await.ok().unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()[header::DATE],
            "Thu, 01 Jan 1970 00:00:00 GMT"
        );
        assert_eq!(
            text(response).await,
            "PROPFIND https://example.com/api/x?y=z\n\
             content-length: 4\n\
             traceparent: 00-1-2-01\n\
             x-forwarded-for: 192.0.2.1\n\
             x-forwarded-proto: https\n\
             x-request-id: abc\n\
             body"
        );
    });
}

#[test]
fn heads_without_a_body_are_whole() {
    run(async {
        let (socket, listener) = listener();
        serve(listener, |request| async move {
            let path = request.uri().query().unwrap().to_owned();
            let status = path.strip_prefix("y=").unwrap().parse::<u16>().unwrap();
            let response = Response::builder().status(status);
            match status {
                200 => response.body(full("0123456789")).unwrap(),
                304 => response.header("content-length", 77).body(empty()).unwrap(),
                _ => response.body(empty()).unwrap(),
            }
        });
        let mount = mount(socket);
        for (method, status, length) in [
            ("HEAD", 200, Some("10")),
            ("GET", 204, None),
            ("GET", 304, Some("77")),
            ("HEAD", 404, None),
            ("GET", 299, None),
            ("DELETE", 500, None),
        ] {
            let mut asked = request(method, empty());
            *asked.uri_mut() = format!("http://a/api?y={status}").parse().unwrap();
            let response = forward(&mount, asked).await.ok().unwrap();
            assert_eq!(response.status(), status);
            let told = response.headers().get(header::CONTENT_LENGTH);
            let told = told.map(|value| value.to_str().unwrap());
            assert_eq!(told, length, "{method} {status}");
            assert!(response.body().is_end_stream(), "{method} {status}");
            assert_eq!(text(response).await, "");
        }
        assert_eq!(mount.server.link().await.unwrap().open(), 0);
    });
}

#[test]
fn bodies_and_trailers_pass_in_both_directions() {
    run(async {
        let (socket, listener) = listener();
        // What comes is sent back as it comes, trailers too.
        serve(listener, |request| async {
            let body = request.into_body();
            Response::new(
                body.map_err(|_| BodyError::HttpProtocolError)
                    .boxed_unsync(),
            )
        });
        let mount = mount(socket);
        let (sender, body) = streamed();
        let response = forward(&mount, request("POST", body)).await.ok().unwrap();
        let mut echoed = response.into_body();
        // The answer has begun before the request has ended.
        sender.send(data("first")).unwrap();
        let frame = echoed.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "first");
        let much = Bytes::from(vec![b'x'; 3 << 20]);
        sender.send(data(much.clone())).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-digest", "1".parse().unwrap());
        trailers.insert("transfer-encoding", "chunked".parse().unwrap());
        sender.send(Ok(Frame::trailers(trailers))).unwrap();
        let rest = echoed.collect().await.unwrap();
        let told = rest.trailers().unwrap();
        assert_eq!((told.len(), &told["x-digest"]), (1, &"1".parse().unwrap()));
        assert_eq!(rest.to_bytes(), much);
    });
}

#[test]
fn a_body_that_is_asked_for_first_is_not_read_before() {
    run(async {
        let (socket, listener) = listener();
        let is_read = Arc::new(AtomicBool::new(false));
        let read = is_read.clone();
        // hyper asks for a body when it is read.
        spawn_local(async move {
            let mut connection = by_hand(&listener).await;
            let (request, mut respond) = connection.accept().await.unwrap().unwrap();
            assert_eq!(request.headers()["expect"], "100-continue");
            spawn_local(async move { while connection.accept().await.is_some() {} });
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(!read.load(Relaxed), "it was read before it was asked for");
            let go_on = Response::builder().status(100).body(()).unwrap();
            respond.send_informational(go_on).unwrap();
            let (_, mut body) = request.into_parts();
            let data = body.data().await.unwrap().unwrap();
            assert_eq!(data, "body");
            respond.send_response(Response::new(()), true).unwrap();
        });
        let mount = mount(socket);
        let mut pieces = vec![Bytes::from("body")];
        let frames = futures_util::stream::poll_fn(move |_| {
            is_read.store(true, Relaxed);
            Poll::Ready(pieces.pop().map(data))
        });
        let mut asked = request("PUT", StreamBody::new(frames).boxed_unsync());
        let headers = asked.headers_mut();
        headers.insert(header::EXPECT, "100-continue".parse().unwrap());
        let response = forward(&mount, asked).await.ok().unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    });
}

#[test]
fn a_body_that_nobody_reads_holds_up_no_other() {
    run(async {
        let (socket, listener) = listener();
        serve(listener, |request| async move {
            match request.method() == "GET" {
                true => Response::new(full(vec![b'x'; 4 << 20])),
                false => Response::new(full("small")),
            }
        });
        let mount = mount(socket);
        let mut unread = Vec::new();
        for _ in 0..60 {
            unread.push(get(&mount).await.ok().unwrap());
        }
        for _ in 0..10 {
            let response = forward(&mount, request("POST", empty())).await;
            assert_eq!(text(response.ok().unwrap()).await, "small");
        }
        assert!(mount.server.links() <= 8, "{}", mount.server.links());
        for response in unread.drain(..2) {
            assert_eq!(text(response).await.len(), 4 << 20);
        }
    });
}

#[test]
fn as_many_requests_are_on_their_way_as_the_server_takes() {
    run(async {
        let (socket, listener) = listener();
        let connections = Rc::new(Cell::new(0));
        let counted = connections.clone();
        let (go, _) = tokio::sync::broadcast::channel::<()>(1);
        let waits = go.clone();
        spawn_local(async move {
            while let Ok((transport, _)) = listener.accept().await {
                counted.set(counted.get() + 1);
                let waits = waits.clone();
                let service = hyper::service::service_fn(move |_| {
                    let mut wait = waits.subscribe();
                    async move {
                        let _ = wait.recv().await;
                        Ok::<_, std::convert::Infallible>(Response::new(full("done")))
                    }
                });
                let mut builder = hyper::server::conn::http2::Builder::new(LocalExecutor);
                builder.max_concurrent_streams(2);
                let transport = hyper_util::rt::TokioIo::new(transport);
                spawn_local(builder.serve_connection(transport, service));
            }
        });
        let mount = Rc::new(mount(socket));
        let asked: Vec<_> = (0..21)
            .map(|_| {
                let mount = mount.clone();
                spawn_local(async move { text(get(&mount).await.ok().unwrap()).await })
            })
            .collect();
        while go.receiver_count() < 21 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        go.send(()).unwrap();
        for asked in asked {
            assert_eq!(asked.await.unwrap(), "done");
        }
        assert_eq!(connections.get(), 11);
    });
}
