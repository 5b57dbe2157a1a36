//! What an executable makes of what another one leaves to it, whose own shape it does not have. The test plays the
//! one before: it leaves descriptors and a description of them.

use crate::harness::{HELLO, Server, eventually, finished, get, leave_open, wasmserve};
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;

fn file(name: &str, content: &[u8]) -> File {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("takeover-{name}"));
    let mut file = File::create(&path).unwrap();
    file.write_all(content).unwrap();
    File::options().read(true).write(true).open(path).unwrap()
}

/// An executable that finds this description as descriptor 3, and then a scoreboard, both ends of a pipe, a listening
/// socket and code.
fn after(name: &str, description: &[u8], listener: &TcpListener, scoreboard: &[u8]) -> Command {
    let (watched, held) = std::io::pipe().unwrap();
    let left: Vec<OwnedFd> = vec![
        file(&format!("{name}-description"), description).into(),
        file(&format!("{name}-scoreboard"), scoreboard).into(),
        watched.into(),
        held.into(),
        listener.try_clone().unwrap().into(),
        file(&format!("{name}-code"), b"code").into(),
    ];
    let mut command = wasmserve();
    command.arg(HELLO).env("WASMSERVE_HANDOVER", "3");
    leave_open(&mut command, left);
    command
}

/// A slot has a page of its own now, and had 512 bytes in the first executables, which told nothing of that.
#[test]
fn a_scoreboard_of_another_shape_is_taken_over_with_its_counters() {
    const COUNTED: u64 = 0x0123_4567_89ab;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut scoreboard = vec![0_u8; 128 + 64 * 512];
    scoreboard[128 + 512 + 48..][..8].copy_from_slice(&COUNTED.to_ne_bytes());
    let description = "wasmserve handover 1\nscoreboard 4 64\nlifeline 5 6\nlistener 7 http\nwanted 2\n\
        served 3 8 0.2 memories=1\n";
    let command = after("first", description.as_bytes(), &listener, &scoreboard);
    let server = Server::command(command)
        .until("The executable was replaced")
        .start();
    server.wait_for_count("Application startup complete.", 2);
    assert_eq!(get(listener.local_addr().unwrap(), "/").status, 200);
    let pid = server.pid();
    let scoreboards = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let target = fs::read_link(&path).unwrap_or_default();
            let ours = target
                .display()
                .to_string()
                .contains("wasmserve scoreboard");
            ours.then(|| fs::read(path).unwrap())
        });
    // Whoever has the slot now counts on.
    let is_carried_over = |bytes: &Vec<u8>| {
        let numbers = bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|bytes| u64::from_ne_bytes(*bytes));
        numbers
            .filter(|number| (COUNTED..COUNTED + 10).contains(number))
            .count()
            == 1
    };
    let scoreboards: Vec<Vec<u8>> = scoreboards.collect();
    assert!(!scoreboards.is_empty() && scoreboards.iter().all(is_carried_over));
    eventually("as many workers as before are there", || {
        server.workers().len() == 2
    });
}

/// Sockets and code had notes in words, of which the one about code may be in words that nobody knows any more.
#[test]
fn what_an_executable_leaves_that_writes_notes_in_words_is_taken_over() {
    let layout = r#"{"form":9,"slots":64,"first":0,"stride":64,"heartbeat":0,"answering":{"place":8,"length":16},"totals":[]}"#;
    for (name, note) in [
        ("noted", "2 0 1 0 1 65536 1 10000 0 1"),
        ("forgotten", "0.2 memories=1"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let description = format!(
            r#"{{"version":2,"scoreboard":4,"layout":{layout},"lifeline":[5,6],"listeners":[[7,"http given"]],"served":3,"code":8,"note":"{note}","wanted":2,"workers":[],"admin":[],"admin_process":null,"exporter_process":null}}"#
        );
        let command = after(name, description.as_bytes(), &listener, &[0; 64 * 64]);
        let server = Server::command(command)
            .until("The executable was replaced")
            .start();
        server.wait_for_count("Application startup complete.", 2);
        assert_eq!(get(listener.local_addr().unwrap(), "/").status, 200);
    }
}

#[test]
fn what_cannot_be_understood_is_an_error_and_no_crash() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let layouts = [
        r#"{"form":9,"slots":99999999,"first":0,"stride":8,"heartbeat":0,"answering":{"place":0,"length":0},"totals":[]}"#,
        r#"{"form":9,"slots":1,"first":18446744073709551608,"stride":8,"heartbeat":0,"answering":{"place":0,"length":9},"totals":[]}"#,
    ];
    let with = |layout: &str| {
        format!(
            r#"{{"version":2,"scoreboard":4,"layout":{layout},"lifeline":[5,6],"listeners":[],"served":1,"code":8,"note":"","wanted":1,"workers":[]}}"#
        )
    };
    let texts = [
        "",
        "\u{0}",
        "wasmserve handover 1\nworker 1",
        "wasmserve handover 1\nscoreboard 400 64\n",
        "{\"version\":99}",
        "{\"version\":2}",
        "{\"version\":3}",
        "{\"version\":2,\"listeners\":[[7,\"gopher\"]],\"note\":\"\"}",
        &with(layouts[0]),
        &with(layouts[1]),
        &with("7"),
    ];
    for text in texts {
        let output = finished(after("garbage", text.as_bytes(), &listener, &[0; 64]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}: {said}");
        assert!(
            said.starts_with("wasmserve: ") && said.lines().count() == 1,
            "{text}: {said}"
        );
    }
}
