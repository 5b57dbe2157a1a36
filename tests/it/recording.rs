//! A request that fails is recorded, and fails alike when it is replayed.

mod bounds;
mod databases;
mod files;
mod secrets;
mod starts;
mod strangers;

use crate::harness::{
    After, Folder, GREETING, HELLO, Server, Upstream, finished, get, guest, root, text, wasmserve,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

fn recording(folder: &Folder, arguments: &[&str]) -> Server {
    Server::component(guest("behaviours"))
        .option("--record-failures", folder.path())
        .args(arguments)
        .start()
}

/// The recordings, the oldest first.
fn recordings(folder: &Folder) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "recording"));
    paths.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    paths
}

fn replayed(file: &Path, arguments: &[&str]) -> (Output, String) {
    let mut command = wasmserve();
    command.arg("replay").arg(file).args(arguments);
    let output = finished(command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, said)
}

/// Changes what stands in a recording, whose digest fits again.
fn altered(file: &Path, from: &str, to: &str) {
    let bytes = fs::read(file).unwrap();
    let content = &bytes[..bytes.len() - blake3::OUT_LEN];
    let at = content
        .windows(from.len())
        .position(|it| it == from.as_bytes());
    let (before, rest) = content.split_at(at.unwrap());
    let mut bytes = [before, to.as_bytes(), &rest[from.len()..]].concat();
    bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
    fs::write(file, &bytes).unwrap();
}

const SAME: &str = "It is the same failure, with the same backtrace.";

/// Where it traps depends on the body and its pieces, on both kinds of random numbers, and on both clocks.
#[test]
fn a_trap_by_chance_is_replayed_to_the_same_backtrace_wherever_the_component_is() {
    let folder = Folder::new("recorded");
    let server = recording(&folder, &["--workers", "1"]);
    for turn in 0..6 {
        let mut connection = server.connect();
        let head = "POST /trap-by-chance?ms=3 HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\n";
        connection.write(head).unwrap();
        for piece in ["abc", "de", "fg"] {
            connection.write(piece).unwrap();
            std::thread::yield_now();
        }
        connection.write([b'0' + turn]).unwrap();
        assert_eq!(connection.response().unwrap().status, 500);
    }
    server.wait_for_count("the guest trapped", 6);
    let elsewhere = folder.path().join("moved.wasm");
    fs::copy(guest("behaviours"), &elsewhere).unwrap();
    let kept = recordings(&folder);
    assert!(!kept.is_empty());
    for file in kept {
        for _ in 0..2 {
            let (output, said) = replayed(&file, &["--component", text(&elsewhere)]);
            assert!(said.contains(SAME), "{said}");
            assert_eq!(output.status.code(), Some(0));
            // Who reads it sees what the guest has printed then.
            let printed = String::from_utf8_lossy(&output.stderr).into_owned();
            let fell = printed.split("fell by ").nth(1).unwrap().lines().next();
            assert!(server.printed().contains(fell.unwrap()), "{printed}");
        }
    }
}

