//! What takes long shows that it goes on: by a bar on a terminal, and by lines elsewhere, which have nothing of a bar.

use crate::harness::{finished, folder, on_terminal, wasmserve, with_much_code};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What takes the bar away before something else is written in its place.
const TAKEN_AWAY: &str = "\u{1b}[K";

fn compile(component: &Path) -> Command {
    let mut command = wasmserve();
    command.arg("compile").arg(component);
    command.arg("-o").arg(component.with_extension("cwasm"));
    command
}

#[test]
fn compiling_shows_itself_on_a_terminal_and_in_lines_elsewhere() {
    let component = folder("compile-shown").join("app.wat");
    // Well beyond what needs no bar.
    fs::write(&component, with_much_code(6000)).unwrap();
    let (status, written) = on_terminal(compile(&component));
    assert!(status.success(), "{written}");
    let bar = format!("{TAKEN_AWAY}Compiling ");
    assert!(written.contains(&bar), "{written}");
    let (_, last) = written.rsplit_once(TAKEN_AWAY).unwrap();
    assert!(last.contains("Compiled "), "{written}");

    let output = finished(compile(&component));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // On a busy machine there are more lines in between.
    let lines: Vec<&str> = said.lines().collect();
    let is_first = lines[0].starts_with("INFO:     Compiling ") && lines[0].ends_with(" MB …");
    assert!(is_first, "{said}");
    let is_last = lines[lines.len() - 1].starts_with("INFO:     Compiled ");
    assert!(is_last, "{said}");
    assert!(output.stdout.is_empty());
    assert!(!said.contains('\u{1b}') && !said.contains('\r'), "{said}");
}
