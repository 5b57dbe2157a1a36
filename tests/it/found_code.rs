//! Code that was found in the cache and is of no use is made again, also where there is no room left for it.

use crate::harness::{HELLO, Server, files, folder, get, guest, with_cache, with_start};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a file of the cache ends: its name, the digest of that and of what is before it, the mark.
const NAME: usize = 40;
const DIGEST: usize = 32;
const MARK: usize = 8;

fn number(bytes: &[u8], at: usize, length: usize) -> usize {
    let mut number = [0; 8];
    number[..length].copy_from_slice(&bytes[at..at + length]);
    u64::from_le_bytes(number) as usize
}

/// Where the native code is in a file (elf(5)).
fn text(bytes: &[u8]) -> std::ops::Range<usize> {
    let (headers, count) = (number(bytes, 40, 8), number(bytes, 60, 2));
    let (size, names) = (number(bytes, 58, 2), number(bytes, 62, 2));
    let header = |index: usize| headers + index * size;
    let names = number(bytes, header(names) + 24, 8);
    let is_text = |at: &usize| {
        let name = names + number(bytes, *at, 4);
        bytes[name..].starts_with(b".text\0")
    };
    let at = (0..count).map(header).find(is_text).expect("no code");
    let begin = number(bytes, at + 24, 8);
    begin..begin + number(bytes, at + 32, 8)
}

/// Makes code of a file that ends the process which executes it, under a seal that is right.
fn spoil(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let text = text(&bytes);
    // int3 on x86-64, and nothing that is known on aarch64.
    bytes[text].fill(0xcc);
    let end = bytes.len() - (NAME + DIGEST + MARK);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[end..end + NAME]);
    hasher.update(&bytes[..end]);
    let digest = hasher.finalize();
    bytes[end + NAME..][..DIGEST].copy_from_slice(digest.as_bytes());
    fs::write(file, bytes).unwrap();
}

fn names(cache: &Path) -> BTreeSet<PathBuf> {
    files(cache).into_iter().collect()
}

#[test]
fn code_that_was_found_and_crashes_is_made_again() {
    let cache = folder("crashes");
    for component in [HELLO.to_owned(), guest("behaviours")] {
        drop(with_cache(&component, &cache).start());
        let files = names(&cache);
        files.iter().for_each(|file| spoil(file));
        let server = with_cache(&component, &cache).start();
        let printed = server.printed();
        assert!(
            printed.contains("WARNING:  The compiled code in the cache is "),
            "{printed}"
        );
        assert!(printed.contains("killed by SIG"), "{printed}");
        assert_eq!(get(server.address, "/").status, 200);
        files.iter().for_each(|file| fs::remove_file(file).unwrap());
    }
}

/// Guards against a step that fails at each start, until somebody empties the cache.
#[test]
fn so_is_that_of_a_step_before_the_start() {
    let (cache, data) = (folder("step-crashes"), folder("step-data"));
    let with_step = || {
        let store = format!("sqlite:{}", data.join("a.db").display());
        with_cache(HELLO, &cache)
            .option("--keyvalue", store)
            .arg("--env=STEP=")
            .option("--before-start", guest("behaviours-step"))
    };
    drop(with_cache(HELLO, &cache).start());
    let before = names(&cache);
    drop(with_step().start());
    let of_step: Vec<PathBuf> = names(&cache).difference(&before).cloned().collect();
    assert_eq!(of_step.len(), 1, "{of_step:?}");
    spoil(&of_step[0]);
    let server = with_step().start();
    let printed = server.printed();
    assert!(
        printed.contains("The compiled code in the cache is not used, and made again: step before"),
        "{printed}"
    );
    assert!(printed.contains("is done, after"), "{printed}");
}

/// Guards against a compiler that cuts the file of code which it has still mapped (SIGBUS).
#[test]
fn a_start_function_that_traps_is_told_as_it_is() {
    for (body, said) in [
        ("unreachable", "`unreachable` instruction executed"),
        ("(call $begin)", "call stack exhausted"),
    ] {
        let folder = folder("start-traps");
        let path = folder.join("app.wat");
        fs::write(&path, with_start(body)).unwrap();
        let output = Server::component(&path).finished();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{printed}");
        assert!(printed.contains(said), "{printed}");
    }
}

/// Guards against a server that does not come back from a restart because a disk has filled up.
#[test]
fn a_cache_without_room_keeps_nobody_from_serving() {
    let may = Command::new("unshare").args(["--mount", "true"]).output();
    if !may.is_ok_and(|tried| tried.status.success()) {
        eprintln!("not tried: only root can make a file system that is full");
        return;
    }
    let cache = folder("full");
    let script = "mount -t tmpfs -o size=64k,mode=700 tmpfs \"$0\" && exec \"$@\"";
    let server = with_cache(guest("behaviours"), &cache)
        .under([
            "unshare",
            "--mount",
            "sh",
            "-c",
            script,
            cache.to_str().unwrap(),
        ])
        .start();
    let printed = server.printed();
    for said in [
        "There is no room for compiled code in the cache, and it is made again in memory",
        "No space left on device",
    ] {
        assert!(printed.contains(said), "{printed}");
    }
    assert_eq!(get(server.address, "/ok").status, 200);
}
