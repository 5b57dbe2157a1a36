//! The house keeps its order: imports run forward only, and each process contains only what it needs.

use crate::harness::root;
use std::path::{Path, PathBuf};

/// Every room, with the rooms it may import besides the plain-data modules. `config` reads the
/// command line and fills in the settings of every room behind it.
const ROOMS: [(&str, &[&str]); 22] = [
    ("cli", &["sys"]),
    ("control", &["cli", "config", "sys"]),
    ("admin", &["sys"]),
    ("build", &["cli", "sys"]),
    ("develop", &["build", "cli", "config", "sys"]),
    ("unit", &["cli", "config", "sys"]),
    (
        "config",
        &[
            "cli",
            "supervisor",
            "worker",
            "connection",
            "request",
            "guest",
            "cache",
            "exporter",
            "registry",
            "sandbox",
            "sys",
        ],
    ),
    ("listen", &["config", "connection", "sys"]),
    ("supervisor", &["cache", "sys"]),
    (
        "worker",
        &["connection", "request", "guest", "sandbox", "sys"],
    ),
    ("connection", &["request", "sys"]),
    ("request", &["guest", "sys"]),
    ("guest", &["cache", "sys"]),
    ("cache", &["sys"]),
    ("sandbox", &["sys"]),
    ("sys", &[]),
    ("log", &["sys"]),
    ("scoreboard", &["sys"]),
    ("channel", &["cache", "sys"]),
    ("trace", &["sys"]),
    ("exporter", &["guest", "sys"]),
    ("registry", &["cache", "guest", "sys"]),
];

/// Plain data that any room may use, and the macros of `log` and of `sys::print`.
const PLAIN: [&str; 13] = [
    "channel",
    "err",
    "errln",
    "error",
    "exit",
    "info",
    "log",
    "out",
    "outln",
    "scoreboard",
    "trace",
    "warning",
    "debug",
];

/// The map for readers has the rules that the sources are checked by, and no room is in neither.
#[test]
fn the_map_has_the_same_rooms_and_rules() {
    let map = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for (room, allowed) in ROOMS {
        let begins = format!("| [`{room}`](../src/{room}");
        let row = map.lines().find(|line| line.starts_with(&begins));
        let row = row.unwrap_or_else(|| panic!("docs/architecture.md has no row for `{room}`"));
        let told = row.split('|').nth(3).unwrap().split('`');
        let mut told: Vec<&str> = told.skip(1).step_by(2).collect();
        let mut allowed = allowed.to_vec();
        told.sort_unstable();
        allowed.sort_unstable();
        assert_eq!(told, allowed, "docs/architecture.md about `{room}`");
    }
    let rows = map.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("| [`")?.split_once("`](../src/guest/")?;
        rest.starts_with(&format!("{name}/mod.rs")).then_some(name)
    });
    assert_eq!(rows.collect::<Vec<_>>(), GUEST_ROOMS);
    for entry in std::fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let known = name == "fuzzing" || ROOMS.iter().any(|(room, _)| *room == name);
        assert!(
            !path.is_dir() || known,
            "nothing says what `{name}` may import"
        );
    }
}

/// What must not be named under a room.
const BANNED: [(&str, &[&str]); 10] = [
    ("supervisor", &["tokio", "hyper", "wasmtime"]),
    ("control", &["tokio", "hyper", "wasmtime"]),
    ("admin", &["wasmtime", "fork", "waitpid", "waitid", "kill"]),
    (
        "exporter",
        &["wasmtime", "fork", "waitpid", "waitid", "kill"],
    ),
    ("registry", &["wasmtime", "fork", "waitpid", "waitid"]),
    ("sys", &["tokio", "hyper", "wasmtime"]),
    ("sandbox", &["tokio", "hyper", "wasmtime"]),
    ("listen", &["tokio", "hyper", "wasmtime"]),
    ("worker", &["wasmtime", "fork", "waitpid", "waitid", "kill"]),
    ("connection", &["wasmtime"]),
];

fn sources(room: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    collect(&root().join("src").join(room), &mut found);
    collect(&root().join("src").join(format!("{room}.rs")), &mut found);
    assert!(!found.is_empty(), "there is no room {room}");
    found
}

fn collect(path: &Path, found: &mut Vec<(PathBuf, String)>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs")
        && let Ok(text) = std::fs::read_to_string(path)
    {
        let code: Vec<&str> = text
            .lines()
            .map(|line| line.split("//").next().unwrap())
            .collect();
        found.push((path.to_owned(), code.join("\n")));
    }
}

/// The identifiers that follow `crate::`, also inside a group.
fn imported(code: &str) -> Vec<String> {
    imported_from(code, "crate::")
}

