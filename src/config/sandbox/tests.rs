//! These tests show what a process that has entered the sandbox can do, and what it cannot, with real processes and the
//! real kernel.

mod attempts;

use super::*;
use crate::cli::Cli;
use crate::config::Config;
use crate::sandbox::Role;
use clap::Parser;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

fn resolved(arguments: &[&str]) -> Result<Arc<Sandbox>> {
    let component = ["wasmserve", "/app.wasm"].iter();
    let config = Config::resolve(&Cli::parse_from(component.chain(arguments)).serve)?;
    Ok(config.worker.sandbox)
}

fn sandbox(arguments: &[&str]) -> Arc<Sandbox> {
    resolved(arguments).unwrap()
}

fn mistake(arguments: &[&str]) -> String {
    format!("{:#}", resolved(arguments).unwrap_err())
}

#[test]
fn only_what_was_named_is_granted() {
    assert_eq!(sandbox(&[]).grants, Grants::default());
    let files = &[
        "--static", "/a=/usr", "--dir", "/etc::/e", "--dir-rw", "/tmp::/t",
    ];
    let files = sandbox(files);
    assert_eq!(
        files.grants.readable,
        [Path::new("/usr"), Path::new("/etc")]
    );
    assert_eq!(files.grants.writable, [Path::new("/tmp")]);
    for (store, directory) in [("sqlite:a.db", "."), ("sqlite:/tmp/a.db", "/tmp")] {
        let file = store.replace("sqlite:", "app=");
        for option in [["--keyvalue", store], ["--sqlite", &file]] {
            let grants = &sandbox(&option).grants;
            assert_eq!(grants.writable, [Path::new(directory)]);
            assert!(grants.database);
        }
    }
    for connects in [
        ["--allow-http", "*"],
        ["--allow-net", "10.0.0.0/8:53"],
        ["--keyvalue", "redis://localhost"],
        ["--postgres", "app=postgres://u@localhost/app"],
    ] {
        assert!(sandbox(&connects).grants.connects, "{connects:?}");
    }
    let redis = sandbox(&["--keyvalue", "redis+unix:///run/redis.sock"]);
    assert_eq!(redis.grants.unix_sockets, [Path::new("/run/redis.sock")]);
    assert!(!redis.grants.connects);
    let databases = sandbox(&["--postgres", "app=postgres://u@%2Frun/app"]);
    assert_eq!(
        databases.grants.unix_sockets,
        [Path::new("/run/.s.PGSQL.5432")]
    );
    assert!(!databases.grants.connects);
}

#[test]
fn a_mode_is_said_once() {
    for (arguments, mode) in [
        (&[][..], SandboxMode::Auto),
        (&["--sandbox", "auto"], SandboxMode::Auto),
        (&["--sandbox", "off"], SandboxMode::Off),
        (&["--no-sandbox"], SandboxMode::Off),
        (&["--no-sandbox", "--sandbox", "off"], SandboxMode::Off),
    ] {
        assert_eq!(sandbox(arguments).mode, mode, "{arguments:?}");
    }
    assert!(mistake(&["--no-sandbox", "--sandbox", "auto"]).contains("leave one of them out"));
    assert!(mistake(&["--no-sandbox", "--sandbox", "strict"]).contains("leave one of them out"));
    assert!(mistake(&["--sandbox", "maybe"]).starts_with("option --sandbox: `maybe`"));
}

/// Grants as operators give them, one by one and together.
fn grants() -> Vec<Vec<String>> {
    let one = |arguments: &[&str]| arguments.iter().map(|word| (*word).to_owned()).collect();
    vec![
        one(&[]),
        one(&["--allow-http", "*"]),
        one(&["--allow-net", "127.0.0.1:53"]),
        one(&["--dir", "HOME/read"]),
        one(&["--dir-rw", "HOME/write"]),
        one(&["--keyvalue", "sqlite:HOME/write/a.db"]),
        one(&[
            "--allow-http",
            "*",
            "--dir-rw",
            "HOME/write",
            "--dir",
            "HOME/read",
        ]),
    ]
}

/// This variable describes one attempt: with these grants, in this role, as root or as somebody else.
const ATTEMPT: &str = "WASMSERVE_TEST_ATTEMPT";

/// Makes an attempt in processes of its own, with all combinations of grants, with and without root.
fn attempt(name: &str, role: &str) {
    let home = std::env::temp_dir().join(format!(
        "wasmserve-sandbox-{name}-{role}-{}",
        std::process::id()
    ));
    let _ = std::fs::remove_dir_all(&home);
    attempts::furnish(&home);
    let root = nix::unistd::geteuid().is_root();
    let users: &[&[&str]] = match root {
        true => &[&[], &["--user", "65534", "--group", "65534"]],
        false => &[&[]],
    };
    for grants in grants() {
        for user in users {
            let mut arguments = grants
                .join(" ")
                .replace("HOME", &home.display().to_string());
            user.iter()
                .for_each(|word| arguments += &format!(" {word}"));
            let made = Command::new(std::env::current_exe().unwrap())
                .args([
                    "config::sandbox::tests::one_attempt",
                    "--exact",
                    "--ignored",
                ])
                .args(["--nocapture", "--test-threads=1"])
                .env(
                    ATTEMPT,
                    format!("{name}\n{role}\n{}\n{arguments}", home.display()),
                )
                .output()
                .unwrap();
            assert!(
                made.status.success(),
                "{name} as {role} with `{arguments}`:\n{}{}",
                String::from_utf8_lossy(&made.stdout),
                String::from_utf8_lossy(&made.stderr)
            );
        }
    }
    std::fs::remove_dir_all(home).unwrap();
}

