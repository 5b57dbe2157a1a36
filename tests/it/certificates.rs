//! Which certificate is shown to whom, and which keys are taken.

use crate::harness::certificates::{Authority, Pair};
use crate::harness::{Server, curl, finished, guest, s_client, secure, wasmserve};
use std::path::Path;
use std::process::Command;

/// Whether a server that is asked for this name shows this certificate.
fn shows(server: &Server, name: &str, pair: &Pair) -> bool {
    let without_blanks = |text: &str| text.split_whitespace().collect::<String>();
    let pem = without_blanks(&std::fs::read_to_string(&pair.certificate).unwrap());
    let shown = s_client(server, &["-servername", name]);
    without_blanks(&shown).contains(&pem)
}

/// The first pair that matched was taken before the more specific one.
#[test]
fn the_most_specific_certificate_is_shown_whatever_the_order() {
    let authority = Authority::new();
    let other = authority.issue("other", &["z.test"]);
    let wild = authority.issue("wild", &["*.a.test"]);
    let very = authority.issue("very", &["x.a.test"]);
    for [first, second, third] in [
        [&other, &wild, &very],
        [&very, &other, &wild],
        [&wild, &very, &other],
    ] {
        let more = [second, third].map(|pair| {
            [
                "--ssl-certfile",
                &pair.certificate,
                "--ssl-keyfile",
                &pair.key,
            ]
        });
        let server = secure(first, more.as_flattened());
        for (name, pair) in [
            ("x.a.test", &very),
            ("X.A.TEST", &very),
            ("y.a.test", &wild),
            ("z.test", &other),
            // A wildcard stands for one label (RFC 6125 section 6.4.3), and the first pair for what matches none.
            ("b.y.a.test", first),
            ("a.test", first),
        ] {
            assert!(shows(&server, name, pair), "{name}");
        }
        let answer = curl(&server, &authority, "x.a.test", &[]);
        assert!(answer.ends_with(" 200"), "{answer}");
    }
}

/// Runs openssl beside the certificates.
fn openssl(authority: &Authority, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    let file = authority.file();
    command.current_dir(Path::new(&file).parent().unwrap());
    let output = command.args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

#[test]
fn keys_of_p_521_are_refused_by_name_and_authorities_may_have_them() {
    let authority = Authority::new();
    let file = |name: &str| {
        let beside = authority.file();
        let directory = Path::new(&beside).parent().unwrap();
        directory.join(name).display().to_string()
    };
    let ec = |curve: &str, name: &str| {
        let curve = format!("ec_paramgen_curve:{curve}");
        let arguments = [
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            &curve,
            "-out",
            name,
        ];
        openssl(&authority, &arguments);
    };
    ec("P-521", "large.key");
    let signed = [
        "req",
        "-x509",
        "-key",
        "large.key",
        "-out",
        "large.pem",
        "-days",
        "2",
    ];
    openssl(&authority, &[&signed[..], &["-subj", "/CN=large"]].concat());
    openssl(
        &authority,
        &["ec", "-in", "large.key", "-out", "large-sec1.key"],
    );
    for key in ["large.key", "large-sec1.key"] {
        let (certificate, key) = (file("large.pem"), file(key));
        let mut command = wasmserve();
        command.arg(guest("behaviours")).args(["--port", "0"]);
        command.args(["--ssl-certfile", &certificate, "--ssl-keyfile", &key]);
        let output = finished(command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("P-521") && said.contains(&key), "{said}");
    }
    // What such a key has signed is served: only its client has to check that.
    ec("P-256", "leaf.key");
    openssl(
        &authority,
        &[
            "req",
            "-new",
            "-key",
            "leaf.key",
            "-out",
            "leaf.csr",
            "-subj",
            "/CN=a.test",
        ],
    );
    authority.write("names", "subjectAltName=DNS:a.test");
    let signed = [
        "x509",
        "-req",
        "-in",
        "leaf.csr",
        "-CA",
        "large.pem",
        "-CAkey",
        "large.key",
    ];
    let more = [
        "-CAcreateserial",
        "-extfile",
        "names",
        "-days",
        "1",
        "-out",
        "leaf.pem",
    ];
    openssl(&authority, &[&signed[..], &more].concat());
    let pair = Pair {
        certificate: file("leaf.pem"),
        key: file("leaf.key"),
    };
    let server = secure(&pair, &[]);
    let verified = s_client(
        &server,
        &["-CAfile", &file("large.pem"), "-servername", "a.test"],
    );
    assert!(
        verified.contains("Verify return code: 0 (ok)"),
        "{verified}"
    );
    assert!(verified.contains("HTTP/1.1 200 OK"), "{verified}");
}
