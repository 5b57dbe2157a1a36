//! How many requests an instance answers.

use crate::harness::{Server, eventually, guest};

fn start(name: &str, options: &[&str]) -> Server {
    Server::component(guest(name)).args(options).start()
}

/// What is answered, one request after the other.
fn answers(server: &Server, paths: &[&str]) -> Vec<String> {
    let mut connection = server.connect();
    let mut ask = |path: &&str| {
        connection
            .get(path)
            .response()
            .unwrap()
            .text()
            .trim()
            .to_owned()
    };
    paths.iter().map(&mut ask).collect()
}

#[test]
fn each_request_has_an_instance_of_its_own_unless_told_otherwise() {
    for name in ["behaviours", "behaviours-p3"] {
        let server = start(name, &[]);
        assert_eq!(answers(&server, &["/counter"; 4]), ["1"; 4], "{name}");
    }
}

#[test]
fn an_instance_answers_as_many_as_it_may() {
    for name in ["behaviours", "behaviours-p3"] {
        let server = start(name, &["--reuse", "3"]);
        let seen = answers(&server, &["/counter"; 7]);
        assert_eq!(seen, ["1", "2", "3", "1", "2", "3", "1"], "{name}");
    }
}

#[test]
fn one_request_at_a_time() {
    let server = start("behaviours", &["--reuse", "100"]);
    answers(&server, &["/counter"]);
    let mut slow = server.connect();
    slow.get("/sleep?ms=600000").send().unwrap();
    server.answers_now(1);
    assert_eq!(answers(&server, &["/counter"]), ["1"]);
}

#[test]
fn a_trap_retires_the_instance_and_a_safe_request_is_answered_by_a_fresh_one() {
    let server = start("behaviours", &["--reuse", "100"]);
    let seen = answers(
        &server,
        &["/counter", "/counter", "/trap-if-used", "/counter"],
    );
    assert_eq!(seen, ["1", "2", "the first", "2"]);
    let mut connection = server.connect();
    assert_eq!(
        connection
            .post("/trap-if-used")
            .body("")
            .response()
            .unwrap()
            .status,
        500
    );
}

#[test]
fn a_component_whose_instances_cannot_be_reused_is_found_out() {
    let server = start("behaviours", &["--reuse", "100"]);
    assert_eq!(answers(&server, &["/once"; 4]), ["the first"; 4]);
    server.wait_for("--reuse is left alone");
    assert_eq!(answers(&server, &["/counter"; 2]), ["1"; 2]);
    assert_eq!(server.printed().matches("--reuse is left alone").count(), 1);
}

#[test]
fn an_instance_is_tried_a_second_time_only_with_what_can_be_repeated() {
    let server = start("behaviours", &["--reuse", "100"]);
    let post = |path: &str| {
        let mut connection = server.connect();
        connection
            .post(path)
            .body("hi")
            .response()
            .unwrap()
            .text()
            .trim()
            .to_owned()
    };
    for _ in 0..3 {
        assert_eq!(post("/once"), "the first");
    }
    // A GET shows that instances are of use twice; from there on they are used for anything.
    assert_eq!(answers(&server, &["/counter"; 2]), ["2", "3"]);
    assert_eq!(post("/counter"), "4");
}

/// Each of them had a new instance made for it, which takes thousands of times as long where a component is large.
#[test]
fn requests_that_cannot_be_repeated_get_an_instance_that_is_restored_before_one_has_proved_itself()
{
    for name in ["behaviours", "behaviours-p3"] {
        let watched = Server::component(guest(name))
            .args(["--reuse", "3"])
            .watched();
        let mut connection = watched.server.connect();
        let restored = || watched.metric("wasmserve_instances_restored_total");
        for _ in 0..8 {
            let answer = connection.post("/counter").body("").response().unwrap();
            assert_eq!(answer.text().trim(), "1", "{name}");
        }
        eventually("all but the first were restored", || restored() == 7.0);
        // The next one proves it.
        assert_eq!(answers(&watched.server, &["/counter"; 2]), ["2", "3"]);
        eventually("they are reused from here on", || {
            watched.metric("wasmserve_instances_reused_total") == 2.0
        });
        assert_eq!(restored(), 7.0, "{name}");
    }
}

#[test]
fn instances_that_answer_one_request_only_are_restored() {
    let watched = Server::component(guest("behaviours"))
        .args(["--reuse", "100"])
        .watched();
    assert_eq!(answers(&watched.server, &["/once"; 2]), ["the first"; 2]);
    watched.server.wait_for("--reuse is left alone");
    assert_eq!(answers(&watched.server, &["/counter"; 4]), ["1"; 4]);
    // The one that answered in the place of the other may have ended before that was known.
    eventually("they are restored", || {
        watched.metric("wasmserve_instances_restored_total") >= 3.0
    });
}

#[test]
fn an_instance_that_waits_makes_room_for_one_that_is_needed() {
    let server = start(
        "behaviours",
        &["--reuse", "100", "--limit-concurrency", "1"],
    );
    let mut connection = server.connect();
    for _ in 0..3 {
        // Not to be repeated, and so not for an instance that may be good for one request only.
        let response = connection.post("/counter").body("").response().unwrap();
        assert_eq!((response.status, response.text().trim()), (200, "1"));
    }
}

#[test]
fn an_instance_does_not_wait_for_ever() {
    let watched = Server::component(guest("behaviours"))
        .args(["--reuse=100", "--reuse-idle=3s"])
        .watched();
    assert_eq!(answers(&watched.server, &["/counter"; 2]), ["1", "2"]);
    watched.has_let_an_instance_go();
    assert_eq!(answers(&watched.server, &["/counter"]), ["1"]);
}