/// The other tests run this one in a process of its own.
#[test]
#[ignore = "it is an attempt that other tests make"]
fn one_attempt() {
    let Ok(attempt) = std::env::var(ATTEMPT) else {
        return;
    };
    let words: Vec<&str> = attempt.split('\n').collect();
    let [name, role, home, arguments] = words[..] else {
        panic!("{attempt}");
    };
    let role = match role {
        "worker" => Role::Worker,
        "step" => Role::Step,
        "compiler" => Role::Compiler,
        "zygote" => Role::Zygote,
        "admin" => Role::Admin,
        "log" => Role::Log,
        "exporter" => Role::Exporter,
        "registry" => Role::Registry,
        _ => panic!("{role}"),
    };
    let home = Path::new(home);
    let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
    let (component, cache) = (home.join("app.wasm"), home.join("cache"));
    arguments.extend(["--cache-dir", cache.to_str().unwrap()]);
    let mut sandbox = Sandbox::clone(&sandbox(&arguments));
    sandbox.sources = vec![component];
    if matches!(role, Role::Admin | Role::Log) {
        // What guests were given is not for it.
        sandbox.grants = Grants::default();
    }
    if role == Role::Exporter {
        // Of the ports in use here, none is its collector's.
        sandbox.grants = Grants {
            connects: true,
            port: Some(1),
            ..Grants::default()
        };
    }
    if role == Role::Registry {
        sandbox.grants = Grants {
            connects: true,
            writable: vec![home.join("write")],
            ..Grants::default()
        };
    }
    attempts::make(name, &sandbox, role, home);
}

/// Each test tries one sentence of the table in docs/sandbox.md in a worker.
macro_rules! sentences {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            attempt(stringify!($name), "worker");
        }
    )*};
}

sentences! {
    it_opens_nothing_but_what_was_named
    it_signals_nobody_else
    it_starts_no_process
    it_makes_no_memory_executable
    it_changes_no_listener
    it_writes_to_the_end_of_the_log_alone
    it_changes_no_modes_and_lends_no_rights
    it_passes_nothing_on
    it_connects_to_nobody_unless_that_was_granted
    it_has_no_system_call_that_serving_does_not_take
    it_gains_no_rights_and_has_none_of_root
    its_memory_is_seen_by_nobody_and_left_in_no_file
    it_has_no_terminal
}

#[test]
fn steps_are_kept_to_the_same() {
    for name in [
        "it_opens_nothing_but_what_was_named",
        "it_starts_no_process",
        "it_changes_no_modes_and_lends_no_rights",
        "it_makes_no_memory_executable",
        "it_connects_to_nobody_unless_that_was_granted",
    ] {
        attempt(name, "step");
    }
}

/// The admin process answers whoever can reach its address.
#[test]
fn the_admin_process_has_less_than_a_worker() {
    for name in [
        "it_signals_nobody_else",
        "it_starts_no_process",
        "it_changes_no_modes_and_lends_no_rights",
        "it_makes_no_memory_executable",
        "it_changes_no_listener",
        "it_connects_to_nobody_unless_that_was_granted",
        "it_gains_no_rights",
    ] {
        attempt(name, "admin");
    }
}

/// The process that writes logs reads what workers write.
#[test]
fn the_process_that_writes_logs_has_less_than_a_worker() {
    for name in [
        "it_signals_nobody_else",
        "it_starts_no_process",
        "it_changes_no_modes_and_lends_no_rights",
        "it_makes_no_memory_executable",
        "it_connects_to_nobody_unless_that_was_granted",
        "it_gains_no_rights",
    ] {
        attempt(name, "log");
    }
}

/// What it reads comes from workers, and what it is answered from somebody else.
#[test]
fn the_exporter_reaches_one_port_and_has_no_more_than_a_worker() {
    for name in [
        "it_signals_nobody_else",
        "it_starts_no_process",
        "it_changes_no_modes_and_lends_no_rights",
        "it_makes_no_memory_executable",
        "it_connects_to_nobody_unless_that_was_granted",
        "it_gains_no_rights",
    ] {
        attempt(name, "exporter");
    }
}

/// What it reads comes from a registry, and from whoever is on the way.
#[test]
fn the_process_that_pulls_writes_what_it_pulls_and_has_no_more_than_a_worker() {
    for name in [
        "it_opens_nothing_but_what_was_named",
        "it_signals_nobody_else",
        "it_starts_no_process",
        "it_changes_no_modes_and_lends_no_rights",
        "it_makes_no_memory_executable",
        "it_gains_no_rights",
    ] {
        attempt(name, "registry");
    }
}

#[test]
fn the_compiler_reaches_nobody_and_writes_into_no_cache() {
    for name in [
        "it_writes_no_code_but_into_what_is_open",
        "it_starts_no_process",
        "it_changes_no_modes_and_lends_no_rights",
        "it_connects_to_nobody_unless_that_was_granted",
        "it_gains_no_rights",
    ] {
        attempt(name, "compiler");
    }
}

#[test]
fn the_zygote_forks_and_nothing_else() {
    for name in [
        "it_forks",
        "it_changes_no_modes_and_lends_no_rights",
        "it_opens_nothing_to_write_but_what_was_named",
        "it_makes_no_memory_executable",
        "it_connects_to_nobody_unless_that_was_granted",
        "it_gains_no_rights",
    ] {
        attempt(name, "zygote");
    }
}
