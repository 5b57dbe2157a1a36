//! The pages for operators are true: their commands run as they are written, and what they quote is what the program
//! says.

use crate::harness::{finished_within, guest, root, wasmserve};
use std::fs::{self, read_to_string};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The pages whose commands are run, each with the number of blocks that a test cannot run: they need systemd as
/// process 1, a container engine, a cluster or a certificate authority, or compile for minutes.
const PAGES: [(&str, usize); 5] = [
    ("install", 2),
    ("deployment", 3),
    ("coming-from", 0),
    ("troubleshooting", 0),
    ("kubernetes", 5),
];

const NOT_RUN: &str = "<!-- not run: ";

/// How long the commands of one page may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

fn page(name: &str) -> String {
    read_to_string(root().join(format!("docs/{name}.md"))).unwrap()
}

/// The blocks of shell commands of a page that are to be run, and how many are not.
fn blocks(text: &str) -> (Vec<&str>, usize) {
    let mut parts = text.split("```sh\n");
    let mut before = parts.next().unwrap();
    let (mut run, mut not_run) = (Vec::new(), 0);
    for part in parts {
        let (block, rest) = part.split_once("```").expect("a block ends");
        let above = before.trim_end().lines().last().unwrap_or_default();
        match above.starts_with(NOT_RUN) {
            true => not_run += 1,
            false => run.push(block),
        }
        before = rest;
    }
    (run, not_run)
}

/// Starts a server and waits until it serves; stops the one that there is, which must end well.
const PRELUDE: &str = r#"set -eu
ip link set lo up
served=
serve() {
    rm -f log
    : >log
    "$@" >>log 2>&1 &
    served=$!
    for _ in $(seq 3000); do
        ! grep -q "running on" log || return 0
        kill -0 "$served" 2>/dev/null || break
        sleep 0.02
    done
    cat log >&2
    return 1
}
stop() {
    [ -n "$served" ] || return 0
    kill -TERM "$served"
    wait "$served" || { cat log >&2; return 1; }
    served=
}
trap '[ -z "$served" ] || { cat log >&2; kill -KILL "$served"; }' EXIT
set -x
"#;

/// A page as one script: what serves is started and left running until its block ends.
fn script(blocks: &[&str]) -> String {
    let mut script = PRELUDE.to_owned();
    for block in blocks {
        for line in block.replace("\\\n", " ").lines() {
            let mut words = line.split_whitespace();
            let (program, first) = (words.next(), words.next().unwrap_or_default());
            if program == Some("wasmserve") && first.ends_with(".wasm") {
                script += "serve ";
            }
            script += line;
            script.push('\n');
        }
        script += "stop\n";
    }
    script
}

/// A directory with everything that the commands name.
fn furnish(name: &str) -> PathBuf {
    let home = root().join(format!("target/tmp/documented-{name}"));
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(home.join("bin")).unwrap();
    fs::create_dir(home.join("run")).unwrap();
    for (guest_name, file) in [
        ("greeting", "app.wasm"),
        ("hello", "next.wasm"),
        ("behaviours-step", "migrate.wasm"),
    ] {
        fs::copy(guest(guest_name), home.join(file)).unwrap();
    }
    fs::write(home.join(".env"), "GREETING=hello\n").unwrap();
    let executable = env!("CARGO_BIN_EXE_wasmserve");
    std::os::unix::fs::symlink(executable, home.join("bin/wasmserve")).unwrap();
    for names in [
        ["cert.pem", "key.pem"],
        ["renewed-cert.pem", "renewed-key.pem"],
    ] {
        certify(&home, names);
    }
    home
}

/// Makes a certificate for localhost that is its own authority.
fn certify(home: &Path, [certificate, key]: [&str; 2]) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(home.join(certificate), made.cert.pem()).unwrap();
    fs::write(home.join(key), made.signing_key.serialize_pem()).unwrap();
}

