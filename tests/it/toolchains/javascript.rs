//! JavaScript and TypeScript, built by esbuild and componentize-js.

use super::{built, trials};
use crate::harness::{Connection, Server, Upstream};

const HONO: &str = "guests/javascript";
const PLAIN: &str = "guests/javascript/src/plain.js";
const EVENTS: &str = "guests/javascript/src/events.js";

fn answer(server: &Server, path: &str) -> (u16, String) {
    let response = Connection::open(server.address).get(path).unwrap();
    (response.status, response.text())
}

#[test]
fn a_hono_application_answers_as_it_does_elsewhere() {
    let options = ["--env", "GREETING=good morning", "--reuse", "10"];
    let server = trials::serve(&built(HONO), &options);
    let ok = |text: &str| (200, text.to_owned());
    assert_eq!(answer(&server, "/"), ok("Hello, world!\n"));
    let item = r#"{"id":"7","query":"a b"}"#;
    assert_eq!(answer(&server, "/items/7?q=a%20b"), ok(item));
    assert_eq!(answer(&server, "/greeting"), ok("good morning\n"));
    assert_eq!(answer(&server, "/throw").0, 500);
    assert_eq!(answer(&server, "/later"), ok("now\n"));
    server.wait_for("done later");
    let mut connection = Connection::open(server.address);
    let created = trials::post(&mut connection, "/items", br#"{"name":"chair"}"#);
    assert_eq!(
        (created.status, created.text()),
        (201, r#"{"created":"chair"}"#.into())
    );
    let cookies = connection.get("/cookies").unwrap();
    let set = cookies
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    let set: Vec<&str> = set.map(|(_, value)| value.as_str()).collect();
    assert_eq!(set, ["a=1", "b=2"]);
}

#[test]
fn a_hono_application_asks_others() {
    let upstream = Upstream::friendly();
    let allowed = format!("http://{}", upstream.address);
    let server = trials::serve(&built(HONO), &["--allow-http", &allowed]);
    assert_eq!(
        answer(&server, &format!("/fetch?url={allowed}/")),
        (200, "hello".into())
    );
}

#[test]
fn instances_of_a_hono_application_are_reused() {
    let server = Server::start(&[&built(HONO), "--reuse", "100"]);
    let counted: Vec<String> = (0..4).map(|_| answer(&server, "/counter").1).collect();
    assert_eq!(counted, ["1\n", "2\n", "3\n", "4\n"]);
    assert!(!server.printed().contains("--reuse is left alone"));
}

#[test]
fn a_thousand_requests_fresh_and_reused() {
    for application in [HONO, PLAIN, EVENTS] {
        for reuse in ["1", "100"] {
            let server = trials::serve(&built(application), &["--reuse", reuse]);
            trials::a_thousand_mixed_requests(&server);
            let told = server.printed().contains("--reuse is left alone");
            assert_eq!(
                told,
                application == EVENTS && reuse == "100",
                "{application}"
            );
            assert!(!server.printed().contains("ERROR"), "{}", server.printed());
        }
    }
}

#[test]
fn bodies_are_streamed() {
    for reuse in ["1", "100"] {
        let server = trials::serve(&built(HONO), &["--reuse", reuse]);
        trials::what_is_streamed_comes_as_it_is_written(&server);
        trials::a_large_body_comes_back(&server);
    }
}

#[test]
fn signals_under_load_cost_no_more_than_they_must() {
    let server = trials::serve(&built(HONO), &["--reuse", "100"]);
    trials::signals_under_load_cost_no_more_than_they_must(&server);
}
