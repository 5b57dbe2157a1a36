//! Behind a proxy, and before one: who is believed, and what is added to heads.

use crate::harness::{Connection, Response, Server, get, guest, send};

fn start(arguments: &[&str]) -> Server {
    Server::component(guest("behaviours"))
        .args(arguments)
        .start()
}

/// What the guest sees of a request with these fields.
fn seen(server: &Server, fields: &str) -> String {
    ask(server, "/request", fields).text()
}

fn ask(server: &Server, path: &str, fields: &str) -> Response {
    let mut connection = server.connect();
    let request = connection.get(path).host("direct").lines(fields);
    request.response().unwrap()
}

#[track_caller]
fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            text.lines().any(|known| known == *line),
            "no `{line}` in:\n{text}"
        );
    }
}

const SPOOFED: &str = "X-Forwarded-For: 203.0.113.66\r\nX-Forwarded-Proto: https\r\n\
                       X-Forwarded-Host: evil.example\r\nX-Forwarded-Port: 666\r\n\
                       X-Forwarded-Prefix: /evil\r\nX-Real-IP: 203.0.113.66\r\n\
                       X_Forwarded_For: 203.0.113.66\r\nX-Request-Id: evil\r\n\
                       Forwarded: for=203.0.113.66;proto=https;host=evil.example\r\n";

#[test]
fn a_proxy_on_this_machine_is_believed() {
    let server = start(&[]);
    let seen = seen(
        &server,
        "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example:8443\r\n",
    );
    has(
        &seen,
        &[
            "scheme Some(Scheme::Https)",
            "authority a.example:8443",
            "header x-forwarded-for: 192.0.2.7",
        ],
    );
    server.wait_for("INFO:     192.0.2.7:0 - \"GET /request HTTP/1.1\" 200 OK");
}

#[test]
fn forwarded_is_believed_too() {
    let server = start(&[]);
    let seen = seen(
        &server,
        "Forwarded: for=\"[2001:db8::7]:4711\";proto=https;host=a.example\r\n",
    );
    has(
        &seen,
        &["scheme Some(Scheme::Https)", "authority a.example"],
    );
    server.wait_for("[2001:db8::7]:4711 - \"GET /request HTTP/1.1\" 200 OK");
}

#[test]
fn what_a_client_forges_behind_a_trusted_proxy_is_cut_off() {
    let server = start(&[]);
    let seen = seen(
        &server,
        "X-Forwarded-For: 203.0.113.66, 192.0.2.7\r\nX-Forwarded-Proto: https, http\r\n\
         X_Forwarded_For: 203.0.113.66\r\n",
    );
    has(
        &seen,
        &[
            "scheme Some(Scheme::Http)",
            "header x-forwarded-for: 192.0.2.7",
            "header x-forwarded-proto: http",
        ],
    );
    assert!(!seen.contains("203.0.113.66"), "{seen}");
    server.wait_for("192.0.2.7:0 - \"GET /request");
}

#[test]
fn a_stranger_is_not_believed_and_leaves_no_trace() {
    for arguments in [
        &["--host", "::1"][..],
        &["--forwarded-allow-ips", "192.0.2.0/24,unix"],
        &["--forwarded-allow-ips", ""],
        &["--no-proxy-headers", "--forwarded-allow-ips", "*"],
    ] {
        let server = start(arguments);
        let seen = seen(&server, SPOOFED);
        has(&seen, &["scheme Some(Scheme::Http)", "authority direct"]);
        for forged in ["203.0.113.66", "evil", "forwarded", "real-ip"] {
            assert!(!seen.contains(forged), "{arguments:?} {forged}:\n{seen}");
        }
        let line = server.wait_for("GET /request");
        assert!(!line.contains("203.0.113.66"), "{line}");
    }
}

#[test]
fn everybody_can_be_trusted() {
    let server = start(&["--host", "::1", "--forwarded-allow-ips", "*"]);
    let seen = seen(&server, SPOOFED);
    has(
        &seen,
        &["scheme Some(Scheme::Https)", "authority evil.example"],
    );
    server.wait_for("203.0.113.66:0 - \"GET /request");
}

#[test]
fn the_list_of_proxies_is_taken_from_where_uvicorn_takes_it() {
    let server = Server::component(guest("behaviours"))
        .arg("--host=::1")
        .env("FORWARDED_ALLOW_IPS", "10.0.0.1, ::1")
        .start();
    seen(&server, "X-Forwarded-For: 192.0.2.7, 10.0.0.1\r\n");
    server.wait_for("192.0.2.7:0 - \"GET /request");
}

#[test]
fn the_root_path_is_not_the_guests_business() {
    let server = start(&["--root-path", "/api/"]);
    for (path, expected) in [
        ("/api/request/x?y=z", "path /request/x?y=z"),
        ("/request/apix", "path /request/apix"),
    ] {
        let text = ask(&server, path, "").text();
        has(&text, &[expected, "header x-forwarded-prefix: /api"]);
    }
    // The log tells what the client asked for.
    server.wait_for("\"GET /api/request/x?y=z HTTP/1.1\" 200 OK");
    assert_eq!(get(server.address, "/api").text(), "ok\n");
    assert_eq!(get(server.address, "/apix").text(), "ok\n");
}