/// The identifiers that follow this path, also inside a group.
fn imported_from(code: &str, path: &str) -> Vec<String> {
    let mut names = Vec::new();
    for rest in code.split(path).skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => {
                let group = group.split(';').next().unwrap();
                let mut depth = 0;
                for part in group.split_inclusive([',', '{', '}']) {
                    if depth == 0 {
                        names.push(identifier(part.trim()));
                    }
                    depth += part.matches('{').count() as i32 - part.matches('}').count() as i32;
                }
            }
            None => names.push(identifier(rest)),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn imports_run_forward() {
    for (room, allowed) in ROOMS {
        for (path, code) in sources(room) {
            for name in imported(&code) {
                let known = name == room
                    || allowed.contains(&name.as_str())
                    || PLAIN.contains(&name.as_str());
                assert!(known, "{} imports `{name}`", path.display());
            }
        }
    }
}

/// The rooms of `guest`, each of which may import those before it and no other.
const GUEST_ROOMS: [&str; 9] = [
    "component",
    "memory",
    "schedule",
    "snapshot",
    "engine",
    "recording",
    "host",
    "instance",
    "compile",
];

/// What stands beneath the rooms of `guest`.
const GUEST_PLAIN: [&str; 7] = [
    "core_dump",
    "counts",
    "failure",
    "limits",
    "observed",
    "profile",
    "startup",
];

#[test]
fn the_rooms_of_guest_import_those_beneath_them_only() {
    for (position, room) in GUEST_ROOMS.into_iter().enumerate() {
        for (path, code) in sources(&format!("guest/{room}")) {
            let within = path.strip_prefix(root().join("src/guest")).unwrap();
            let is_root = within.ends_with("mod.rs");
            let depth = within.components().count() - usize::from(is_root);
            let escape = "super::".repeat(depth);
            assert!(!code.contains(&escape), "{}", path.display());
            for name in imported_from(&code, "crate::guest::") {
                let known = name == room
                    || GUEST_ROOMS[..position].contains(&name.as_str())
                    || GUEST_PLAIN.contains(&name.as_str());
                assert!(known, "{} imports `guest::{name}`", path.display());
            }
        }
    }
    for name in GUEST_PLAIN {
        for (path, code) in sources(&format!("guest/{name}")) {
            let imports = imported_from(&code, "crate::guest::");
            assert!(imports.is_empty(), "{} imports {imports:?}", path.display());
        }
    }
}

#[test]
fn each_process_contains_only_what_it_needs() {
    for (room, banned) in BANNED {
        for (path, code) in sources(room) {
            let words: Vec<&str> = code
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .collect();
            for word in banned {
                assert!(!words.contains(word), "{} names `{word}`", path.display());
            }
        }
    }
}

#[test]
fn wasmtime_stays_in_the_guest_room() {
    for room in [
        "cli",
        "build",
        "develop",
        "config",
        "listen",
        "supervisor",
        "worker",
        "connection",
        "sandbox",
        "sys",
        "log",
        "scoreboard",
    ] {
        for (path, code) in sources(room) {
            assert!(
                !code.contains("wasmtime"),
                "{} names wasmtime",
                path.display()
            );
        }
    }
}

#[test]
fn unsafe_code_stays_in_sys_and_where_code_is_mapped() {
    let mut all = Vec::new();
    collect(&root().join("src"), &mut all);
    for (path, code) in all {
        let name = path.strip_prefix(root().join("src")).unwrap();
        let may = name.starts_with("sys")
            || name == Path::new("guest/engine/code.rs")
            || name == Path::new("guest/snapshot/memory.rs")
            || name == Path::new("scoreboard.rs");
        let calls_fork = name.starts_with("supervisor");
        assert!(
            may || calls_fork || !code.contains("unsafe"),
            "{} has unsafe code",
            path.display()
        );
    }
}

#[test]
fn every_file_opens_with_what_it_decides() {
    let mut all = Vec::new();
    collect(&root().join("src"), &mut all);
    collect(&root().join("tests"), &mut all);
    for (path, _) in all {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("//! "),
            "{} does not open with `//!`",
            path.display()
        );
        let lines = text.lines().count();
        let limit = if path.ends_with("policy/tests.rs") {
            600
        } else {
            400
        };
        assert!(lines <= limit, "{} has {lines} lines", path.display());
    }
}

/// What two tests need is in the harness: whoever changes one test then knows that no other depends on it.
#[test]
fn tests_do_not_import_each_other() {
    let tests = root().join("tests/it");
    let mut all = Vec::new();
    collect(&tests, &mut all);
    for (path, code) in all {
        let within = path.strip_prefix(&tests).unwrap();
        let room = within.components().next().unwrap().as_os_str();
        let room = room.to_str().unwrap().trim_end_matches(".rs");
        if room == "layering" {
            continue;
        }
        for name in imported(&code) {
            assert!(
                name == room || name == "harness",
                "{} imports `{name}`",
                path.display()
            );
        }
    }
}
