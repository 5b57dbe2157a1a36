//! The README is true.

use crate::harness::{finished, root, wasmserve};
use std::fs::read_to_string;

fn readme() -> String {
    read_to_string(root().join("README.md")).unwrap()
}

/// The shell commands of the README.
fn commands() -> Vec<String> {
    let text = readme();
    let blocks = text
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

#[test]
fn the_first_two_commands_serve_and_test() {
    let commands = commands();
    assert_eq!(
        commands[0],
        "cargo run --release -- guests/hello/hello.wat --workers 4"
    );
    assert!(commands.iter().any(|command| command == "./test"));
    assert!(root().join("test").exists());
}

#[test]
fn every_option_of_the_readme_exists() {
    let mut help = String::new();
    for subcommand in ["", "build", "new", "dev"] {
        let mut command = wasmserve();
        command.args(
            [subcommand, "--help"]
                .iter()
                .filter(|word| !word.is_empty()),
        );
        help += &String::from_utf8(finished(command).stdout).unwrap();
    }
    let text = readme();
    let ours = text
        .lines()
        .filter(|line| line.contains("wasmserve") || line.starts_with('|'));
    let words = ours.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-'));
    for option in words.filter(|word| word.starts_with("--") && word.len() > 3) {
        let known = ["--release", "--target", "--lib", "--locked"].contains(&option);
        assert!(
            known || help.contains(option),
            "the README has {option}, --help has not"
        );
    }
}

#[test]
fn every_file_of_the_readme_exists() {
    for path in readme()
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        if !path.starts_with("http") && !path.starts_with('#') {
            assert!(root().join(path).exists(), "the README links to {path}");
        }
    }
}

/// What is promised of workers is tried in one.
#[test]
fn every_sentence_about_the_sandbox_is_a_test() {
    let text = readme();
    let section = text.split("## The wall around the sandbox").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| It"));
    let sentences = rows.map(|row| row.split('|').nth(1).unwrap().trim().to_lowercase());
    let names: Vec<String> = sentences.map(|text| text.replace(' ', "_")).collect();
    assert!(names.len() >= 10, "{names:?}");
    let tests = read_to_string(root().join("src/config/sandbox/tests.rs")).unwrap();
    for name in names {
        assert!(tests.contains(&format!("    {name}\n")), "{name}");
    }
}