#[test]
fn headers_are_added_to_every_response() {
    let server = start(&[
        "--header", "X-A: one", "--header", "X-A: two", "--header", "X-B:b",
    ]);
    for (path, status) in [("/", 200), ("/trap-before-head", 500)] {
        let response = get(server.address, path);
        assert_eq!(response.status, status);
        let all: Vec<&str> = response
            .headers
            .iter()
            .filter(|(name, _)| name == "x-a")
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(
            (all, response.header("x-b")),
            (vec!["one", "two"], Some("b"))
        );
        assert_eq!(response.header("server"), Some("wasmserve"));
        assert!(response.header("date").is_some());
    }
}

#[test]
fn answers_to_what_was_no_request_have_them_too() {
    let server = start(&["--header", "X-A: one", "--no-date-header"]);
    let answer = send(server.address, "GET / HTTP/1.1\r\n\r\n");
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{answer}"
    );
    for line in ["\r\nx-a: one\r\n", "\r\nserver: wasmserve\r\n"] {
        assert!(answer.contains(line), "{answer}");
    }
    assert!(!answer.contains("\r\ndate:"), "{answer}");
}

#[test]
fn whoever_may_open_our_unix_socket_is_trusted_if_told_so() {
    for (arguments, expected) in [
        (&[][..], "scheme Some(Scheme::Http)"),
        (
            &["--forwarded-allow-ips", "unix"],
            "scheme Some(Scheme::Https)",
        ),
    ] {
        let name = format!("wasmserve-front-{}-{}", std::process::id(), arguments.len());
        let path = std::env::temp_dir().join(name);
        let server = Server::component(guest("behaviours"))
            .option("--uds", &path)
            .args(arguments)
            .without_port()
            .start();
        let mut connection = Connection::open(path.as_path());
        connection
            .get("/request")
            .header("X-Forwarded-Proto", "https")
            .send()
            .unwrap();
        has(&connection.response().unwrap().text(), &[expected]);
        drop(server);
        let _ = std::fs::remove_file(path);
    }
}

#[test]
fn the_guests_word_on_server_counts_and_ours_can_be_left_out() {
    let server = start(&[]);
    let response = get(server.address, "/respond?header=Server:mine&body=x");
    let servers = response.headers.iter().filter(|(name, _)| name == "server");
    assert_eq!(servers.count(), 1);
    assert_eq!(response.header("server"), Some("mine"));

    let server = start(&["--no-server-header", "--no-date-header", "--no-request-id"]);
    let response = get(server.address, "/respond?body=x");
    let names: Vec<&str> = response
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["content-length"]);
}

#[test]
fn guests_see_the_operators_fields_and_not_the_clients() {
    let server = start(&[
        "--request-header",
        "X-Tenant: ours",
        "--client-header",
        "X-Client-Address",
    ]);
    let seen = seen(
        &server,
        "X-Tenant: theirs\r\nX-Tenant: again\r\nX-Client-Address: 6.6.6.6\r\n",
    );
    has(
        &seen,
        &[
            "header x-tenant: ours",
            "header x-client-address: 127.0.0.1",
        ],
    );
    assert!(!seen.contains("theirs") && !seen.contains("again") && !seen.contains("6.6.6.6"));
}

#[test]
fn every_request_has_a_name() {
    let server = start(&["--workers", "2"]);
    let mut known = std::collections::HashSet::new();
    for _ in 0..20 {
        let response = ask(&server, "/request", "");
        let id = response.header("x-request-id").unwrap().to_owned();
        assert_eq!(id.len(), 32);
        has(&response.text(), &[&format!("header x-request-id: {id}")]);
        assert!(known.insert(id), "an id was made twice");
    }
    let failed = ask(
        &server,
        "/trap-before-head",
        "X-Request-Id: from-proxy.1\r\n",
    );
    assert_eq!(failed.header("x-request-id"), Some("from-proxy.1"));
    server.wait_for("\"GET /trap-before-head\" [from-proxy.1]: the guest trapped");
}

#[test]
fn no_field_can_be_taken_for_an_operators_or_for_a_variable_of_cgi() {
    let server = start(&[
        "--client-header",
        "X-Client",
        "--request-header",
        "X-User:operator",
    ]);
    let seen = seen(
        &server,
        "X_Client: 6.6.6.6\r\nX_User: admin\r\nContent_Type: evil/x\r\nContent_Length: 9\r\n\
         X_Other: kept\r\n",
    );
    has(
        &seen,
        &[
            "header x-client: 127.0.0.1",
            "header x-user: operator",
            "header x_other: kept",
        ],
    );
    for forged in ["6.6.6.6", "admin", "evil", "content_"] {
        assert!(!seen.contains(forged), "{forged}:\n{seen}");
    }
}
