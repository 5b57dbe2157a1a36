//! Recordings may come from people who are not to be trusted, and are replayed where a server may be configured.

use super::{SAME, altered, recording, recordings, replayed};
use crate::harness::{Folder, HELLO, finished, get, guest, refused, root, text, wasmserve};
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Has a request fail that is recorded.
fn recorded(folder: &Folder, path: &str) -> PathBuf {
    let server = recording(folder, &[]);
    assert_eq!(get(server.address, path).status, 500);
    server.wait_for("a failing request is recorded in ");
    recordings(folder).remove(0)
}

#[test]
fn what_is_no_recording_or_of_no_use_is_refused_with_the_remedy() {
    let folder = Folder::new("refused");
    let server = recording(&folder, &[]);
    assert_eq!(get(server.address, "/no-response").status, 500);
    let file = recordings(&folder).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = folder.file("damaged");
    fs::write(&damaged, &bytes).unwrap();
    refused(&["replay", &damaged], 2, &["damaged`: it is damaged"]);
    fs::write(&damaged, &bytes[..middle]).unwrap();
    refused(&["replay", &damaged], 2, &["it is damaged, or was cut off"]);
    let hello = text(&root().join(HELLO)).to_owned();
    let remedy = "name a file that --record-failures has written";
    refused(&["replay", &hello], 2, &["it is no recording", remedy]);
    let missing = folder.file("missing");
    refused(&["replay", &missing], 2, &["missing`"]);
    let not_there = ["--record-failures", &missing];
    refused(&[&[&*hello], &not_there[..]].concat(), 2, &not_there[..1]);
    let here = text(folder.path());
    let reused = [&hello, "--reuse", "5", "--record-failures", here];
    refused(&reused, 2, &["leave out --reuse"]);
    let alone = [&*hello, "--record-secrets"];
    refused(&alone, 2, &["give --record-failures too"]);
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let folder = Folder::new("no-file");
    let fifo = folder.file("fifo");
    nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (path, why) in [
        (&*fifo, "it is not a file that can be read at once"),
        ("/dev/zero", "it is not a file that can be read at once"),
        (text(folder.path()), "it is a directory, not a file"),
    ] {
        refused(&["replay", path], 2, &[why]);
    }
}

/// A terminal would do what it is told by the bytes after ESC.
#[test]
fn a_recording_that_somebody_has_written_says_nothing_to_the_terminal() {
    let folder = Folder::new("escapes");
    let file = recorded(&folder, "/trap-by-chance");
    let digest = "\"component\":\"";
    altered(&file, "the guest trapped", "\\u001b]0;evil\\u0007");
    altered(&file, "error while executing", "\\u001b[31m");
    altered(&file, "\"used\":[", "\"used\":[\"\\u001b[32m\"");
    altered(&file, "\"masked\":[", "\"masked\":[\"\\u001b[33m\"");
    altered(&file, digest, &format!("{digest}\\u001b[34m"));
    let component = guest("behaviours");
    let hello = root().join(HELLO);
    let mut all = String::new();
    for component in [None, Some(&*component), Some(text(&hello))] {
        let named = component.iter().flat_map(|it| ["--component", it]);
        let named: Vec<&str> = named.collect();
        let (output, said) = replayed(&file, &[&["--trace-calls"][..], &named].concat());
        all += &said;
        all += &String::from_utf8_lossy(&output.stderr);
    }
    assert!(!all.contains('\u{1b}') && !all.contains('\u{7}'), "{all}");
    for word in [
        "\\u{1b}]0;evil\\u{7}",
        "\\u{1b}[31m",
        "\\u{1b}[32m",
        "\\u{1b}[33m",
        "\\u{1b}[34m",
    ] {
        assert!(all.contains(word), "{word} in {all}");
    }
}

/// Where a server runs, its options are in variables.
#[test]
fn what_variables_tell_servers_changes_no_replay() {
    let folder = Folder::new("variables");
    let file = recorded(&folder, "/trap-before-head");
    let mut command = wasmserve();
    command.args(["replay", text(&file)]).envs([
        ("WASMSERVE_BIND", "nonsense"),
        ("WASMSERVE_COMPONENT", "nowhere.wasm"),
        ("WASMSERVE_CONFIG_FILE", "nowhere.toml"),
        ("WASMSERVE_DIR", "/nowhere"),
        ("WASMSERVE_DIR_RW", "/nowhere::/other"),
        ("WASMSERVE_KEYVALUE", "sqlite:/nowhere/store.db"),
        ("WASMSERVE_MOUNT", "/a=nowhere.wasm"),
        ("WASMSERVE_RECORD_FAILURES", "/nowhere"),
        ("WASMSERVE_RECORD_SECRETS", "yes"),
        ("WASMSERVE_REUSE", "10"),
        ("WASMSERVE_SQLITE", "app=/nowhere/app.db"),
        ("WASMSERVE_WORKERS", "nonsense"),
        // This it has too.
        ("WASMSERVE_ENV", "KEY=value"),
    ]);
    let output = finished(command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(SAME), "{said} {:?}", output.stderr);
    assert!(said.contains("--env KEY was not there"), "{said}");
    assert!(!said.contains("has another value"), "{said}");
}

/// The name is that of a command, too.
#[test]
fn a_component_may_be_called_anything() {
    let folder = Folder::new("called");
    let file = recorded(&folder, "/trap-before-head");
    for name in ["check", "-x.wasm"] {
        let component = folder.file(name);
        fs::copy(guest("behaviours"), component).unwrap();
        let mut command = wasmserve();
        let named = format!("--component={name}");
        command.current_dir(folder.path());
        command.args(["replay", text(&file), &named]);
        let output = finished(command);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(SAME), "{name}: {said}");
    }
}

#[test]
fn a_guest_that_connects_sockets_is_told_to_have_no_answers_and_connects_none_again() {
    let folder = Folder::new("sockets");
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let connected = Arc::new(AtomicUsize::new(0));
    let count = connected.clone();
    // Who connects is left again, which is what the guest fails by.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Relaxed);
            drop(stream);
        }
    });
    let server = recording(&folder, &["--allow-net", &address.to_string()]);
    let target = format!("/sockets?tcp=127.0.0.1&port={}", address.port());
    assert_eq!(get(server.address, &target).status, 500);
    server.wait_for("(it has no answers of sockets)");
    assert_eq!(connected.load(Relaxed), 1);
    let (output, said) = replayed(&recordings(&folder)[0], &[]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("The guest has used sockets after host call "),
        "{said}"
    );
    assert!(
        said.contains("A recording has no answers of sockets"),
        "{said}"
    );
    assert_eq!(connected.load(Relaxed), 1, "nobody is asked");
}
