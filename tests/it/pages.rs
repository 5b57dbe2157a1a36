//! What packages carry beside the executable, and what commands print.

use crate::harness::{Folder, HELLO, finished, root, wasmserve};
use std::fs::{self, File};
use std::process::Stdio;

fn printed(arguments: &[&str]) -> String {
    let mut command = wasmserve();
    command.args(arguments);
    let output = finished(command);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn shells_learn_every_command_and_option() {
    for (shell, begins) in [
        ("bash", "_wasmserve()"),
        ("zsh", "#compdef wasmserve"),
        ("fish", "# Print an optspec"),
    ] {
        let script = printed(&["completions", shell]);
        assert!(script.starts_with(begins), "{shell}: {script:.80}");
        for word in ["workers", "ssl-certfile", "inspect", "exit-idle"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    assert!(printed(&["man"]).contains(".TH wasmserve 1"));
    let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/man");
    fs::create_dir_all(folder).unwrap();
    printed(&["man", "--output", folder]);
    for (page, says) in [
        ("wasmserve", "timeout\\-graceful\\-shutdown"),
        ("wasmserve-build", "NAME"),
        ("wasmserve-unit", "systemd"),
    ] {
        let text = fs::read_to_string(format!("{folder}/{page}.1")).unwrap();
        assert!(text.contains(says), "{page}: {text}");
        assert!(
            text.contains(&format!(".TH {page} 1")),
            "{page}: {text:.200}"
        );
    }
}

/// A disk that is full, or a reader that has gone, is an error or none, and no crash.
#[test]
fn what_cannot_be_printed_is_no_crash() {
    let folder = Folder::new("pages-full");
    let project = folder.path().join("project");
    let project = project.to_str().unwrap();
    for arguments in [
        &["unit", HELLO][..],
        &["check", HELLO],
        &["inspect", HELLO],
        &["completions", "bash"],
        &["man"],
        &["new", "--lang", "python", project],
        &["--help"],
        &["--version"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = wasmserve();
        command.current_dir(root()).args(arguments).stdout(full);
        let ended = command.stderr(Stdio::piped()).spawn().unwrap();
        let output = ended.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        assert!(
            matches!(output.status.code(), Some(0..=4)),
            "{arguments:?}: {:?} {said}",
            output.status
        );
    }
}
