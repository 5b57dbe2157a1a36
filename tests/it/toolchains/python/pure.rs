//! Packages that are Python throughout, those that FastAPI applications ask for most, as applications use them. Guards
//! against a package that can be imported, and does nothing or something else than under uvicorn.

use super::ask::{Answer, Ask, ask, get, json, parts};
use super::services::posted;
use super::{REUSE, built, differences, trials, uvicorn_in};
use crate::harness::certificates::Authority;
use crate::harness::objects::{http, store};
use crate::harness::{Redis, Server, eventually, guest, root};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

const PACKAGES: &str = "guests/python/packages";

/// What the environment says to the application.
const SETTINGS: [(&str, &str); 2] = [
    ("PACKAGES_NAME", "the shop"),
    ("PACKAGES_PORTS", "[80, 443]"),
];

fn natively(environment: &[(&str, &str)]) -> Server {
    let all = [&SETTINGS, environment].concat();
    uvicorn_in(PACKAGES, &root().join(PACKAGES), &all)
}

fn served(reuse: &str, environment: &[(&str, &str)], peers: &[&str]) -> Server {
    let mut options = vec!["--no-request-id".to_owned(), "--reuse".into(), reuse.into()];
    for (name, value) in SETTINGS.iter().chain(environment) {
        options.extend(["--env".into(), format!("{name}={value}")]);
    }
    for peer in peers {
        options.extend(["--allow-net".to_owned(), (*peer).into()]);
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    trials::serve(&built(PACKAGES), &options)
}

/// A GET of a path whose query has what must be encoded.
fn query(path: &str, pairs: &[(&str, &str)]) -> Ask {
    let encoded = |text: &str| -> String {
        let byte = |byte: u8| format!("%{byte:02X}");
        text.bytes().map(byte).collect()
    };
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)));
    get(format!("{path}?{}", pairs.collect::<Vec<_>>().join("&")))
}

