//! Whom a guest may ask.

use super::{BOTH, ask, denied, serve};
use crate::harness::{Upstream, finished, guest, wasmserve};

#[test]
fn outbound_requests_are_denied() {
    let upstream = Upstream::friendly();
    for name in BOTH {
        let server = serve(name, &[]);
        let said = ask(&server, &format!("authority={}", upstream.address));
        assert!(denied(&said), "{name}: {said}");
        let line = server.wait_for("denied an outbound request");
        let remedy = format!("--allow-http http://{} would", upstream.address);
        assert!(line.contains(&remedy), "{line}");
    }
    assert_eq!(upstream.seen().len(), 0);
}

/// To look at it took the worker longer than it may be silent, whether it was allowed or not.
#[test]
fn a_host_that_is_none_for_its_length_costs_nothing() {
    for name in BOTH {
        for rules in [&[][..], &["--allow-http", "*"]] {
            let server = serve(name, rules);
            let worker = server.workers()[0];
            let said = ask(&server, "authority=.example.com&letters=20000000");
            let said = said.replace('-', "").to_lowercase();
            assert!(said.contains("httprequesturiinvalid"), "{name}: {said}");
            assert_eq!(server.workers()[0], worker);
        }
    }
}

#[test]
fn a_rule_allows_what_it_says_and_nothing_else() {
    let upstream = Upstream::friendly();
    let other = Upstream::friendly();
    let literal = format!("http://{}", upstream.address);
    let local = format!("http://{}", upstream.at("localhost"));
    for name in BOTH {
        for (rule, allowed, refused) in [
            (
                literal.as_str(),
                vec![upstream.at("127.0.0.1")],
                vec![other.at("127.0.0.1"), upstream.at("localhost")],
            ),
            (
                &local,
                vec![upstream.at("localhost")],
                vec![other.at("localhost"), upstream.at("127.0.0.1")],
            ),
            (
                "127.0.0.0/8",
                vec![upstream.at("127.0.0.1")],
                vec![upstream.at("localhost"), upstream.at("[::1]")],
            ),
            (
                "*",
                vec![],
                vec![
                    upstream.at("localhost"),
                    upstream.at("127.0.0.1"),
                    upstream.at("0.0.0.0"),
                    upstream.at("[::ffff:127.0.0.1]"),
                    upstream.at("2130706433"),
                    upstream.at("127.1"),
                ],
            ),
            ("localhost", vec![], vec![upstream.at("localhost")]),
        ] {
            let server = serve(name, &["--allow-http", rule]);
            for authority in allowed {
                let said = ask(&server, &format!("authority={authority}"));
                assert!(
                    said.starts_with("status 200\n"),
                    "{name}, {rule}, {authority}: {said}"
                );
                assert!(said.ends_with("length 5\nhello\n"), "{said}");
            }
            for authority in refused {
                let said = ask(&server, &format!("authority={authority}"));
                assert!(denied(&said), "{name}, {rule}, {authority}: {said}");
            }
        }
    }
    assert_eq!(other.seen().len(), 0);
}

#[test]
fn a_wildcard_does_not_lead_inside_and_the_log_says_what_would() {
    let upstream = Upstream::friendly();
    let server = serve("behaviours", &["--allow-http", "*"]);
    assert!(denied(&ask(
        &server,
        &format!("authority={}", upstream.at("localhost"))
    )));
    let line = server.wait_for("denied an outbound request");
    assert!(line.contains("is loopback, and no rule names it"), "{line}");
    assert!(
        line.contains(&format!(
            "--allow-http http://{} would",
            upstream.at("localhost")
        )),
        "{line}"
    );
    assert_eq!(upstream.seen().len(), 0);
}

#[test]
fn a_rule_that_is_none_is_a_mistake() {
    for (arguments, said) in [
        (
            ["--allow-http", "ftp://a.test"],
            "option --allow-http: `ftp://`",
        ),
        (
            ["--allow-http", "https://a.test/path"],
            "is no rule; write it like https://api.example.com",
        ),
        (
            ["--outbound-ca", "/etc/passwd"],
            "option --outbound-ca: `/etc/passwd` has no certificate",
        ),
        (["--limit-outbound", "0"], "option --limit-outbound: "),
    ] {
        let mut command = wasmserve();
        command
            .args([&guest("behaviours"), "--port", "0"])
            .args(arguments);
        let output = finished(command);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        assert!(printed.contains(said), "{printed}");
    }
}
