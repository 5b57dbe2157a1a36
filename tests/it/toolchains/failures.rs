//! What fails in an application is recorded and replayed to the same end, whatever it is written in: where its framework
//! catches the failure and answers 500, and where the instance traps.

use super::{built, trials};
use crate::harness::{Folder, finished, get, guest, text, wasmserve};
use std::fs;

/// An answer of 500 that the application's framework has given.
const ANSWERED: &str = "It answered 500 as recorded.";

/// A trap, with the functions that were running.
const TRAPPED: &str = "It is the same failure, with the same backtrace.";

/// Has a request fail, of a component that is given nothing, and replays it.
fn fails_again(component: &str, path: &str, words: &[&str]) {
    fails_again_with(component, &[], path, words, || ());
}

/// Has a request fail, replays what was recorded of it after something has happened, and looks for these words in what
/// is said.
fn fails_again_with(
    component: &str,
    options: &[&str],
    path: &str,
    words: &[&str],
    between: impl FnOnce(),
) {
    let folder = Folder::new("failures");
    let recording = ["--record-failures", text(folder.path())];
    let server = trials::serve(component, &[options, &recording].concat());
    assert_eq!(get(server.address, path).status, 500, "{component}");
    server.wait_for("a failing request is recorded in ");
    let mut kept = fs::read_dir(folder.path()).unwrap().flatten();
    let recording = kept.find(|entry| entry.path().extension().is_some());
    between();
    let mut command = wasmserve();
    command.arg("replay").arg(recording.unwrap().path());
    let output = finished(command);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{component}: {said}");
    for word in words {
        assert!(said.contains(word), "{component}: {word} in {said}");
    }
}

#[test]
fn an_exception_in_python_is_replayed_to_its_traceback() {
    let traceback = ["in crash", "raise RuntimeError(\"as asked\")"];
    let last = ["RuntimeError: as asked", ANSWERED];
    let words = [traceback, last].concat();
    fails_again(&built("guests/python/fastapi"), "/crash", &words);
}

#[test]
fn a_panic_in_go_is_replayed_to_its_stack() {
    let words = ["panic serving /throw: as asked", "main.main.func", ANSWERED];
    fails_again(&built("guests/go/server"), "/throw", &words);
}

#[test]
fn a_panic_in_go_by_what_a_file_held_is_replayed_without_the_file() {
    let data = Folder::new("go-file");
    fs::write(data.file("reason.txt"), "out of tea").unwrap();
    let grant = format!("{}::/data", data.path().display());
    let words = ["panic serving /throw-file: as read: out of tea", ANSWERED];
    let component = built("guests/go/server");
    let gone = || fs::remove_dir_all(data.path()).unwrap();
    fails_again_with(&component, &["--dir", &grant], "/throw-file", &words, gone);
}

#[test]
fn an_error_that_javascript_throws_is_replayed_to_its_stack() {
    let words = ["Error: as asked", ANSWERED];
    fails_again(&built("guests/javascript"), "/throw", &words);
}

#[test]
fn a_panic_in_rust_is_replayed_to_its_backtrace() {
    let words = ["rust_panic", "unreachable", TRAPPED];
    fails_again(&guest("behaviours"), "/trap-before-head", &words);
}

#[test]
fn a_trap_in_c_is_replayed_to_its_backtrace() {
    // The build leaves the names of functions out.
    let words = ["unreachable", "<wasm function ", TRAPPED];
    fails_again(&built("guests/c/server"), "/trap", &words);
}
