//! The README and the pages of docs/ are true.

use crate::harness::{finished, root, wasmserve};
use std::fs::{read_dir, read_to_string};
use std::path::PathBuf;

fn readme() -> String {
    read_to_string(root().join("README.md")).unwrap()
}

/// The pages that people read, with their text.
fn pages() -> Vec<(PathBuf, String)> {
    let top = ["README.md", "SECURITY.md", "CONTRIBUTING.md"].map(|name| root().join(name));
    let docs = read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let markdown = docs.filter(|path| path.extension().is_some_and(|name| name == "md"));
    let paths = top.into_iter().chain(markdown);
    paths
        .map(|path| (path.clone(), read_to_string(path).unwrap()))
        .collect()
}

fn help(subcommand: &str) -> String {
    let mut command = wasmserve();
    command.args(
        [subcommand, "--help"]
            .iter()
            .filter(|word| !word.is_empty()),
    );
    String::from_utf8(finished(command).stdout).unwrap()
}

/// The long options that a text names.
fn options(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(|word| word.starts_with("--") && word.len() > 3 && !word.ends_with('-'))
}

/// The anchors that GitHub gives to the headings of a page.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = words
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
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
fn every_option_of_the_pages_exists() {
    let subcommands = [
        "",
        "build",
        "new",
        "dev",
        "check",
        "compile",
        "inspect",
        "man",
        "pull",
        "push",
        "replay",
        "unit",
        "status",
        "scale",
        "restart-worker",
        "reload",
        "promote",
        "rollback",
        "top",
        "logs",
        "profile",
    ];
    let help: String = subcommands.map(help).concat();
    for (page, text) in pages() {
        let ours = text
            .lines()
            .filter(|line| line.contains("wasmserve") || line.starts_with('|'));
        // There the first column of a table has the options of others.
        let of_others = usize::from(page.ends_with("coming-from.md")) * 2;
        let ours = ours.flat_map(|line| {
            line.split('|').skip(match line.starts_with('|') {
                true => of_others,
                false => 0,
            })
        });
        for option in ours.flat_map(options) {
            let known =
                ["--release", "--profile", "--target", "--lib", "--locked"].contains(&option);
            let page = page.display();
            assert!(
                known || help.contains(option),
                "{page} has {option}, --help has not"
            );
        }
    }
}

#[test]
fn every_option_is_explained() {
    let page = read_to_string(root().join("docs/options.md")).unwrap();
    let explained: Vec<&str> = options(&page).collect();
    let help = help("");
    let defined = help
        .lines()
        .filter(|line| line.trim_start().starts_with('-'));
    for option in defined.filter_map(|line| options(line).next()) {
        // The positive form of a flag that is on by default is explained with the negative one.
        let negative = option.replacen("--", "--no-", 1);
        let known = ["--help", "--version"].contains(&option);
        assert!(
            known || explained.contains(&option) || explained.contains(&negative.as_str()),
            "docs/options.md does not explain {option}"
        );
    }
}

#[test]
fn the_short_help_fits_on_a_screen_and_names_what_exists() {
    let help = help("");
    for (given, least) in [
        (&["-h"][..], 10),
        (&["app.wasm", "-h"], 10),
        (&["--workers", "2", "-h"], 10),
        (&["check", "-h"], 0),
        (&["unit", "app.wasm", "-h"], 1),
    ] {
        let mut command = wasmserve();
        command.args(given);
        let short = String::from_utf8(finished(command).stdout).unwrap();
        assert!(short.lines().count() <= 24, "{given:?}: {short}");
        assert!(short.lines().all(|line| line.len() <= 80), "{short}");
        assert!(options(&short).count() > least, "{given:?}: {short}");
        let unit = ["--name", "--output"];
        for option in options(&short).filter(|option| !unit.contains(option)) {
            assert!(help.contains(option), "-h has {option}, --help has not");
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    for (page, text) in pages() {
        let links = text.split("](").skip(1);
        for link in links.filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.clone(),
                path => page.parent().unwrap().join(path),
            };
            let page = page.display();
            assert!(target.exists(), "{page} links to {link}");
            if !anchor.is_empty() {
                let there = anchors(&read_to_string(target).unwrap());
                assert!(there.iter().any(|name| name == anchor), "{page}: {link}");
            }
        }
    }
}

/// What is promised of workers is tried in one.
#[test]
fn every_sentence_about_the_sandbox_is_a_test() {
    let text = read_to_string(root().join("docs/sandbox.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| It"));
    let sentences = rows.map(|row| row.split('|').nth(1).unwrap().trim().to_lowercase());
    let names: Vec<String> = sentences.map(|text| text.replace(' ', "_")).collect();
    assert!(names.len() >= 10, "{names:?}");
    let tests = read_to_string(root().join("src/config/sandbox/tests.rs")).unwrap();
    for name in names {
        assert!(tests.contains(&format!("    {name}\n")), "{name}");
    }
}

/// A short name that people are told, and what it is short for, are there.
#[test]
fn what_the_justfile_and_contributing_name_exists() {
    let recipes = read_to_string(root().join("justfile")).unwrap();
    let commands = recipes.lines().filter_map(|line| line.strip_prefix("    "));
    let scripts = ["./", ".ci/", "benches/", "deploy/", "fuzz/", "guests/"];
    for command in commands {
        let program = command.split_whitespace().next().unwrap();
        if scripts.iter().any(|begin| program.starts_with(begin)) {
            assert!(root().join(program).exists(), "the justfile runs {program}");
        }
    }
    let page = read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    for program in page.split('`').skip(1).step_by(2) {
        let path = program.split_whitespace().next().unwrap_or_default();
        if scripts.iter().any(|begin| path.starts_with(begin)) {
            assert!(root().join(path).exists(), "CONTRIBUTING.md names {path}");
        }
    }
}
