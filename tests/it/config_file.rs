//! The configuration file, and `wasmserve check`.

use crate::harness::{Server, finished, get, guest, wasmserve};
use nix::sys::signal::Signal;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

/// A file that is gone when the test is.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> File {
        let name = format!("{name}-{}.toml", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, text).unwrap();
        File(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = wasmserve();
    command.args(arguments);
    let Output {
        status,
        stdout,
        stderr,
    } = finished(command);
    (
        status.code(),
        String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned(),
    )
}

#[test]
fn a_file_says_everything_and_the_command_line_has_the_last_word() {
    let text = format!(
        "component = \"{}\"\nworkers = 2\nheader = [\"X-From: file\"]\nserver-header = false\n\
         port = 1\n[env]\nNAME = \"from the file\"\n",
        guest("behaviours")
    );
    let file = File::new("whole", &text);
    let server = Server::configured()
        .option("--config-file", file.path())
        .start();
    assert_eq!(server.workers().len(), 2);
    let answer = get(server.address, "/environment");
    assert_eq!(answer.text(), "NAME=from the file\n");
    assert_eq!(answer.header("x-from"), Some("file"));
    assert_eq!(answer.header("server"), None);
    let other = Server::configured()
        .option("--config-file", file.path())
        .arg("--header=X-From: flag")
        .arg("--server-header")
        .start();
    let answer = get(other.address, "/");
    assert_eq!(answer.header("x-from"), Some("flag"));
    assert_eq!(answer.header("server"), Some("wasmserve"));
}

#[test]
fn a_reload_reads_it_again_and_a_bad_one_changes_nothing() {
    let text = |value: &str| format!("header = [\"X-Version: {value}\"]\n");
    let file = File::new("reload", &text("1"));
    let server = Server::component(guest("behaviours"))
        .option("--config-file", file.path())
        .start();
    fs::write(&file.0, text("2")).unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for("replaced by a reload");
    assert_eq!(get(server.address, "/").header("x-version"), Some("2"));
    fs::write(&file.0, "headr = []\n").unwrap();
    server.signal(Signal::SIGHUP);
    let line = server.wait_for("The reload failed");
    assert!(
        line.contains("`headr`") && line.contains("`header`"),
        "{line}"
    );
    assert_eq!(get(server.address, "/").header("x-version"), Some("2"));
}

#[test]
fn mistakes_are_told_with_the_file_and_the_line() {
    let file = File::new("mistake", "\n\nlimit-quue = 5\n");
    let (status, said) = run(&[&guest("behaviours"), "--config-file", file.path()]);
    assert_eq!(status, Some(2));
    let expected = "line 3: `limit-quue` is not an option; did you mean `limit-queue`?";
    assert!(
        said.contains(file.path()) && said.contains(expected),
        "{said}"
    );
    let (status, said) = run(&[&guest("behaviours"), "--config-file", "/nowhere.toml"]);
    assert_eq!(status, Some(2));
    assert!(said.contains("`/nowhere.toml`"), "{said}");
}

#[test]
fn check_says_what_it_comes_to_and_serves_nothing() {
    let file = File::new("check", "limit-queue = 5\nconfig = [\"TOKEN=hush\"]\n");
    let behaviours = guest("behaviours");
    let (status, said) = run(&[
        "check",
        &behaviours,
        "--config-file",
        file.path(),
        "--workers",
        "3",
    ]);
    assert_eq!(status, Some(0), "{said}");
    for line in [
        "limit-queue = 5 (file)",
        "workers = 3 (command line)",
        "backlog = 2048 (default)",
        "config = TOKEN=… (file)",
        "wasi:http/incoming-handler",
    ] {
        assert!(said.contains(line), "{line} in:\n{said}");
    }
    assert!(!said.contains("hush"), "{said}");
    let (status, _) = run(&["check", &behaviours, "--workers", "none"]);
    assert_eq!(status, Some(2));
    let (status, _) = run(&["check", "guests/behaviours/no-http.wat"]);
    assert_eq!(status, Some(3));
}

#[test]
fn variables_say_yes_and_no_as_elsewhere_and_empty_ones_say_nothing() {
    for (value, flag) in [
        ("1", true),
        ("yes", true),
        ("on", true),
        ("0", false),
        ("", false),
    ] {
        let server = Server::component(guest("behaviours"))
            .env("WASMSERVE_NO_SERVER_HEADER", value)
            .env("WASMSERVE_WORKERS", "")
            .start();
        let answer = get(server.address, "/");
        assert_eq!(answer.header("server").is_none(), flag, "{value:?}");
    }
}

#[test]
fn check_says_what_is_used_where_nothing_was_given() {
    let behaviours = guest("behaviours");
    let checked = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = wasmserve();
        command.args(["check", &behaviours]).args(arguments);
        command.envs(variables.iter().copied());
        let output = finished(command);
        String::from_utf8(output.stdout).unwrap()
    };
    let has = |said: &str, lines: &[&str]| {
        for line in lines {
            assert!(
                said.lines().any(|known| known == *line),
                "{line} in:\n{said}"
            );
        }
    };
    has(
        &checked(&[], &[]),
        &[
            "workers = 1 (default)",
            "host = 127.0.0.1 (default)",
            "port = 8000 (default)",
            "pid = not set (default)",
            "access-log = true (default)",
            "proxy-headers = true (default)",
            "date-header = true (default)",
            "sandbox = auto (default)",
            "forwarded-allow-ips = 127.0.0.1 (default)",
        ],
    );
    has(
        &checked(&[("WEB_CONCURRENCY", "3"), ("PORT", "81")], &["--uds", "x"]),
        &["workers = 3 (environment)", "port = not set (default)"],
    );
    let said = checked(&[("PORT", "81")], &["--workers", "auto"]);
    has(&said, &["port = 81 (environment)"]);
    has(
        &checked(&[("FORWARDED_ALLOW_IPS", "*")], &["--no-access-log"]),
        &[
            "access-log = false (default)",
            "no-access-log = true (command line)",
            "forwarded-allow-ips = * (environment)",
        ],
    );
    let only_port = checked(&[], &["--port", "82"]);
    has(
        &only_port,
        &["host = 127.0.0.1 (default)", "port = 82 (command line)"],
    );
    let workers = said
        .lines()
        .find_map(|line| line.strip_prefix("workers = auto, which is "));
    let count = workers.and_then(|line| line.strip_suffix(" (command line)"));
    assert!(
        count.is_some_and(|count| count.parse::<u16>().is_ok_and(|count| count > 0)),
        "{said}"
    );
}
