//! These tests show what rules let through, and what they do not.

use super::*;

fn rules(texts: &[&str]) -> Rules {
    Rules::new(
        texts
            .iter()
            .map(|text| Rule::parse(text).unwrap())
            .collect(),
    )
}

/// Asks for a URL whose host, if it is a name, resolves to `address`.
fn ask(texts: &[&str], url: &str, address: &str) -> Result<(), String> {
    let uri: http::Uri = url.parse().unwrap();
    let scheme = match uri.scheme_str() {
        Some("https") => PeerScheme::Https,
        _ => PeerScheme::Http,
    };
    let port = uri.port_u16().or(scheme.default_port()).unwrap();
    let permit = rules(texts).permit(scheme, uri.host().unwrap(), port);
    permit
        .and_then(|permit| permit.check(address.parse().unwrap()))
        .map_err(|denial| denial.to_string())
}

const PUBLIC: &str = "93.184.216.34";

#[test]
fn a_rule_allows_its_scheme_host_and_port() {
    for (rule, allowed, denied) in [
        (
            "https://api.example.com",
            &["https://api.example.com/x", "https://API.example.com.:443"][..],
            &[
                "http://api.example.com",
                "https://api.example.com:8443",
                "https://example.com",
                "https://api.example.com.evil.test",
            ][..],
        ),
        (
            "*.example.com:443",
            &["https://a.example.com", "http://a.b.example.com:443"],
            &[
                "https://example.com",
                "https://a.example.com:444",
                "https://aexample.com",
            ],
        ),
        (
            "example.com",
            &["http://example.com:1", "https://example.com"],
            &["http://a.example.com"],
        ),
        ("*", &["http://a.test", "https://b.test:1"], &[]),
        (
            "https://*",
            &["https://b.test"],
            &["http://b.test", "https://b.test:1"],
        ),
    ] {
        for url in allowed {
            assert_eq!(ask(&[rule], url, PUBLIC), Ok(()), "{rule}: {url}");
        }
        for url in denied {
            assert!(ask(&[rule], url, PUBLIC).is_err(), "{rule}: {url}");
        }
    }
}

#[test]
fn addresses_are_allowed_by_their_network() {
    let literal = |rule: &str, host: &str| ask(&[rule], &format!("http://{host}"), PUBLIC.trim());
    for (rule, host) in [
        ("10.0.0.0/8", "10.9.8.7"),
        ("10.9.8.7", "10.9.8.7"),
        ("http://127.0.0.1:9000", "127.0.0.1:9000"),
        ("[::1]:9000", "[::1]:9000"),
        ("::1", "[::1]:9000"),
        ("fd00::/8", "[fd12::1]"),
        ("169.254.169.254", "169.254.169.254"),
    ] {
        let uri: http::Uri = format!("http://{host}").parse().unwrap();
        let permit = rules(&[rule]).permit(
            PeerScheme::Http,
            uri.host().unwrap(),
            uri.port_u16().unwrap_or(80),
        );
        assert!(permit.is_ok(), "{rule}: {host}");
    }
    assert!(literal("10.0.0.0/8", "11.0.0.1").is_err());
    assert!(literal("http://127.0.0.1:9000", "127.0.0.1:9001").is_err());
    assert!(literal("*", "127.0.0.1").is_err());
    assert!(literal("*", "[::ffff:10.0.0.1]").is_err());
    assert!(literal("*", "1.1.1.1").is_ok());
}

#[test]
fn a_wildcard_does_not_name_what_is_inside() {
    for address in [
        "10.0.0.1",
        "127.0.0.1",
        "::1",
        "169.254.169.254",
        "fd00:ec2::254",
    ] {
        for rule in ["*", "*.test", "a.test", "http://a.test"] {
            assert!(
                ask(&[rule], "http://a.test", address).is_err(),
                "{rule}: {address}"
            );
        }
    }
    assert!(ask(&["*"], "http://localhost:9000", "127.0.0.1").is_err());
}

#[test]
fn no_network_reaches_a_metadata_service() {
    for (network, address) in [
        ("100.64.0.0/10", "100.100.100.200"),
        ("100.100.100.0/24", "100.100.100.200"),
        ("fd00::/8", "fd00:ec2::254"),
        ("fd00:ec2::/32", "fd00:ec2::23"),
        ("fd20::/16", "fd20:ce::254"),
        ("fd00:42::/32", "fd00:42::42"),
        ("169.254.0.0/16", "169.254.169.254"),
        ("168.63.0.0/16", "168.63.129.16"),
        ("0.0.0.0/0", "169.254.169.254"),
        ("0.0.0.0/0", "100.100.100.200"),
        ("0.0.0.0/0", "0.0.0.0"),
        ("::/0", "fd00:ec2::254"),
        ("::/0", "::ffff:169.254.169.254"),
        ("::/0", "64:ff9b::a9fe:a9fe"),
        ("64:ff9b::/96", "64:ff9b::a9fe:a9fe"),
    ] {
        let denial = literal(network, address).unwrap_err();
        assert!(denial.contains("metadata"), "{network}: {denial}");
        assert_eq!(literal(address, address), Ok(()));
    }
}

