//! TLS as real clients speak it.

use crate::harness::certificates::{Authority, Pair};
use crate::harness::{Connection, Server, curl, guest, s_client, secure, send, wasmserve};
use nix::sys::signal::Signal;
use rcgen::date_time_ymd;
use std::process::{Command, Stdio};

#[test]
fn clients_choose_their_version_of_http() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["a.test"]);
    let server = secure(&pair, &[]);
    server.wait_for("running on https://");
    let answer = curl(&server, &authority, "a.test", &["--http2"]);
    assert!(answer.ends_with("2 200"), "{answer}");
    let seen = format!("authority a.test:{}\n", server.address.port());
    assert!(answer.contains(&seen), "{answer}");
    assert!(answer.contains("scheme Some(Scheme::Https)\n"), "{answer}");
    let answer = curl(&server, &authority, "a.test", &["--http1.1"]);
    assert!(answer.ends_with("1.1 200"), "{answer}");
    let only = secure(&pair, &["--http", "1"]);
    let answer = curl(&only, &authority, "a.test", &["--http2"]);
    assert!(answer.ends_with("1.1 200"), "{answer}");
}

#[test]
fn both_versions_of_tls_are_spoken_unless_only_one_is_wanted() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["a.test"]);
    let server = secure(&pair, &[]);
    for version in ["-tls1_2", "-tls1_3"] {
        let said = s_client(&server, &[version, "-alpn", "h3,http/1.1"]);
        assert!(said.contains("ALPN protocol: http/1.1"), "{said}");
        // All that some old clients speak.
        let said = s_client(&server, &[version, "-alpn", "http/1.0"]);
        assert!(said.contains("ALPN protocol: http/1.0"), "{said}");
    }
    let newer = secure(&pair, &["--ssl-min-version", "1.3"]);
    assert!(s_client(&newer, &["-tls1_2"]).contains("alert protocol version"));
}

#[test]
fn the_certificate_is_chosen_by_name() {
    let authority = Authority::new();
    let first = authority.issue("first", &["a.test"]);
    let second = authority.issue("second", &["b.test", "*.c.test"]);
    let more = [
        "--ssl-certfile",
        &second.certificate,
        "--ssl-keyfile",
        &second.key,
    ];
    let server = secure(&first, &more);
    for name in ["a.test", "b.test", "x.c.test"] {
        let answer = curl(&server, &authority, name, &[]);
        assert!(answer.ends_with(" 200"), "{name}: {answer}");
    }
    let answer = curl(&server, &authority, "d.test", &[]);
    assert!(
        answer.contains("does not match") || answer.contains("no alternative"),
        "{answer}"
    );
}

#[test]
fn clients_show_certificates_where_that_is_wanted() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["a.test"]);
    let client = authority.issue("client", &["client.test"]);
    let stranger = Authority::new().issue("stranger", &["client.test"]);
    let ca = authority.file();
    let with = |pair: &Pair| {
        vec![
            "--cert".to_owned(),
            pair.certificate.clone(),
            "--key".to_owned(),
            pair.key.clone(),
        ]
    };
    let status = |server: &Server, options: &[String]| {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        curl(server, &authority, "a.test", &options).ends_with(" 200")
    };
    let required = secure(&pair, &["--ssl-ca-certs", &ca]);
    assert!(status(&required, &with(&client)));
    assert!(!status(&required, &[]));
    assert!(!status(&required, &with(&stranger)));
    let optional = secure(
        &pair,
        &["--ssl-ca-certs", &ca, "--ssl-client-auth", "optional"],
    );
    assert!(status(&optional, &with(&client)));
    assert!(status(&optional, &[]));
}

#[test]
fn keys_of_every_form_are_read() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["a.test"]);
    let directory = std::path::Path::new(&pair.key).parent().unwrap();
    let openssl = |arguments: &[&str]| {
        let status = Command::new("openssl")
            .args(arguments)
            .current_dir(directory)
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "{arguments:?}");
    };
    openssl(&["ec", "-in", "server.key", "-out", "sec1.key"]);
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "rsa.key",
        "-out",
        "rsa.pem",
        "-subj",
        "/CN=a.test",
        "-addext",
        "subjectAltName=DNS:a.test",
        "-days",
        "2",
    ]);
    openssl(&["rsa", "-in", "rsa.key", "-traditional", "-out", "pkcs1.key"]);
    let file = |name: &str| directory.join(name).display().to_string();
    let text = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    assert!(text("sec1.key").contains("BEGIN EC PRIVATE KEY"));
    assert!(text("pkcs1.key").contains("BEGIN RSA PRIVATE KEY"));
    for (certificate, key) in [("server.pem", "sec1.key"), ("rsa.pem", "pkcs1.key")] {
        let pair = Pair {
            certificate: file(certificate),
            key: file(key),
        };
        assert!(
            s_client(&secure(&pair, &[]), &[]).contains("Cipher is TLS_"),
            "{key}"
        );
    }
    let both = authority.write("both.pem", &(text("server.pem") + &text("server.key")));
    let server = Server::component(guest("behaviours"))
        .option("--ssl-certfile", &both)
        .start();
    assert!(curl(&server, &authority, "a.test", &[]).ends_with(" 200"));
}

