//! These tests end what is forwarded at every point: the client leaves, the server breaks off, goes, or is not there.

use super::*;
use std::cell::Cell;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

#[test]
fn the_server_sees_a_client_leave_before_there_is_an_answer() {
    run(async {
        let (socket, listener) = listener();
        let (watched, mut seen) = Watched::new();
        let watched = Rc::new(watched);
        serve(listener, move |_| {
            let watched = Watched(watched.0.clone());
            async move {
                let _watched = watched;
                std::future::pending().await
            }
        });
        let mount = mount(socket);
        let (frames, body) = streamed();
        for asked in [request("GET", empty()), request("POST", body)] {
            let left = timeout(Duration::from_millis(100), forward(&mount, asked)).await;
            assert!(left.is_err(), "there was an answer");
            seen.recv().await.unwrap();
        }
        // Nobody reads a body any more whose request is over.
        frames.closed().await;
        assert_eq!(mount.server.link().await.unwrap().open(), 0);
    });
}

#[test]
fn the_server_sees_a_client_leave_in_the_middle_of_an_answer() {
    run(async {
        let (socket, listener) = listener();
        let (frames, body) = streamed();
        let body = Cell::new(Some(body));
        let body = Rc::new(body);
        serve(listener, move |_| {
            let body = body.clone();
            async move { Response::new(body.take().unwrap()) }
        });
        let mount = mount(socket);
        let (sending, upload) = streamed();
        let response = forward(&mount, request("POST", upload)).await.ok().unwrap();
        let mut answer = response.into_body();
        frames.send(data("some")).unwrap();
        let frame = answer.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "some");
        drop(answer);
        frames.closed().await;
        sending.closed().await;
    });
}

#[test]
fn a_client_that_has_all_is_not_taken_for_one_that_left() {
    run(async {
        let (socket, listener) = listener();
        let (ended, end) = oneshot::channel();
        spawn_local(async move {
            let mut connection = by_hand(&listener).await;
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            spawn_local(async move { while connection.accept().await.is_some() {} });
            let head = Response::builder().header("content-length", 4);
            let head = head.body(()).unwrap();
            let mut sender = respond.send_response(head, false).unwrap();
            sender.send_data("body".into(), false).unwrap();
            let left = timeout(
                Duration::from_millis(100),
                poll_fn(|cx| sender.poll_reset(cx)),
            );
            assert!(left.await.is_err(), "the stream was reset");
            sender.send_data(Bytes::new(), true).unwrap();
            ended.send(()).unwrap();
        });
        let mount = mount(socket);
        let mut body = get(&mount).await.ok().unwrap().into_body();
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "body");
        // As HTTP/1.1 does, which knows the length.
        drop(body);
        end.await.unwrap();
        let link = mount.server.link().await.unwrap();
        while link.open() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn an_answer_that_comes_early_ends_the_request() {
    run(async {
        let (socket, listener) = listener();
        serve(listener, |_| async {
            let mut response = Response::new(full("too large"));
            *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            response
        });
        let mount = mount(socket);
        let (frames, body) = streamed();
        // There is more than the server has room for.
        frames.send(data(vec![b'x'; 8 << 20])).unwrap();
        let response = forward(&mount, request("POST", body)).await.ok().unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(text(response).await, "too large");
        frames.closed().await;
    });
}

#[test]
fn a_request_that_breaks_off_is_broken_off_for_the_server() {
    run(async {
        let (socket, listener) = listener();
        let (told, mut tells) = mpsc::unbounded_channel();
        serve(listener, move |request| {
            let told = told.clone();
            async move {
                let collected = request.into_body().collect().await;
                told.send(collected.is_err()).unwrap();
                Response::new(empty())
            }
        });
        let mount = mount(socket);
        let (frames, body) = streamed();
        frames.send(data("some")).unwrap();
        frames.send(Err(BodyError::HttpProtocolError)).unwrap();
        let outcome = forward(&mount, request("POST", body)).await;
        assert!(matches!(
            outcome,
            Err(Refusal::Mount(MountFailure::Lost(_)))
        ));
        assert!(tells.recv().await.unwrap(), "the server took it for whole");
    });
}

#[test]
fn what_the_server_breaks_off_is_broken_off_to_the_client() {
    run(async {
        let (socket, listener) = listener();
        serve(listener, |request| async move {
            let (frames, body) = streamed();
            let head = Response::builder();
            let head = match request.method() == "PUT" {
                true => head.header("content-length", 10),
                false => head,
            };
            let has_length = request.method() == "PUT";
            frames.send(data("half")).unwrap();
            spawn_local(async move {
                sleep(Duration::from_millis(20)).await;
                if !has_length {
                    frames.send(Err(BodyError::HttpProtocolError)).unwrap();
                }
            });
            head.body(body).unwrap()
        });
        let mount = mount(socket);
        for method in ["GET", "PUT"] {
            let response = forward(&mount, request(method, empty())).await;
            let collected = response.ok().unwrap().into_body().collect().await;
            assert!(collected.is_err(), "{method}: it looks whole");
        }
    });
}

#[test]
fn an_answer_may_not_pause_for_longer_than_is_allowed() {
    run(async {
        let (socket, listener) = listener();
        let (frames, body) = streamed();
        let body = Rc::new(Cell::new(Some(body)));
        serve(listener, move |_| {
            let body = body.clone();
            async move { Response::new(body.take().unwrap()) }
        });
        let mut mount = mount(socket);
        mount.idle = Duration::from_millis(50);
        let response = get(&mount).await.ok().unwrap();
        let began = Instant::now();
        assert!(response.into_body().collect().await.is_err());
        assert!(began.elapsed() >= mount.idle);
        frames.closed().await;
    });
}

#[test]
fn a_stream_or_a_connection_that_ends_without_an_answer_is_a_failure() {
    run(async {
        let (socket, listener) = listener();
        spawn_local(async move {
            let mut connection = by_hand(&listener).await;
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            respond.send_reset(Reason::INTERNAL_ERROR);
            connection.accept().await.unwrap().unwrap();
            drop(connection);
            serve(listener, |_| async { Response::new(full("served")) });
        });
        let mount = mount(socket);
        for _ in 0..2 {
            let outcome = forward(&mount, request("POST", empty())).await;
            let Err(Refusal::Mount(MountFailure::Lost(why))) = outcome else {
                panic!("there was an answer");
            };
            assert!(why.starts_with("its server gave no response: "), "{why}");
        }
        assert_eq!(text(get(&mount).await.ok().unwrap()).await, "served");
    });
}

#[test]
fn a_server_that_is_not_there_is_told_of_once() {
    run(async {
        let (socket, listener) = listener();
        drop(listener);
        let mount = mount(socket);
        let began = Instant::now();
        for _ in 0..100 {
            let outcome = get(&mount).await;
            assert!(matches!(
                outcome,
                Err(Refusal::Mount(MountFailure::Unreachable))
            ));
        }
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(mount.server.untold(), 99);
    });
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_longer_than_it_may_take() {
    run(async {
        let (socket, listener) = listener();
        let mut mount = mount(socket);
        mount.server.set_patience(Duration::from_millis(100));
        let began = Instant::now();
        let outcome = get(&mount).await;
        assert!(matches!(
            outcome,
            Err(Refusal::Mount(MountFailure::Unreachable))
        ));
        assert!(began.elapsed() >= Duration::from_millis(100));
        // What it finds there is nobody's any more.
        serve(listener, |_| async { Response::new(full("served")) });
        assert_eq!(text(get(&mount).await.ok().unwrap()).await, "served");
    });
}