#[test]
fn where_nobody_reads_the_status_still_tells() {
    let folder = Folder::new("unread");
    let server = recording(&folder, &["--workers", "1"]);
    assert_eq!(get(server.address, "/trap-before-head").status, 500);
    let kept = recordings(&folder);
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = wasmserve();
    command.arg("replay").arg(&kept[0]).arg("--trace-calls");
    let status = command.stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn each_distinct_failure_is_recorded_once_and_there_are_no_more_than_wanted() {
    let folder = Folder::new("bounded");
    let server = recording(&folder, &["--workers", "2", "--record-count", "3"]);
    for _ in 0..4 {
        for path in ["/trap-before-head", "/no-response"] {
            assert_eq!(get(server.address, path).status, 500);
        }
    }
    assert_eq!(recordings(&folder).len(), 2);
    let _ = server.connect().get("/trap-after-head").response();
    let _ = server.connect().get("/trap-after-answer").response();
    server.wait_for_count("the guest trapped", 6);
    let kept = recordings(&folder);
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert_eq!(get(server.address, "/ok").status, 200);
    for file in kept {
        let mode = fs::metadata(&file).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o077, 0);
        let (output, said) = replayed(&file, &[]);
        assert!(said.contains("It is the same failure"), "{said}");
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn a_guest_that_computes_on_does_so_again_until_its_time_is_up() {
    let folder = Folder::new("spinning");
    let server = recording(&folder, &["--limit-cpu", "300ms"]);
    assert_eq!(get(server.address, "/spin").status, 504);
    let file = recordings(&folder).remove(0);
    let (output, said) = replayed(&file, &["--limit-cpu", "300ms"]);
    assert!(said.contains("It is the same failure."), "{said}");
    assert_eq!(output.status.code(), Some(0));
}

/// Each byte is drawn by itself.
#[test]
fn a_request_that_draws_many_random_bytes_is_recorded() {
    let folder = Folder::new("drawing");
    let server = recording(&folder, &["--limit-cpu", "2s"]);
    assert_eq!(get(server.address, "/toil").status, 504);
    let file = recordings(&folder).remove(0);
    assert!(fs::metadata(&file).unwrap().len() < 10_000);
    let (_, said) = replayed(&file, &["--limit-cpu", "2s"]);
    assert!(said.contains("It is the same failure."), "{said}");
}

/// The guest sends a body with one of its requests, and another server is not there.
#[test]
fn other_servers_answer_as_they_did_and_are_not_asked() {
    let folder = Folder::new("asked");
    let upstream = Upstream::friendly();
    let authority = upstream.address.to_string();
    let server = recording(&folder, &["--allow-http", "127.0.0.1"]);
    let there = format!("/outbound?authority={authority}&times=2&send=10000&method=PUT&trap=yes");
    let nobody = "/outbound?authority=127.0.0.1:9&trap=yes";
    for (target, heard) in [(&*there, "status 200"), (nobody, "error ")] {
        recordings(&folder)
            .iter()
            .for_each(|file| fs::remove_file(file).unwrap());
        assert_eq!(get(server.address, target).status, 500);
        let asked = upstream.seen().len();
        let file = recordings(&folder).remove(0);
        let (output, said) = replayed(&file, &[]);
        assert!(said.contains(SAME), "{said}");
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(printed.contains(&format!("heard {heard}")), "{printed}");
        let first = printed.split("heard ").nth(1).unwrap().lines().next();
        assert!(
            server.printed().contains(first.unwrap()),
            "{first:?} is new"
        );
        assert_eq!(upstream.seen().len(), asked, "nobody is asked");
    }
}

#[test]
fn the_key_value_store_answers_as_it_did_and_is_not_asked() {
    let folder = Folder::new("stored");
    let elsewhere = Folder::new("store");
    let store = format!("sqlite:{}", elsewhere.file("store.db"));
    let server = Server::component(guest("behaviours-keyvalue"))
        .option("--keyvalue", &store)
        .option("--record-failures", folder.path())
        .start();
    assert_eq!(get(server.address, "/increment?delta=5").status, 200);
    assert_eq!(get(server.address, "/increment?trap=yes").status, 500);
    let file = recordings(&folder).remove(0);
    for _ in 0..2 {
        let (output, said) = replayed(&file, &["--trace-calls"]);
        assert!(said.contains(SAME), "{said}");
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            printed.contains("wasi:keyvalue increment default key 1"),
            "{printed}"
        );
        assert!(printed.contains("heard 6"), "{printed}");
    }
    assert_eq!(
        get(server.address, "/increment").text(),
        "7",
        "nobody has asked"
    );
}

/// The guest tells of one in lines that differ from request to request, as tracebacks do.
#[test]
fn an_answer_of_500_is_recorded_once_for_each_cause_and_replayed_to_the_same_words() {
    let folder = Folder::new("answered");
    let server = recording(&folder, &["--workers", "1"]);
    let ask = |status: u16, cause: &str, user: &str| {
        let said = format!("say=user%20{user}&say=%20%20in%20{cause}&say=Error:%20'{user}'%207");
        let path = format!("/respond?status={status}&body=failed-{user}&{said}");
        let response = get(server.address, &path);
        assert_eq!(
            (response.status, response.text()),
            (status, format!("failed-{user}"))
        );
    };
    for user in ["ann", "bob"] {
        ask(500, "read", user);
        ask(502, "write", user);
        ask(404, "look", user);
        ask(503, "wait", user);
    }
    server.wait_for_count("a failing request is recorded in ", 2);
    let kept = recordings(&folder);
    assert_eq!(kept.len(), 2, "{kept:?}");
    let (output, said) = replayed(&kept[0], &[]);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("the guest answered 500 with 10 bytes"),
        "{said}"
    );
    assert!(
        said.contains("    user ann\n      in read\n    Error: 'ann' 7\n"),
        "{said}"
    );
    assert!(said.contains("It answered 500 as recorded."), "{said}");
    let (output, said) = replayed(&kept[0], &["--component", text(&root().join(HELLO))]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("It is not the failure that was recorded."),
        "{said}"
    );
    assert!(
        said.contains("Recorded was this on standard error:\n    user ann"),
        "{said}"
    );
}