#[test]
fn a_reload_takes_new_certificates_and_a_bad_one_keeps_the_old() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["a.test"]);
    let server = secure(&pair, &["--workers", "2"]);
    assert!(curl(&server, &authority, "a.test", &[]).ends_with(" 200"));
    authority.issue("server", &["b.test"]);
    server.signal(Signal::SIGHUP);
    server.wait_for_count("replaced by a reload", 2);
    assert!(curl(&server, &authority, "b.test", &[]).ends_with(" 200"));
    assert!(!curl(&server, &authority, "a.test", &[]).ends_with(" 200"));
    authority.write("server.pem", "nonsense");
    server.signal(Signal::SIGHUP);
    let line = server.wait_for("option --ssl-certfile");
    assert!(
        line.contains("server.pem") && line.contains("PEM"),
        "{line}"
    );
    assert!(curl(&server, &authority, "b.test", &[]).ends_with(" 200"));
}

/// Guards against a supervisor that waits for ever for whoever writes into its certificate.
#[test]
fn a_fifo_in_the_place_of_a_certificate_fails_a_reload_at_once() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["a.test"]);
    let server = secure(&pair, &["--workers", "2"]);
    for (file, option) in [
        (&pair.certificate, "option --ssl-certfile"),
        (&pair.key, "option --ssl-keyfile"),
    ] {
        std::fs::rename(file, format!("{file}.kept")).unwrap();
        let made = Command::new("mkfifo").arg(file).status().unwrap();
        assert!(made.success());
        server.signal(Signal::SIGHUP);
        let line = server.wait_for(option);
        assert!(line.contains("a FIFO"), "{line}");
        std::fs::rename(format!("{file}.kept"), file).unwrap();
        assert!(curl(&server, &authority, "a.test", &[]).ends_with(" 200"));
    }
    server.signal(Signal::SIGHUP);
    server.wait_for_count("replaced by a reload", 2);
}

#[test]
fn a_session_is_resumed_by_any_worker() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["a.test"]);
    let server = secure(&pair, &["--workers", "4"]);
    let session = authority.write("session", "");
    for version in ["-tls1_2", "-tls1_3"] {
        s_client(&server, &[version, "-sess_out", &session]);
        let said: Vec<bool> = (0..8)
            .map(|_| s_client(&server, &[version, "-sess_in", &session]).contains("Reused, "))
            .collect();
        assert_eq!(said, [true; 8], "{version}");
    }
}

#[test]
fn a_slow_handshake_holds_nobody_up_and_ends() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["a.test"]);
    let server = secure(&pair, &["--timeout-handshake", "2s"]);
    let mut slow: Vec<Connection> = (0..50).map(|_| server.connect()).collect();
    for connection in &mut slow {
        connection.write([0x16, 3, 1]).unwrap();
    }
    assert!(curl(&server, &authority, "a.test", &[]).ends_with(" 200"));
    for connection in &mut slow {
        assert_eq!(connection.rest().unwrap_or_default(), b"");
    }
}

#[test]
fn plain_http_on_a_tls_port_is_told_so() {
    let authority = Authority::new();
    let server = secure(&authority.issue("server", &["a.test"]), &[]);
    let answer = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    server.wait_for("plain HTTP");
}

#[test]
fn mistakes_with_certificates_are_told_before_anything_serves() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["a.test"]);
    let other = authority.issue("other", &["a.test"]);
    let nonsense = authority.write("nonsense.pem", "nonsense");
    let encrypted = authority.write(
        "encrypted.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let with = |certificate: &str, key: &str| -> String {
        let mut command = wasmserve();
        command.args([
            &guest("behaviours"),
            "--port",
            "0",
            "--ssl-certfile",
            certificate,
            "--ssl-keyfile",
            key,
        ]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{certificate} {key}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        said
    };
    let missing = with("missing.pem", &pair.key);
    assert!(
        missing.contains("--ssl-certfile") && missing.contains("`missing.pem`"),
        "{missing}"
    );
    assert!(with(&nonsense, &pair.key).contains("no certificate in PEM form"));
    assert!(with(&pair.certificate, &nonsense).contains("no private key in PEM form"));
    assert!(with(&pair.certificate, &other.key).contains("is not the key of"));
    assert!(with(&pair.certificate, &encrypted).contains("openssl pkey"));
    let mut keys_only = wasmserve();
    keys_only.args([&guest("behaviours"), "--ssl-keyfile", &pair.key]);
    let output = keys_only.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--ssl-certfile"));
}

#[test]
fn an_expired_certificate_is_served_with_a_warning() {
    let authority = Authority::new();
    let pair = authority.issue_with("old", &["a.test"], |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let server = secure(&pair, &[]);
    assert!(
        server.printed().contains("it has expired"),
        "{}",
        server.printed()
    );
    assert!(curl(&server, &authority, "a.test", &["--insecure"]).ends_with(" 200"));
}