/// Of a hash or a token, what a server made itself; it differs each time, or takes long to write down.
fn own(server: &Server, path: &str, key: Option<&str>) -> String {
    let answer: Value = serde_json::from_str(&get(path).of(server.address).text()).unwrap();
    let own = key.map_or(&answer, |key| &answer[key]);
    own.as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

fn asks_of_the_web(sockets: SocketAddr) -> Vec<Ask> {
    let file = (
        "file",
        "; filename=\"ü.txt\"\r\nContent-Type: text/plain",
        "grün".as_bytes(),
    );
    let mut asks = vec![
        parts("/form", &[("name", "", b"Rex"), file]),
        parts(
            "/form",
            &[
                ("name", "", b"Rex"),
                file,
                ("more", "; filename=\"a\"", b"1"),
                ("more", "", b"22"),
            ],
        ),
        parts("/form", &[("name", "", b"Rex")]),
        parts("/form", &[file]),
        json("/account", r#"{"email":"Rex@EXAMPLE.com"}"#),
        json("/account", r#"{"email":"rex@grün.example"}"#),
        json("/account", r#"{"email":"rex@localhost"}"#),
        json("/account", r#"{"email":"Rex <rex@example.com>"}"#),
        get("/session"),
        get("/session").header("Cookie", "pets=nonsense"),
        ask("DELETE", "/session"),
    ];
    let paths = [
        "/settings",
        "/settings/sign",
        "/settings/wrong",
        "/page/rex",
        "/page/%3Crex%3E?count=0",
        "/page/%C3%BC?count=3",
        "/events?count=0",
        "/events?count=3",
        "/openapi.json",
        "/metrics/",
        "/metrics/?name[]=ready",
    ];
    asks.extend(paths.map(get));
    asks.push(ask("HEAD", "/events?count=3"));
    asks.push(get(format!("/websockets?url=ws://{sockets}/echo")));
    asks.push(get("/metrics/").header("Accept", "application/openmetrics-text"));
    asks
}

fn asks_of_tokens(native: &Server) -> Vec<Ask> {
    let mut asks = vec![get("/pyjwt"), get("/pyjwt/rsa"), get("/jose")];
    let tokens = [
        own(native, "/pyjwt", Some("mine")),
        own(native, "/jose", Some("mine")),
        own(native, "/jose?algorithm=RS256", Some("mine")),
        "a.b.c".into(),
    ];
    for token in &tokens {
        // What is signed, and the same by somebody else.
        for token in [token.clone(), format!("{}AAAA", &token[..token.len() - 4])] {
            asks.push(get(format!("/pyjwt?token={token}")));
            for algorithm in ["HS256", "HS512", "RS256"] {
                asks.push(get(format!("/jose?algorithm={algorithm}&token={token}")));
            }
        }
    }
    let hashed = own(native, "/werkzeug/own?password=secret", None);
    for password in ["secret", "secreT"] {
        asks.push(query(
            "/werkzeug",
            &[("hashed", &hashed), ("password", password)],
        ));
    }
    let hashed = own(native, "/passlib/own?password=secret", None);
    let old = "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2";
    for hashed in [&hashed, old, "nonsense"] {
        for password in ["secret", "secreT"] {
            asks.push(query(
                "/passlib",
                &[("hashed", hashed), ("password", password)],
            ));
        }
    }
    asks
}

fn asks_of_what_is_observed() -> Vec<Ask> {
    let mut asks: Vec<Ask> = [
        "/structlog?text=low",
        "/loguru?text=%C3%BC",
        "/prometheus?value=0.5",
        "/prometheus?value=NaN",
        "/opentelemetry",
        "/tenacity/blocking?fails=2",
        // Nobody is told of it.
        "/sentry/said?text=low",
        "/sentry/raised?pet=tom",
    ]
    .map(get)
    .into();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced = get("/opentelemetry").header("Traceparent", trace);
    asks.push(traced.header("Baggage", "user=anna,more=a%20b;c=d"));
    asks.extend([0, 2, 4, 9].map(|fails| get(format!("/tenacity?fails={fails}"))));
    asks
}

fn asks_of_what_is_stored(store: SocketAddr) -> Vec<Ask> {
    let mut asks: Vec<Ask> = [
        "/sqlalchemy?name=anna",
        "/sqlalchemy?name=%25",
        "/alembic",
        "/alembic?to=1a",
        "/alembic?to=nowhere",
        "/boto3/signed?key=a/b",
    ]
    .map(get)
    .into();
    for text in [
        "a: [1, 2.5, yes]\nb: 2026-11-29\n---\n- ü\n- &x {c: null}\n- *x\n",
        "a: [b",
        "!!python/object:os.system {}",
        "",
    ] {
        asks.push(ask("POST", "/yaml").with("application/yaml", text));
    }
    for page in [
        "<title>T</title><ul><li><a href=/a> one </a><li><a class=ad href=/b>two</a></ul><script>x</script><p>end <b>bold",
        "<meta charset=iso-8859-1><p>gr\u{fc}n</p>",
        "",
    ] {
        asks.push(ask("POST", "/soup").with("text/html", page));
    }
    let large = "x".repeat(300_000);
    for (key, body) in [
        ("rex", "hello"),
        ("none", ""),
        ("large", &large),
        ("refused", "hello"),
    ] {
        let path = format!("/boto3?url=http://{store}&key={key}");
        asks.push(ask("POST", path).with("text/plain", body));
    }
    // Where nobody listens.
    asks.push(ask("POST", "/boto3?url=http://127.0.0.1:1&key=a").with("text/plain", "hello"));
    asks
}

#[test]
fn packages_that_applications_ask_for_answer_as_under_uvicorn() {
    let store = store();
    let sockets = Server::component(guest("behaviours-websocket")).start();
    let native = natively(&[]);
    let asks = [
        asks_of_the_web(sockets.address),
        asks_of_tokens(&native),
        asks_of_what_is_observed(),
        asks_of_what_is_stored(store),
    ];
    let asked = |ask: Ask| {
        let answer = ask.of(native.address);
        (ask, answer)
    };
    let expected: Vec<(Ask, Answer)> = asks.concat().into_iter().map(asked).collect();
    let (store, sockets) = (store.to_string(), sockets.address.to_string());
    for reuse in REUSE {
        let server = served(reuse, &[], &[&store, &sockets, "127.0.0.1:1"]);
        let found = differences(&server, &expected);
        assert!(found.is_empty(), "--reuse {reuse}:\n{}", found.join("\n"));
        // What structlog printed is in the log.
        let line = r#"{"event": "low", "level": "warning", "request": "seven", "times": 2, "user": "rex"}"#;
        native.wait_for(line);
        server.wait_for(line);
        for (from, to) in [(&native, &server), (&server, &native)] {
            let hashed = own(from, "/passlib/own?password=secret", None);
            let verified = query("/passlib", &[("hashed", &hashed), ("password", "secret")]);
            assert_eq!(verified.of(to.address).text(), "[true,false,true]");
            let hashed = own(from, "/werkzeug/own?password=secret", None);
            let verified = query("/werkzeug", &[("hashed", &hashed), ("password", "secret")]);
            assert_eq!(verified.of(to.address).text(), "true");
            let answer = posted(from, "/session/rex", "").unwrap();
            let cookie = answer.header("set-cookie").expect("a cookie is set");
            let cookie = cookie.split(';').next().unwrap();
            let remembered = get("/session").header("Cookie", cookie);
            assert_eq!(remembered.of(to.address).text(), "\"rex\"");
        }
    }
}

/// Guards against a task that a library begins and never ends, for which a request would be waited for ever: the
/// instance would be there until it is stopped.
#[test]
fn a_request_with_events_of_sse_starlette_is_over_when_they_are() {
    // Each waits for the one before, which would be ended after a minute only.
    let options = ["--limit-concurrency", "1", "--timeout-queue", "30s"];
    let server = Server::component(built(PACKAGES)).args(options).start();
    for _ in 0..3 {
        let answer = get("/events?count=2").of(server.address).text();
        assert_eq!(answer.matches("event: tick").count(), 2, "{answer}");
    }
    assert!(!server.printed().contains("the guest was ended"));
}

/// What a server of Sentry's was told, and what of it does not depend on the machine.
fn told(events: &Mutex<Vec<Value>>, count: usize) -> Vec<Value> {
    eventually("Sentry is told", || events.lock().unwrap().len() >= count);
    let mut events = events.lock().unwrap();
    let same = |event: &Value| {
        let request = &event["request"];
        let exception = &event["exception"]["values"][0];
        let frames = exception["stacktrace"]["frames"].as_array();
        let last = frames.and_then(|frames| frames.last());
        let crumbs = event["breadcrumbs"]["values"].as_array();
        let crumbs = crumbs.into_iter().flatten().map(|it| &it["message"]);
        serde_json::json!({
            "message": event["message"], "level": event["level"], "tags": event["tags"],
            "transaction": event["transaction"], "pet": event["contexts"]["pet"],
            "asked": [request["method"], request["query_string"], request["headers"]["x-pet"]],
            "raised": [exception["type"], exception["value"], exception["mechanism"]["handled"]],
            "at": last.map(|frame| [&frame["function"], &frame["module"], &frame["vars"], &frame["context_line"]]),
            "crumbs": crumbs.collect::<Vec<_>>(),
        })
    };
    events.drain(..).map(|event| same(&event)).collect()
}

/// Guards against events that are never sent, as the thread that would do so is not there.
#[test]
fn sentry_is_told_what_it_is_told_under_uvicorn() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let all = events.clone();
    let sentry = http(move |asked| {
        assert!(
            asked.target.starts_with("/api/1/envelope/"),
            "{}",
            asked.target
        );
        let text = String::from_utf8(asked.body).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2) {
            if pair[0].contains(r#""type":"event""#) {
                all.lock()
                    .unwrap()
                    .push(serde_json::from_str(pair[1]).unwrap());
            }
        }
        (
            200,
            "Content-Type: application/json\r\n".into(),
            b"{}".into(),
        )
    });
    let dsn = format!("http://key@{sentry}/1");
    let environment = [
        ("SENTRY_DSN", dsn.as_str()),
        ("SENTRY_ENVIRONMENT", "tests"),
    ];
    let asked = |server: &Server| {
        let told = ["/sentry/raised?pet=rex", "/sentry/said?text=gr%C3%BCn"].map(|path| {
            let _ = get(path).header("X-Pet", "dog").of(server.address);
            told(&events, 1)
        });
        told.concat()
    };
    let expected = asked(&natively(&environment));
    assert_eq!(expected.len(), 2, "{expected:#?}");
    assert_eq!(expected[0]["raised"][1], "no rex here", "{expected:#?}");
    for reuse in REUSE {
        let server = served(reuse, &environment, &[&sentry.to_string()]);
        assert_eq!(asked(&server), expected, "--reuse {reuse}");
    }
}

/// Which of some requests are answered, and how many would still be.
fn limited(server: &Server) -> Vec<(u16, String, String)> {
    let asked = (0..4).map(|_| {
        let answer = crate::harness::get(server.address, "/limited/pets");
        let left = answer.header("x-ratelimit-remaining").unwrap_or("none");
        (answer.status, left.to_owned(), answer.text())
    });
    asked.collect()
}

/// In memory each instance counts for itself, as each process does under uvicorn; in Redis all count together.
#[test]
fn slowapi_limits_what_all_workers_answer_where_it_counts_in_redis() {
    let authority = Authority::new();
    let pair = authority.issue("redis", &["localhost"]);
    type Serve<'a> = &'a dyn Fn(&[(&str, &str)]) -> Server;
    let answers = |storage: &str, server: Serve<'_>| {
        let environment = [
            ("PACKAGES_LIMITS__STORAGE", storage),
            ("PACKAGES_LIMITS__REQUESTS", "3/hour"),
        ];
        limited(&server(&environment))
    };
    let expected = answers("memory://", &natively);
    assert_eq!(expected[2].1, "0");
    assert_eq!(expected[3].0, 429);
    for reuse in REUSE {
        let (_redis, [port, _]) = Redis::at_ports(&pair);
        let peer = format!("127.0.0.1:{port}");
        let found = answers(&format!("redis://{peer}"), &|environment| {
            served(reuse, environment, &[&peer])
        });
        assert_eq!(found, expected, "--reuse {reuse}");
    }
    let found = answers("memory://", &|environment| served("1", environment, &[]));
    assert!(
        found
            .iter()
            .all(|(status, left, _)| *status == 200 && left == "2"),
        "{found:?}"
    );
}