/// Runs commands in a network of their own, where every port is free.
fn run(home: &Path, script: &str) {
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let path = format!("{}/bin:{}", home.display(), std::env::var("PATH").unwrap());
    command
        .args(["--net", "--", "bash", "-c", script])
        .current_dir(home)
        .env("PATH", path)
        .env("HOME", home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_RUNTIME_DIR", home.join("run"));
    for name in ["WEB_CONCURRENCY", "PORT"] {
        command.env_remove(name);
    }
    let output = finished_within(command, LIMIT);
    let said = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{told}{said}", output.status);
}

#[test]
fn every_command_of_the_pages_for_operators_runs_as_it_is_written() {
    for (name, left_out) in PAGES {
        let text = page(name);
        let (blocks, not_run) = blocks(&text);
        assert_eq!(not_run, left_out, "blocks of {name} that are not run");
        if !blocks.is_empty() {
            let home = furnish(name);
            run(&home, &script(&blocks));
            fs::remove_dir_all(home).unwrap();
        }
    }
}

/// The cells of a page's tables, row by row.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| "));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// All of the sources as one text, in which a string that goes on over several lines is one line.
fn sources(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|name| name == "rs") {
            let mut pieces = read_to_string(path).unwrap();
            while let Some((before, after)) = pieces.split_once("\\\n") {
                *text += before;
                pieces = after.trim_start().to_owned();
            }
            *text += &pieces;
        }
    }
}

#[test]
fn symptoms_are_quoted_as_the_program_words_them() {
    let mut code = String::new();
    sources(&root().join("src"), &mut code);
    let text = page("troubleshooting");
    let mut looked_for = 0;
    for row in rows(&text) {
        for symptom in quoted(row[0]).filter(|symptom| symptom.contains(' ')) {
            for piece in symptom.split(['…', '[', ']']).map(str::trim) {
                let piece = piece.trim_matches(['`', ' ']);
                if piece.len() > 3 {
                    looked_for += 1;
                    assert!(code.contains(piece), "nothing says `{piece}` ({symptom})");
                }
            }
        }
    }
    assert!(looked_for > 40, "{looked_for}");
}

/// An option of another server is one of ours too, or its refusal says what takes its place.
#[test]
fn options_of_other_servers_are_taken_or_answered() {
    let mut help = wasmserve();
    help.arg("--help");
    let help = finished_within(help, LIMIT).stdout;
    let help = String::from_utf8(help).unwrap();
    let ours: Vec<&str> = help
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .collect();
    let text = page("coming-from");
    for row in rows(&text) {
        let theirs = quoted(row[0]).filter(|name| name.starts_with('-') && !name.contains(' '));
        for option in theirs.filter(|option| !ours.contains(option)) {
            let mut command = wasmserve();
            command.args(["app.wasm", option]);
            let refused = finished_within(command, LIMIT);
            let said = String::from_utf8_lossy(&refused.stderr);
            let answered = format!("option {option} is another server's: ");
            assert!(said.contains(&answered), "{option}: {said}");
        }
    }
}

/// The figures that sizes are derived from were measured, and are written down by hand nowhere.
#[test]
fn figures_about_sizes_are_those_that_were_measured() {
    let (text, measured) = (page("deployment"), page("performance"));
    let (_, sizing) = text.split_once("## Sizing").unwrap();
    let words: Vec<&str> = sizing.split([' ', '(', ')', ',', '\n']).collect();
    let mut figures = 0;
    for pair in words.windows(2) {
        let unit = pair[1].trim_end_matches(['.', ':', ';']);
        if ["MB", "us", "MiB"].contains(&unit) && pair[0].starts_with(|c: char| c.is_ascii_digit())
        {
            figures += 1;
            let figure = format!("{} {unit}", pair[0]);
            assert!(measured.contains(&figure), "nobody measured {figure}");
        }
    }
    assert!(figures >= 8, "{figures}");
}
