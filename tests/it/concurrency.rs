//! Instances that answer several requests at a time.

use crate::harness::{Connection, HOLDING, Server, eventually, finished, get, guest, wasmserve};

/// Guests of WASI 0.3, this many requests at a time in each instance.
fn start(concurrency: &str, options: &[&str]) -> Server {
    let guest = guest("behaviours-p3");
    let reuse = ["--reuse", "1000", "--reuse-concurrency", concurrency];
    Server::component(&guest).args(reuse).args(options).start()
}

/// A request that is being answered.
fn begin(server: &Server, target: &str) -> Connection {
    let mut connection = server.connect();
    ask(&mut connection, "GET", target);
    connection
}

fn ask(connection: &mut Connection, method: &str, target: &str) {
    connection.request(method, target).body("").send().unwrap();
}

/// Two requests that an instance has taken, and answers when it is let.
fn two_that_wait(server: &Server) -> [Connection; 2] {
    assert_eq!(count(server), "1");
    // Each is in the instance before the next is asked: one that comes while the instance has had no time to look for
    // the other goes elsewhere.
    [1, 2].map(|nth| {
        let mut held = server.connect();
        held.hold();
        server.answers_now(nth);
        held
    })
}

fn are_answered(held: [Connection; 2]) {
    for mut connection in held {
        connection.release();
    }
}

fn count(server: &Server) -> String {
    get(server.address, "/counter").text().trim().to_owned()
}

#[test]
fn an_instance_answers_others_while_one_waits() {
    let server = start("3", &HOLDING);
    let held = two_that_wait(&server);
    assert_eq!([(); 2].map(|()| count(&server)), ["2", "3"]);
    are_answered(held);
}

#[test]
fn and_no_more_of_them_than_it_may() {
    let server = start("2", &HOLDING);
    let held = two_that_wait(&server);
    assert_eq!(count(&server), "1", "it is answered by another");
    are_answered(held);
}

#[test]
fn streams_of_one_instance_go_on_side_by_side() {
    let server = start("8", &[]);
    assert_eq!(count(&server), "1");
    let mut streams = [(); 4].map(|()| begin(&server, "/slow-stream?n=6&ms=100"));
    assert_eq!(count(&server), "2");
    for stream in &mut streams {
        let text = stream.response().unwrap().text();
        assert!(text.ends_with("chunk 5\n") && text.len() == 48, "{text}");
    }
}

#[test]
fn a_guest_that_spins_is_stopped_and_who_can_be_asked_again_is_answered() {
    let server = start("8", &["--limit-cpu", "300ms"]);
    let mut safe = begin(&server, "/sleep?ms=1000");
    let mut unsafe_ = server.connect();
    ask(&mut unsafe_, "POST", "/sleep?ms=10000");
    let mut stream = begin(&server, "/slow-stream?n=100&ms=100");
    let mut head = stream.head().unwrap();
    let mut spin = begin(&server, "/spin");
    // Others are answered by another instance.
    assert_eq!(count(&server), "1");
    assert_eq!(spin.response().unwrap().status, 504);
    assert_eq!(safe.response().unwrap().text(), "slept\n");
    assert_eq!(unsafe_.response().unwrap().status, 500);
    assert!(stream.body(&mut head).is_err(), "it looks whole");
    let line = server.wait_for("\"POST /sleep?ms=10000\"");
    assert!(line.contains("the instance failed, with all"), "{line}");
    let line = server.wait_for("\"GET /spin\"");
    assert!(line.contains("--limit-cpu"), "{line}");
}

#[test]
fn a_trap_is_told_by_the_request_that_is_to_blame() {
    let guest = guest("behaviours-p3");
    let options = ["--reuse", "1000", "--reuse-concurrency", "8"];
    let watched = Server::component(&guest).args(options).watched();
    let server = &watched.server;
    let mut safe = begin(server, "/sleep?ms=3000");
    // It is asked by a connection, as a command may take longer to start than the guest sleeps.
    eventually("it is in its guest", || {
        watched.metric("wasmserve_requests_in_flight") >= 1.0
    });
    assert_eq!(get(server.address, "/trap-before-head").status, 500);
    assert_eq!(safe.response().unwrap().text(), "slept\n");
    assert_eq!(get(server.address, "/error-code").status, 500);
    server.wait_for("as asked");
    assert_eq!(count(server), "1");
}

#[test]
fn a_request_that_is_not_waited_for_is_the_last_of_its_instance() {
    let server = start("8", &["--timeout-request", "400ms"]);
    assert_eq!(count(&server), "1");
    assert_eq!(get(server.address, "/sleep?ms=60000").status, 504);
    assert_eq!(count(&server), "1");
    // The same where the client goes away.
    let gone = begin(&server, "/sleep?ms=60000");
    assert_eq!(count(&server), "2");
    drop(gone);
    eventually("the instance is left", || count(&server) == "1");
}

#[test]
fn instances_are_ended_when_they_have_answered_or_waited_for_long_enough() {
    let guest = guest("behaviours-p3");
    let options = ["--reuse", "3", "--reuse-concurrency", "2"];
    let server = Server::component(&guest).args(options).start();
    let seen = [(); 7].map(|()| count(&server));
    assert_eq!(seen, ["1", "2", "3", "1", "2", "3", "1"]);
    let watched = Server::component(&guest)
        .args(["--reuse=1000", "--reuse-concurrency=2", "--reuse-idle=3s"])
        .watched();
    assert_eq!([(); 2].map(|()| count(&watched.server)), ["1", "2"]);
    watched.has_let_an_instance_go();
    assert_eq!(count(&watched.server), "1");
}

#[test]
fn there_is_an_instance_for_every_permit() {
    let server = start("4", &["--limit-concurrency", "3"]);
    let clients: Vec<_> = (0..12)
        .map(|client| {
            let address = server.address;
            std::thread::spawn(move || {
                let mut connection = Connection::open(address);
                for number in 0..60 {
                    let target = match (client + number) % 6 {
                        0 => "/sleep?ms=5",
                        1 => "/slow-stream?n=2&ms=1",
                        2 => "/stdio",
                        _ => "/counter",
                    };
                    let response = connection.get(target).response().unwrap();
                    assert_eq!(response.status, 200, "{target}");
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn it_is_for_wasi_0_3_and_for_instances_that_are_used_again() {
    for (name, options, status, said) in [
        (
            "behaviours",
            &["--reuse", "9"][..],
            3,
            "leave out --reuse-concurrency",
        ),
        ("behaviours-p3", &[], 2, "give --reuse too"),
    ] {
        let mut command = wasmserve();
        command.args([&guest(name), "--port", "0", "--reuse-concurrency", "2"]);
        command.args(options);
        let output = finished(command);
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{printed}");
        assert!(printed.contains(said), "{printed}");
    }
}