#[test]
fn what_was_answered_500_and_trapped_after_that_is_recorded_as_a_trap() {
    let folder = Folder::new("both");
    let server = recording(&folder, &[]);
    let _ = server
        .connect()
        .get("/respond?status=500&trap=yes")
        .response();
    server.wait_for("a failing request is recorded in ");
    let (output, said) = replayed(&recordings(&folder)[0], &[]);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains(SAME), "{said}");
}

#[test]
fn answers_and_time_outs_of_wasi_0_3_are_replayed_too() {
    for (target, status, end) in [
        (
            "/respond?status=500&body=failed",
            500,
            "It answered 500 as recorded.",
        ),
        (
            "/sleep?ms=60000",
            504,
            "It does not end in its time, as recorded.",
        ),
    ] {
        let folder = Folder::new("newer");
        let server = Server::component(guest("behaviours-p3"))
            .option("--record-failures", folder.path())
            .args(["--timeout-request", "1s"])
            .start();
        assert_eq!(get(server.address, target).status, status);
        server.wait_for("a failing request is recorded in ");
        let (output, said) = replayed(&recordings(&folder)[0], &[]);
        assert_eq!(output.status.code(), Some(0), "{target}: {said}");
        assert!(said.contains(end), "{said}");
    }
}

/// Each waits for something else: for a timer, before its head and in its body, for another server's head, for its body,
/// and for the end of what it computes.
#[test]
fn a_request_whose_time_is_up_is_recorded_and_waits_again() {
    let upstream = Upstream::start(|seen, stream| {
        let beginning = match seen.head.contains("/begin") {
            true => &GREETING[..GREETING.len() - 2],
            false => b"",
        };
        std::io::Write::write_all(stream, beginning).unwrap();
        After::Keep
    });
    let authority = upstream.address.to_string();
    let ask = |path: &str| format!("/outbound?authority={authority}&path={path}");
    for (target, awaited) in [
        ("/sleep?ms=60000".to_owned(), None),
        ("/slow-stream?ms=60000".to_owned(), None),
        (ask("/never"), Some("/never`")),
        (ask("/begin"), None),
        ("/spin".to_owned(), None),
    ] {
        let folder = Folder::new("time-out");
        let times = ["--timeout-request", "1s", "--timeout-idle-body", "1s"];
        let server = recording(
            &folder,
            &[&times[..], &["--allow-http", "127.0.0.1"]].concat(),
        );
        let answer = server.connect().get(&target).response();
        assert!(answer.is_err() || answer.unwrap().status == 504, "{target}");
        server.wait_for("a failing request is recorded in ");
        let asked = upstream.seen().len();
        let (output, said) = replayed(&recordings(&folder)[0], &[]);
        assert_eq!(output.status.code(), Some(0), "{target}: {said}");
        assert!(
            said.contains("Recorded:  the guest ran past its time"),
            "{said}"
        );
        assert!(said.contains(awaited.unwrap_or("")), "{target}: {said}");
        assert!(
            said.contains("It does not end in its time, as recorded."),
            "{said}"
        );
        assert_eq!(upstream.seen().len(), asked, "nobody is asked");
    }
}

#[test]
fn a_changed_component_is_told_where_it_goes_another_way() {
    let folder = Folder::new("changed");
    let server = recording(&folder, &[]);
    assert_eq!(get(server.address, "/trap-by-chance").status, 500);
    let file = recordings(&folder).remove(0);
    let hello = root().join(HELLO);
    let (output, said) = replayed(&file, &["--component", text(&hello)]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Component: another one"), "{said}");
    assert!(said.contains("the guest answered 200"), "{said}");
    assert!(said.contains("It is not the failure"), "{said}");
    let (_, said) = replayed(&file, &[]);
    assert!(said.contains(SAME), "{said}");
    let (output, said) = replayed(&file, &["--trace-calls"]);
    assert!(said.contains(SAME), "{said}");
    let traced = String::from_utf8_lossy(&output.stderr).into_owned();
    for call in ["wasi:random, 16 bytes", "wall-clock now -> "] {
        assert!(traced.contains(call), "{traced}");
    }
}
