//! The package cryptography as applications use it: tokens, ciphers, hashes of passwords, certificates. Guards against
//! sums that come out otherwise than under uvicorn, and against anything random that two requests share, as instances
//! begin as a snapshot in which keys were made and used.

use super::ask::{Ask, get, json};
use super::packages::{NATIVE, answers};
use super::{REUSE, built, differences, place, trials, uvicorn_of};
use crate::harness::{Server, finished, root};
use std::collections::{BTreeMap, HashSet};
use std::process::Command;

const CLAIMS: &str = r#"{"sub":"grün","exp":4102444800,"roles":["a","b"]}"#;

/// The algorithms of tokens, and the libraries that have them.
const SIGNED: [(&str, &[&str]); 4] = [
    ("RS256", &["jwt", "jose"]),
    ("PS256", &["jwt"]),
    ("ES256", &["jwt", "jose"]),
    ("EdDSA", &["jwt"]),
];

/// How many requests are asked for what is random.
const DRAWS: usize = 4;

/// How many kinds of keys, nonces and salts each of them draws.
const KINDS: usize = 12;

fn asks(native: &Server) -> Vec<Ask> {
    let mut asks: Vec<Ask> = [
        "certificate",
        "key/rsa",
        "key/ec",
        "key/ed25519",
        "key/encrypted",
        "key/encrypted?password=secret",
        "key/encrypted?password=wrong",
        "key/rsa?password=secret",
        "key/rsa?cut=30",
        "key/certificate",
        "made",
    ]
    .map(|path| get(format!("/tokens/{path}")))
    .into();
    for text in [r#""""#, r#""grün""#] {
        asks.extend(["ciphers", "hashes", "derived"].map(|path| told(path, text)));
    }
    asks.push(told("certificate", r#""-----BEGIN CERTIFICATE-----""#));
    asks.push(told("fernet/opened", r#""nonsense""#));
    let sealed = told("fernet", r#""grün""#).of(native.address).text();
    asks.push(told("fernet/opened", &sealed));
    asks.push(told("fernet/opened", &sealed.replace("gAAAAA", "gAAAAB")));
    for (algorithm, library) in pairs() {
        let token = signed(native, algorithm, library);
        asks.push(verify(algorithm, library, &token));
        asks.push(verify(algorithm, library, &token.replace('.', ".e30")));
        // With the key of another.
        asks.push(verify("RS256", library, &token));
    }
    // Of these, each signature of the same is the same.
    asks.extend(["RS256", "EdDSA"].map(|algorithm| sign(algorithm, "jwt", CLAIMS)));
    asks.push(sign("RS256", "jose", CLAIMS));
    asks.push(sign("EdDSA", "jose", CLAIMS));
    let late = CLAIMS.replace("4102444800", "1");
    let late = sign("ES256", "jwt", &late).of(native.address).text();
    asks.push(verify("ES256", "jwt", &late));
    asks
}

fn told(path: &str, text: &str) -> Ask {
    json(&format!("/tokens/{path}"), text)
}

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of = |(algorithm, libraries): (_, &'static [&'static str])| {
        libraries.iter().map(move |library| (algorithm, *library))
    };
    SIGNED.into_iter().flat_map(of)
}

fn sign(algorithm: &str, library: &str, claims: &str) -> Ask {
    let path = format!("sign?algorithm={algorithm}&library={library}");
    told(&path, claims)
}

/// A token, in its quotes.
fn signed(server: &Server, algorithm: &str, library: &str) -> String {
    let token = sign(algorithm, library, CLAIMS).of(server.address).text();
    assert_eq!(token.matches('.').count(), 2, "{token}");
    token
}

fn verify(algorithm: &str, library: &str, token: &str) -> Ask {
    let path = format!("verify?algorithm={algorithm}&library={library}");
    told(&path, token)
}

#[test]
fn tokens_ciphers_and_certificates_answer_as_under_uvicorn() {
    let native = uvicorn_of(NATIVE);
    let expected = answers(asks(&native), &native);
    for reuse in REUSE {
        let options = ["--no-request-id", "--reuse", reuse];
        let server = trials::serve(&built(NATIVE), &options);
        let found = differences(&server, &expected);
        assert!(found.is_empty(), "--reuse {reuse}:\n{}", found.join("\n"));
        // What the component signs and seals, the other side takes.
        for (algorithm, library) in pairs() {
            let token = signed(&server, algorithm, library);
            let claims = verify(algorithm, library, &token).of(native.address);
            assert_eq!(claims.text(), CLAIMS, "{algorithm} of {library}");
        }
        let sealed = told("fernet", r#""grün""#).of(server.address).text();
        let opened = told("fernet/opened", &sealed).of(native.address).text();
        assert_eq!(opened, r#""grün""#);
    }
}

/// Each request begins in a copy of an instance in which keys were made and used: by the lifespan and by a request, or
/// not at all, and then in the memory of the component.
#[test]
fn nothing_that_is_random_is_in_the_snapshot() {
    for options in [&["--prime", "/tokens/drawn"][..], &["--no-prime"]] {
        let server = trials::serve(&built(NATIVE), options);
        let started = || get("/tokens/started").of(server.address).text();
        let first = started();
        assert!(first.contains(r#""signs":true"#), "{first}");
        let mut drawn: BTreeMap<String, HashSet<String>> = BTreeMap::new();
        for _ in 0..DRAWS {
            let text = get("/tokens/drawn").of(server.address).text();
            let found: BTreeMap<String, String> = serde_json::from_str(&text).expect(&text);
            for (what, value) in found {
                drawn.entry(what).or_default().insert(value);
            }
        }
        assert_eq!(drawn.len(), KINDS, "{drawn:?}");
        for (what, values) in &drawn {
            assert_eq!(values.len(), DRAWS, "{options:?}: {what}: {values:?}");
        }
        // Otherwise there is no snapshot to be compared with.
        let is_primed = options.len() > 1;
        assert_eq!(started() == first, is_primed, "{}", server.printed());
    }
}

/// What OpenSSL is built with is asked for before anything is compiled.
const CHECK: &str = r#"
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from builder import openssl, say

try:
    openssl.check(pathlib.Path(sys.argv[2]), "cryptography 1.0")
except say.Mistake as mistake:
    print(mistake)
"#;

#[test]
fn a_missing_perl_is_named_at_once() {
    let at = place("python-without-perl");
    let mut python = Command::new("python3");
    python.args(["-c", "import sys; print(sys.executable)"]);
    let python = finished(python);
    let mut check = Command::new(String::from_utf8_lossy(&python.stdout).trim());
    check.args(["-B", "-c", CHECK]);
    check.arg(root().join("src/build/python")).arg(&at);
    check.env("PATH", &at);
    let output = finished(check);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.starts_with("cryptography 1.0 is built with OpenSSL"),
        "{output:?}"
    );
    assert!(said.contains("`apt-get install perl make`"), "{said}");
}
