//! These tests read chains of proxies, honest and forged.

use super::*;

/// Trusts 10.0.0.0/8, 127.0.0.1 and fd00::/8.
fn ours() -> Proxies {
    let networks = ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"];
    Proxies {
        networks: networks.map(|text| text.parse().unwrap()).to_vec(),
        ..Proxies::default()
    }
}

fn everybody() -> Proxies {
    Proxies {
        all: true,
        ..Proxies::default()
    }
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn claims(fields: &[(&'static str, &str)], proxies: &Proxies) -> Claims {
    read(&mut headers(fields), proxies)
}

fn client_of(fields: &[(&'static str, &str)]) -> String {
    let claims = claims(fields, &ours());
    claims
        .client
        .map_or("none".to_owned(), |client| client.to_string())
}

const FOR: &str = "x-forwarded-for";
const PROTO: &str = "x-forwarded-proto";
const HOST: &str = "x-forwarded-host";

#[test]
fn the_client_is_the_last_node_that_is_not_trusted() {
    for (chain, expected) in [
        ("192.0.2.1", "192.0.2.1:0"),
        ("192.0.2.1, 10.1.1.1", "192.0.2.1:0"),
        ("192.0.2.1,10.1.1.1 ,  127.0.0.1", "192.0.2.1:0"),
        ("198.51.100.9, 192.0.2.1, 10.1.1.1", "192.0.2.1:0"),
        ("10.9.9.9, 192.0.2.1", "192.0.2.1:0"),
        ("10.9.9.9, 10.1.1.1", "10.9.9.9:0"),
        ("192.0.2.1:4711", "192.0.2.1:4711"),
        ("2001:db8::1, fd00::1", "[2001:db8::1]:0"),
        ("[2001:db8::1]:80, [fd00::1]:81", "[2001:db8::1]:80"),
        ("192.0.2.1, unknown", "unknown"),
        ("192.0.2.1, not an address, 10.1.1.1", "unknown"),
        (" , ,192.0.2.1,,", "192.0.2.1:0"),
        ("\u{e4}, 10.1.1.1", "unknown"),
        ("\u{e4}, 192.0.2.1, 10.1.1.1", "192.0.2.1:0"),
        ("\u{e4}10.9.9.9, 10.1.1.1", "unknown"),
        ("", "none"),
    ] {
        assert_eq!(client_of(&[(FOR, chain)]), expected, "{chain}");
    }
}

#[test]
fn several_fields_are_one_list() {
    let fields = [(FOR, "198.51.100.9"), (FOR, "192.0.2.1"), (FOR, "10.1.1.1")];
    assert_eq!(client_of(&fields), "192.0.2.1:0");
}

#[test]
fn where_everybody_is_trusted_the_first_is_the_client() {
    let fields = [(FOR, "192.0.2.1, 198.51.100.9"), (PROTO, "https")];
    let claims = claims(&fields, &everybody());
    assert_eq!(claims.client.unwrap().to_string(), "192.0.2.1:0");
    assert_eq!(claims.scheme, Some(Scheme::HTTPS));
}

#[test]
fn the_scheme_is_the_one_of_the_same_hop() {
    for (chain, proto, expected) in [
        ("192.0.2.1", "https", Some(Scheme::HTTPS)),
        ("192.0.2.1", "HTTP", Some(Scheme::HTTP)),
        ("192.0.2.1", "wss", Some(Scheme::HTTPS)),
        ("192.0.2.1", "gopher", None),
        ("192.0.2.1, 10.1.1.1", "https, http", Some(Scheme::HTTPS)),
        // A client that sends its own is as far to the left as its forged address.
        ("1.1.1.1, 192.0.2.1", "https, http", Some(Scheme::HTTP)),
        ("192.0.2.1", "https, http", Some(Scheme::HTTP)),
        ("1.1.1.1, 192.0.2.1", "https", Some(Scheme::HTTPS)),
    ] {
        let claims = claims(&[(FOR, chain), (PROTO, proto)], &ours());
        assert_eq!(claims.scheme, expected, "{chain} {proto}");
    }
    assert_eq!(
        claims(&[(PROTO, "https")], &ours()).scheme,
        Some(Scheme::HTTPS)
    );
}

#[test]
fn a_host_is_believed_if_it_is_one() {
    let host = |text| {
        claims(&[(HOST, text)], &ours())
            .authority
            .map(|host| host.to_string())
    };
    for text in ["example.com", "example.com:8443", "[2001:db8::1]:80"] {
        assert_eq!(host(text).as_deref(), Some(text));
    }
    for text in ["a@b", "a b", "a/b", "http://a", ":80", "[::1", ""] {
        assert_eq!(host(text), None, "{text}");
    }
    assert_eq!(
        host("forged.example, real.example").as_deref(),
        Some("real.example")
    );
}

#[test]
fn forwarded_is_followed_alike() {
    for (chain, expected) in [
        ("for=192.0.2.1", "192.0.2.1:0"),
        ("For=\"192.0.2.1:4711\"", "192.0.2.1:4711"),
        (
            "for=\"[2001:db8::1]:4711\", for=\"[fd00::1]\"",
            "[2001:db8::1]:4711",
        ),
        ("for=\"[2001:db8::1]\"", "[2001:db8::1]:0"),
        (
            "for=1.1.1.1, for=192.0.2.1;by=10.0.0.1, for=10.1.1.1",
            "192.0.2.1:0",
        ),
        ("for=192.0.2.1, for=unknown", "unknown"),
        ("for=192.0.2.1, for=_secret, for=10.1.1.1", "unknown"),
        ("for=192.0.2.1, proto=https", "unknown"),
        ("for=\"192.0.2.1, for=10.1.1.1", "unknown"),
        ("for=\"1.1.1.1\\, for=192.0.2.1", "192.0.2.1:0"),
    ] {
        assert_eq!(client_of(&[("forwarded", chain)]), expected, "{chain}");
    }
}

#[test]
fn the_proxy_that_met_the_client_tells_scheme_and_host() {
    let chain = "for=1.1.1.1;proto=http;host=forged, for=192.0.2.1;proto=https;host=\"a.b:8443\", \
                 for=10.1.1.1;proto=http;host=inner";
    let claims = claims(&[("forwarded", chain)], &ours());
    assert_eq!(claims.scheme, Some(Scheme::HTTPS));
    assert_eq!(claims.authority.unwrap(), "a.b:8443");
    let chain = "for=192.0.2.1, for=10.1.1.1;proto=https;host=outer";
    let claims = self::claims(&[("forwarded", chain)], &ours());
    assert_eq!(claims.scheme, Some(Scheme::HTTPS));
    assert_eq!(claims.authority.unwrap(), "outer");
}

#[test]
fn what_strangers_wrote_is_cut_off() {
    let mut fields = headers(&[
        (FOR, "6.6.6.6, 192.0.2.1, 10.1.1.1"),
        (PROTO, "gopher, https, http"),
        (HOST, "forged, real"),
    ]);
    read(&mut fields, &ours());
    assert_eq!(fields[FOR], "192.0.2.1, 10.1.1.1");
    assert_eq!(fields[PROTO], "https, http");
    assert_eq!(fields[HOST], "real");
    let mut fields = headers(&[("forwarded", "for=6.6.6.6"), ("forwarded", "for=192.0.2.1")]);
    read(&mut fields, &ours());
    assert_eq!(fields["forwarded"], "for=192.0.2.1");
    assert_eq!(fields.get_all("forwarded").iter().count(), 1);
}

#[test]
fn a_chain_of_our_own_is_left_as_it_is() {
    let mut fields = headers(&[(FOR, "192.0.2.1,10.1.1.1"), (FOR, "10.2.2.2")]);
    read(&mut fields, &ours());
    assert_eq!(fields[FOR], "192.0.2.1,10.1.1.1");
    assert_eq!(fields.get_all(FOR).iter().count(), 2);
}

#[test]
fn a_forwarded_field_beside_the_others_is_not_believed() {
    let mut fields = headers(&[
        ("forwarded", "for=6.6.6.6;proto=https;host=forged"),
        (FOR, "192.0.2.1"),
    ]);
    let claims = read(&mut fields, &ours());
    assert_eq!(claims.client.unwrap().to_string(), "192.0.2.1:0");
    assert_eq!((claims.scheme, claims.authority), (None, None));
    assert!(!fields.contains_key("forwarded"));
}
