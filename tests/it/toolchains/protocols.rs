//! What clients do comes to the same in each version of HTTP, for the guests of each language.

use super::{built, place};
use crate::harness::certificates::Authority;
use crate::harness::{Server, guest};
use std::path::Path;
use std::process::Command;

/// HTTP/1.1, and HTTP/2 in clear text and over TLS.
const PROTOCOLS: [&[&str]; 3] = [
    &["--http1.1"],
    &["--http2-prior-knowledge"],
    &["--http2", "--insecure"],
];

/// What is asked, as curl's options; `{big}` is a file of a megabyte.
const ASKED: [(&str, &[&str]); 12] = [
    ("/", &[]),
    ("/", &["--head"]),
    ("/nowhere?a=%00&b=%2F", &["--head"]),
    ("/", &["--cookie", "a=1", "--header", "cookie: b=2"]),
    ("/", &["--header", "x-in: lev\u{e9}"]),
    (
        "/",
        &["--header", "content_length: 9", "--header", "x_a: 1"],
    ),
    ("//a/../b/./c%2Fd", &["--path-as-is"]),
    ("/", &["--data-binary", "{big}"]),
    (
        "/",
        &["--data-binary", "{big}", "--header", "expect: 100-continue"],
    ),
    ("/echo", &["--data-binary", "{big}"]),
    ("/", &["--request", "PROPFIND"]),
    ("/", &["--request", "TRACE"]),
];

/// Whether curl had a whole answer, its status and how long its body is.
fn asked(server: &Server, scheme: &str, options: &[&str], big: &Path, path: &str) -> String {
    let options = options
        .iter()
        .map(|option| option.replace("{big}", &format!("@{}", big.display())));
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "60", "--output", "/dev/null"])
        .args(["--write-out", "%{exitcode} %{http_code} %{size_download}"])
        .args(options)
        .arg(format!("{scheme}://{}{path}", server.address))
        .output()
        .expect("curl is there");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_protocol_and_language_has_an_answer() {
    let big = place("protocols").join("big");
    std::fs::write(&big, "x".repeat(1 << 20)).unwrap();
    let authority = Authority::new();
    let pair = authority.issue("server", &["localhost"]);
    let tls = [
        "--ssl-certfile",
        &pair.certificate,
        "--ssl-keyfile",
        &pair.key,
    ];
    let mut guests = vec![guest("behaviours")];
    let samples = ["guests/go/server", "guests/javascript", "guests/c/server"];
    let more = ["guests/python/starlette", "guests/python/flask"];
    guests.extend(samples.iter().chain(&more).map(|sample| built(sample)));
    for component in &guests {
        let clear = Server::start(&[component, "--no-access-log"]);
        let secure = Server::start(&[&[component.as_str(), "--no-access-log"], &tls[..]].concat());
        for (path, options) in ASKED {
            let outcomes = PROTOCOLS.map(|protocol| {
                let (server, scheme) = match protocol.contains(&"--insecure") {
                    true => (&secure, "https"),
                    false => (&clear, "http"),
                };
                asked(server, scheme, &[protocol, options].concat(), &big, path)
            });
            let what = format!("{component} {path} {options:?}: {outcomes:?}");
            let of_one = outcomes[0].split(' ').collect::<Vec<_>>();
            assert!(of_one[0] == "0" && of_one[1] < "500", "{what}");
            assert!(outcomes.iter().all(|one| *one == outcomes[0]), "{what}");
        }
        let printed = [clear.printed(), secure.printed()].concat();
        assert!(!printed.contains("the guest trapped"), "{printed}");
    }
}