#[test]
fn a_network_that_holds_everything_names_nothing_that_is_inside() {
    for (network, address) in [
        ("0.0.0.0/0", "10.0.0.1"),
        ("0.0.0.0/1", "10.0.0.1"),
        ("0.0.0.0/0", "127.0.0.1"),
        ("192.0.0.0/8", "192.168.0.1"),
        ("::/0", "fd12::1"),
        ("::/0", "::1"),
        ("::/0", "::ffff:10.0.0.1"),
    ] {
        assert!(literal(network, address).is_err(), "{network}: {address}");
    }
    for (network, address) in [
        ("0.0.0.0/0", "1.1.1.1"),
        ("::/0", "2606:4700::1111"),
        ("10.0.0.0/8", "10.255.0.1"),
        ("10.1.0.0/16", "10.1.255.255"),
        ("172.16.0.0/12", "172.31.0.1"),
        ("192.168.0.0/16", "192.168.0.1"),
        ("100.64.0.0/10", "100.64.0.1"),
        ("fd00::/8", "fd12::1"),
        ("fc00::/7", "fd12::1"),
        ("127.0.0.0/8", "127.0.0.1"),
    ] {
        assert_eq!(literal(network, address), Ok(()), "{network}: {address}");
    }
}

/// Asks for an address itself.
fn literal(rule: &str, address: &str) -> Result<(), String> {
    let permit = rules(&[rule]).permit(PeerScheme::Socket, address, 443);
    permit.map(drop).map_err(|denial| denial.to_string())
}

#[test]
fn a_host_with_its_port_names_what_is_inside_but_not_this_machine() {
    assert!(
        ask(
            &["http://backend:8080"],
            "http://backend:8080",
            "172.18.0.3"
        )
        .is_ok()
    );
    assert!(ask(&["http://backend:8080"], "http://backend:8080", "127.0.0.1").is_err());
    assert!(
        ask(
            &["http://backend:8080"],
            "http://backend:8080",
            "169.254.169.254"
        )
        .is_err()
    );
    assert!(
        ask(
            &["http://localhost:9000"],
            "http://localhost:9000",
            "127.0.0.1"
        )
        .is_ok()
    );
    assert!(ask(&["http://localhost:9000"], "http://localhost:9000", "::1").is_ok());
    assert!(ask(&["*.test", "127.0.0.0/8"], "http://a.test", "127.0.0.1").is_ok());
    // A network alone is no reason to look a name up.
    assert!(ask(&["10.0.0.0/8"], "http://a.test", "10.0.0.1").is_err());
}

#[test]
fn a_denial_names_a_rule_that_would_have_allowed_it() {
    for (texts, url, address) in [
        (&[][..], "http://a.test", PUBLIC),
        (&["https://b.test"][..], "https://b.test:8443", PUBLIC),
        (&["*"][..], "http://localhost:9000", "127.0.0.1"),
        (&["*"][..], "http://a.test", "10.0.0.1"),
        (&["*"][..], "https://a.test", "169.254.169.254"),
        (&["*"][..], "http://a.test", "::1"),
        (&[][..], "http://127.0.0.1:1", "127.0.0.1"),
    ] {
        let denial = ask(texts, url, address).unwrap_err();
        let rule = denial.split("--allow-http ").nth(1).unwrap();
        let rule = rule.strip_suffix(" would").unwrap();
        let mut more = texts.to_vec();
        more.push(rule);
        assert_eq!(ask(&more, url, address), Ok(()), "{url}: {denial}");
    }
}

#[test]
fn what_is_no_rule_is_a_mistake() {
    for text in [
        "",
        "ftp://a.test",
        "a.test:0",
        "a.test:http",
        "a b",
        "*example.com",
        "a.*.test",
        "10.0.0.0/33",
        "http://",
        "https://a.test/path",
        "*.",
        "bücher.test",
        ".test",
    ] {
        assert!(Rule::parse(text).is_err(), "{text}");
    }
}

#[test]
fn rules_for_sockets_have_ports_and_no_scheme() {
    for text in ["db.test:5432", "10.0.0.0/8:53", "[::1]:53", "*:443"] {
        assert!(Rule::parse_for_sockets(text).is_ok(), "{text}");
    }
    for text in ["db.test", "http://db.test:80", "10.0.0.0/8", "*"] {
        assert!(Rule::parse_for_sockets(text).is_err(), "{text}");
    }
    let rules = rules(&["db.test:5432", "*.cache.test:6379", "10.0.0.1:53"]);
    for (name, allowed) in [
        ("db.test", true),
        ("DB.test.", true),
        ("a.cache.test", true),
        ("other.test", false),
        ("10.0.0.1", false),
        ("not a name", false),
    ] {
        assert_eq!(rules.name(name), allowed, "{name}");
    }
    let denial = rules.permit(PeerScheme::Socket, "fd00::1", 53).unwrap_err();
    assert!(
        denial
            .to_string()
            .ends_with("--allow-net [fd00::1]:53 would")
    );
}
