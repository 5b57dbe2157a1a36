//! What packages carry beside the executable.

use crate::harness::{finished, wasmserve};
use std::fs;

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
