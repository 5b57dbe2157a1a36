//! JavaScript and TypeScript, built by esbuild and componentize-js.

use super::{built, built_for, place, trials};
use crate::harness::certificates::Authority;
use crate::harness::{After, Postgres, Server, Upstream, eventually};
use std::io::Write;

pub const HONO: &str = "guests/javascript";
pub const PLATFORM: &str = "guests/javascript/tests/platform.ts";
pub const PLAIN: &str = "guests/javascript/src/plain.js";
pub const EVENTS: &str = "guests/javascript/src/events.js";
const DATABASE: &str = "guests/javascript/src/database.js";

pub fn answer(server: &Server, path: &str) -> (u16, String) {
    let response = server.connect().get(path).response().unwrap();
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
    let mut connection = server.connect();
    let created = trials::post(&mut connection, "/items", br#"{"name":"chair"}"#);
    assert_eq!(
        (created.status, created.text()),
        (201, r#"{"created":"chair"}"#.into())
    );
    let cookies = connection.get("/cookies").response().unwrap();
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
fn a_field_has_a_byte_for_each_character() {
    let server = trials::serve(&built(PLATFORM), &[]);
    let asked = |sent: &[u8]| {
        let mut socket = std::net::TcpStream::connect(server.address).unwrap();
        let head = b"GET /bytes HTTP/1.1\r\nHost: test\r\nConnection: close\r\nX-In: ";
        let head = [head, sent, b"\r\n\r\n"].concat();
        std::io::Write::write_all(&mut socket, &head).unwrap();
        let mut answer = Vec::new();
        std::io::Read::read_to_end(&mut socket, &mut answer).unwrap();
        answer
    };
    let has = |answer: &[u8], part: &[u8]| answer.windows(part.len()).any(|bytes| bytes == part);
    let answer = asked(b"lev\xe9");
    assert!(has(&answer, b"[108,101,118,233]"));
    assert!(has(&answer, b"x-out: lev\xe9\r\n"));
    assert!(has(&asked("\u{e9}".as_bytes()), b"[195,169]"));
}

#[test]
fn errors_are_errors_and_clients_are_known() {
    let server = trials::serve(&built(PLATFORM), &[]);
    assert_eq!(answer(&server, "/error").0, 500);
    for text in ["told by console.error", "Error: thrown"] {
        let line = server.wait_for(text);
        assert!(line.starts_with("ERROR:    [guest "), "{line}");
    }
    let (_, told) = answer(&server, "/client");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    for (remote, [address, port]) in [
        (&told[0][0], ["hostname", "port"]),
        (&told[0][1], ["address", "port"]),
        (&told[0][2], ["remoteAddress", "remotePort"]),
    ] {
        assert_eq!(remote[address], "127.0.0.1", "{told}");
        assert!(remote[port].as_u64().unwrap() > 0, "{told}");
    }
    assert_eq!(told[1], serde_json::json!({}));
    assert!(told[2].is_null(), "{told}");
}

#[test]
fn each_instance_has_random_numbers_of_its_own() {
    for options in [&[][..], &["--prime", "/random"], &["--no-prime"]] {
        let server = trials::serve(&built(PLATFORM), options);
        let (one, other) = (answer(&server, "/random").1, answer(&server, "/random").1);
        assert_ne!(one, other, "{options:?}");
    }
}

/// What the application does then must change nothing outside, and what it keeps must be of use afterwards.
#[test]
fn an_application_that_is_warmed_up_says_nothing_and_keeps_what_works() {
    let upstream = Upstream::friendly();
    let allowed = format!("http://{}", upstream.address);
    let server = trials::serve(&built(PLATFORM), &["--allow-http", &allowed]);
    let printed = server.printed();
    assert!(!printed.contains("said before"), "{printed}");
    assert!(printed.contains("Primed "), "{printed}");
    let fetched = answer(&server, &format!("/kept?url={allowed}/"));
    assert_eq!(fetched, (200, "hello".to_owned()));
    server.wait_for("said by what was kept");
    assert_eq!(answer(&server, "/error").0, 500);
    server.wait_for("told by console.error");
}

/// What goes on when the snapshot is taken would go on in each instance, and what could not be reached then may have been
/// kept.
#[test]
fn an_application_that_is_not_warm_in_time_or_reaches_out_begins_as_it_was_built() {
    for (variable, why) in [
        ("HANGS=1", "/a-path-that-is-nowhere"),
        ("ASKS=1", "the application asks a server"),
    ] {
        let upstream = Upstream::friendly();
        let allowed = format!("http://{}", upstream.address);
        let options = ["--env", variable, "--allow-http", &allowed];
        let server = trials::serve(&built(PLATFORM), &options);
        let printed = server.printed();
        assert!(printed.contains("is not primed"), "{printed}");
        assert!(printed.contains(why), "{printed}");
        assert!(upstream.seen().is_empty());
        assert_eq!(answer(&server, "/warmed"), (200, "nothing".to_owned()));
        let fetched = answer(&server, &format!("/fetch?url={allowed}/"));
        assert_eq!(fetched, (200, r#"[200,false,"hello"]"#.to_owned()));
    }
}

/// Handles that were left to the collector of garbage had an instance made for each request.
#[test]
fn nothing_of_the_host_is_left_when_a_request_is_answered() {
    for (path, options) in [(HONO, &[][..]), (PLAIN, &["--prime", "/"])] {
        let path = built(path);
        let watched = Server::component(&path[..])
            .arg("--no-access-log")
            .args(options)
            .watched();
        let server = &watched.server;
        assert!(server.printed().contains("Primed "), "{}", server.printed());
        let mut connection = server.connect();
        for _ in 0..10 {
            assert_eq!(connection.get("/").response().unwrap().status, 200);
            // Nobody reads its body.
            trials::post(&mut connection, "/", b"some text");
            trials::post(&mut connection, "/items", br#"{"name":"chair"}"#);
        }
        eventually("instances are put back", || {
            watched.metric("wasmserve_instances_restored_total") > 0.0
        });
        let kept = "wasmserve_instances_dropped_total{reason=\"kept_resources\"}";
        assert_eq!(watched.metric(kept), 0.0);
    }
}

#[test]
fn responses_are_cloned_and_tagged_and_redirects_followed() {
    let upstream = Upstream::friendly();
    let allowed = format!("http://{}", upstream.address);
    let server = trials::serve(&built(PLATFORM), &["--allow-http", &allowed]);
    let cloned = r#"["abc","abc",true,[4]]"#;
    assert_eq!(answer(&server, "/clone"), (200, cloned.to_owned()));
    let tagged = server.connect().get("/tagged").response().unwrap();
    let tag = tagged.header("etag").unwrap();
    let mut connection = server.connect();
    let conditional = connection.get("/tagged").header("If-None-Match", tag);
    conditional.send().unwrap();
    assert_eq!(connection.head().unwrap().status, 304);
    let fetched = answer(&server, &format!("/fetch?url={allowed}/"));
    assert_eq!(fetched, (200, r#"[200,false,"hello"]"#.to_owned()));
}

/// What the engine was built without: each part works, or says what takes its place.
#[test]
fn parts_of_the_web_platform_that_the_engine_lacks_are_there() {
    let server = trials::serve(&built(PLATFORM), &[]);
    let (status, told) = answer(&server, "/parts");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let expected = serde_json::json!({
        "parse": ["http://a/b", null, true, false],
        "decoded": "h\u{e9}llo",
        "encoded": "\u{1f600}",
        "from": "ab",
        "aborted": ["Error: why", "AbortError"],
        "timeout": "TimeoutError",
        "error": ["error", 0],
        "blob": "x/y",
        "agent": "wasmserve",
        "normalized": ["Creme Brulee", true, "1\u{2044}2", true],
        "letters": true,
        "digest": 32,
        "form": ["1", "f\u{e9}.txt", "text/plain", [120, 121, 122, 0, 255], 0, "\u{e9}"],
    });
    assert_eq!((status, told), (200, expected));
    let line = server.wait_for("told half of 50%");
    assert!(line.starts_with("INFO: "), "{line}");
}

/// One that sends who asks for `/STATUS` on, and says at last how it was asked.
fn redirecting() -> Upstream {
    Upstream::start(|seen, stream| {
        let mut words = seen.head.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let (status, location) = match target.trim_start_matches('/') {
            "end" => ("200", "none"),
            "loop" => ("302", "/loop"),
            "away" => ("302", "http://127.0.0.2:9/"),
            "scheme" => ("302", "file:///etc/passwd"),
            status => (status, "/end"),
        };
        let body = format!("{method} {}", seen.body);
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status} Said\r\nLocation: {location}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        After::Keep
    })
}

#[test]
fn redirects_are_followed_as_fetch_has_it_and_only_to_where_is_allowed() {
    let upstream = redirecting();
    let allowed = format!("http://{}", upstream.address);
    let server = trials::serve(&built(PLATFORM), &["--allow-http", &allowed]);
    let fetched = |query: &str| answer(&server, &format!("/fetch?url={allowed}/{query}"));
    for (query, expected) in [
        ("302", r#"[200,true,"GET 0"]"#),
        ("308", r#"[200,true,"GET 0"]"#),
        ("301&method=POST&body=abc", r#"[200,true,"GET 0"]"#),
        ("303&method=PUT&body=abc", r#"[200,true,"GET 0"]"#),
        ("307&method=POST&body=abc", r#"[200,true,"POST 3"]"#),
        ("308&method=PUT&body=abc", r#"[200,true,"PUT 3"]"#),
        ("302&redirect=manual", r#"[302,false,"GET 0"]"#),
        ("end&redirect=error", r#"[200,false,"GET 0"]"#),
    ] {
        assert_eq!(fetched(query), (200, expected.to_owned()), "{query}");
    }
    for query in ["302&redirect=error", "loop", "away", "scheme"] {
        let (status, said) = fetched(query);
        assert_eq!(status, 502, "{query}: {said}");
    }
    let loops = upstream.seen().into_iter();
    let loops = loops.filter(|seen| seen.head.starts_with("GET /loop "));
    assert_eq!(loops.count(), 21);
}

#[test]
fn instances_of_a_hono_application_are_reused() {
    let server = Server::component(built(HONO)).arg("--reuse=100").start();
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
            let printed = server.printed();
            // An instance that is asked again although it cannot be says so itself.
            let own = |line: &&str| told && line.contains("[guest ");
            let mut failures = printed.lines().filter(|line| line.contains("ERROR"));
            assert!(failures.all(|line| own(&line)), "{printed}");
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

#[test]
fn an_application_asks_the_databases_that_it_is_granted() {
    let postgres = Postgres::start(&Authority::new().issue("postgres", &["localhost"]));
    let directory = place("javascript-database");
    let file = directory.join("app.db");
    let options = [
        &format!("--postgres=app={}", postgres.url()),
        &format!("--sqlite=app={}", file.display()),
    ];
    let options = options.map(String::as_str);
    let server = trials::serve(&built_for(DATABASE, &options), &options);
    for (path, answered) in [
        ("/postgres?text=%C3%A4", r#"["1","ä"]"#),
        ("/postgres?text=b", r#"["2","ä"]"#),
        ("/sqlite?text=%C3%A4", r#"["1","ä"]"#),
        ("/sqlite?text=b", r#"["2","ä"]"#),
        // Division by zero (PostgreSQL's error codes).
        ("/failing", "\"22012\""),
    ] {
        assert_eq!(answer(&server, path), (200, answered.to_owned()), "{path}");
    }
}
