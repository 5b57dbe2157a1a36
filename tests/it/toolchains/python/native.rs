//! Packages whose native part is built for WASI from their source answer as they do natively.

use super::ask::{Answer, Ask, ask, get, json};
use super::{OF_TESTS, REUSE, differences, of_tests, place, trials, uvicorn_of};
use crate::harness::{Server, finished, root};
use nix::sys::signal::Signal;
use std::collections::HashSet;
use std::process::Command;

/// The two lengths that bcrypt draws a line between: 72 bytes are the most that it takes.
const LONGEST: [usize; 2] = [72, 73];

fn asks() -> Vec<Ask> {
    let bodies = [
        r#"{"b":[1,-0.0,1e308,"ü🎉",null,true],"a":{"c":18446744073709551615}}"#,
        r#"{"a":1"#,
        r#"{"a":NaN}"#,
        "\"\\ud800\"",
        "",
        "9007199254740993",
        "0.1000000000000000055511151231257827",
    ];
    let mut asks: Vec<Ask> = bodies.iter().map(|body| json("/again", body)).collect();
    asks.push(json("/again", "[".repeat(1025) + &"]".repeat(1025)));
    asks.push(ask("POST", "/again").with("application/json", b"\"\xff\""));
    asks.extend(["/item", "/item?name=%22%00%7F", "/refused", "/kdf"].map(get));
    for password in ["", "secret", "grün 🎉", "a\0b"] {
        asks.push(ask("POST", "/hash").with("text/plain", password));
        asks.push(ask("POST", "/own").with("text/plain", password));
    }
    for length in LONGEST {
        asks.push(ask("POST", "/hash").with("text/plain", vec![b'x'; length]));
    }
    asks.push(ask("POST", "/hash?rounds=3").with("text/plain", "secret"));
    let hashed = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
    for hashed in [hashed, "nonsense", "$2b$04$short"] {
        asks.push(ask("POST", format!("/check?hashed={hashed}")).with("text/plain", "secret"));
    }
    asks
}

#[test]
fn orjson_and_bcrypt_answer_as_they_do_under_uvicorn() {
    let native = uvicorn_of(OF_TESTS);
    let asked = |ask: Ask| {
        let answer = ask.of(native.address);
        (ask, answer)
    };
    let expected: Vec<(Ask, Answer)> = asks().into_iter().map(asked).collect();
    let file = of_tests();
    for reuse in REUSE {
        let options = ["--no-request-id", "--reuse", reuse];
        let server = trials::serve(&file, &options);
        let found = differences(&server, &expected);
        assert!(found.is_empty(), "--reuse {reuse}:\n{}", found.join("\n"));
        let salts = (0..4).map(|_| get("/salt").of(server.address).text());
        assert_eq!(salts.collect::<HashSet<_>>().len(), 4, "--reuse {reuse}");
    }
}

/// A program that never ends, as part of what is made whole or not at all.
const ENDLESS: &str = r#"
import pathlib, sys
sys.path.insert(0, sys.argv[1])
import build
from builder import say, tools

build.tidy_up_when_told_to_end()
say.verbose = True
with tools.whole_or_not(pathlib.Path(sys.argv[2]) / "made") as unfinished:
    (unfinished / "half").touch()
    say.follow(["sh", "-c", "echo it has begun; exec sleep infinity"], "waiting")
"#;

#[test]
fn a_build_that_is_told_to_end_leaves_nothing_half_done() {
    let at = place("python-ended");
    let mut python = Command::new("python3");
    python.args(["-B", "-c", ENDLESS]);
    python.arg(root().join("src/build/python")).arg(&at);
    let mut build = Server::command(python).until("it has begun").start();
    assert_eq!(std::fs::read_dir(&at).unwrap().count(), 1);
    build.signal(Signal::SIGTERM);
    assert_eq!(build.wait().code(), Some(143));
    assert_eq!(std::fs::read_dir(&at).unwrap().count(), 0);
}

/// What is made of requirements, with nothing made: only where it would be is said.
const PLACES: &str = r#"
import pathlib, sys, types
sys.path.insert(0, sys.argv[1])
from builder import requirements

requirements._fill = lambda *arguments: None
links, cache = pathlib.Path(sys.argv[2], "links"), pathlib.Path(sys.argv[2], "cache")
project = types.SimpleNamespace(requirements=["a"], imports=set())
place = lambda: print(requirements.folder(project, None, cache, [links]).name)
links.mkdir(parents=True)
place()
(links / "a-1.0-cp314-cp314-wasi_wasm32.whl").write_text("one")
place()
place()
(links / "a-1.0-cp314-cp314-wasi_wasm32.whl").write_text("another")
place()
"#;

/// Guards against a wheel that was built again, in the same place, and an application that goes on with the one before.
#[test]
fn another_wheel_in_a_folder_of_find_links_is_taken() {
    let at = place("python-links");
    let mut python = Command::new("python3");
    python.args(["-B", "-c", PLACES]);
    python.arg(root().join("src/build/python")).arg(&at);
    let output = finished(python);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let places: Vec<&str> = text.lines().collect();
    assert_eq!(places.len(), 4, "{output:?}");
    assert_eq!(places[1], places[2]);
    assert_eq!(places.iter().collect::<HashSet<_>>().len(), 3, "{text}");
}
