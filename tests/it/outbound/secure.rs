//! Guests that ask over TLS: whom they believe, and by which protocol. The server that they ask is
//! another wasmserve.

use super::{BOTH, ask, serve};
use crate::harness::certificates::Authority;
use crate::harness::{Server, guest};

/// A server of `names` that speaks TLS, and the authority that vouches for it.
fn secure(names: &[&str]) -> (Server, Authority) {
    let authority = Authority::new();
    let pair = authority.issue("server", names);
    let server = Server::component(guest("behaviours"))
        .certificate(&pair)
        .start();
    (server, authority)
}

#[test]
fn tls_is_spoken_with_those_whom_the_authority_vouches_for() {
    let (upstream, authority) = secure(&["localhost"]);
    let (impostor, _other) = secure(&["localhost"]);
    let (port, other) = (upstream.address.port(), impostor.address.port());
    for name in BOTH {
        let local = format!("https://localhost:{port}");
        let server = serve(
            name,
            &[
                "--allow-http",
                &local,
                "--allow-http",
                "127.0.0.1",
                "--outbound-ca",
                &authority.file(),
                "--allow-http",
                &format!("https://localhost:{other}"),
            ],
        );
        let said = ask(&server, &format!("scheme=https&authority=localhost:{port}"));
        assert!(said.starts_with("status 200\n"), "{name}: {said}");
        assert!(said.ends_with("length 3\nok\n\n"), "{name}: {said:?}");
        // Another name, and another authority.
        for asked in [format!("127.0.0.1:{port}"), format!("localhost:{other}")] {
            let said = ask(&server, &format!("scheme=https&authority={asked}"));
            assert!(
                said.contains("TlsCertificateError"),
                "{name}, {asked}: {said}"
            );
        }
        // Without TLS there is no rule for it.
        let said = ask(&server, &format!("scheme=http&authority=localhost:{port}"));
        assert!(said.contains("HttpRequestDenied"), "{name}: {said}");
        // Whom the system does not know.
        let server = serve(name, &["--allow-http", &local]);
        let said = ask(&server, &format!("scheme=https&authority=localhost:{port}"));
        assert!(said.contains("TlsCertificateError"), "{name}: {said}");
    }
}

#[test]
fn http_2_is_spoken_where_the_server_chooses_it_and_shared() {
    let (upstream, authority) = secure(&["localhost"]);
    let authority_of = format!("localhost:{}", upstream.address.port());
    let rule = format!("https://{authority_of}");
    let server = serve(
        "behaviours",
        &["--allow-http", &rule, "--outbound-ca", &authority.file()],
    );
    let said = ask(
        &server,
        &format!("scheme=https&authority={authority_of}&path=/request&times=5"),
    );
    assert_eq!(said.matches("status 200\n").count(), 5, "{said}");
    assert_eq!(
        said.matches(&format!("authority {authority_of}\n")).count(),
        5,
        "{said}"
    );
    let posted = ask(
        &server,
        &format!("scheme=https&authority={authority_of}&path=/request&method=POST&send=100000"),
    );
    assert!(posted.contains("\nbody 100000\n"), "{posted}");
    upstream.wait_for_count("HTTP/2", 6);
    let printed = upstream.printed();
    let mut ports: Vec<&str> = printed
        .lines()
        .filter(|line| line.contains("/request"))
        .filter_map(|line| line.split(" - ").next())
        .collect();
    ports.dedup();
    assert!(ports.len() <= 5, "{printed}");
}
