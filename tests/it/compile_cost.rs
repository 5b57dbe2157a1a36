//! What compiling takes: memory that does not grow with all of the code, and next to nothing for an application whose
//! interpreter was compiled before.

use crate::harness::{
    HELLO, Server, files, finished, folder, get, guest, pad, root, wasmserve, with_cache,
    with_much_code,
};
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Translated functions of a large component were all kept in memory until the last of them was there.
#[test]
fn memory_that_compiling_takes_does_not_grow_with_all_that_is_compiled() {
    let folder = folder("compile-much");
    let component = folder.join("app.wat");
    fs::write(&component, with_much_code(6000)).unwrap();
    // It took a GiB.
    let server = with_cache(&component, &folder.join("cache"))
        .arg("--limit-compile-memory=384MiB")
        .start();
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
}

/// The greeting with another text of the same length, as large as an application with an interpreter inside.
fn large(folder: &Path, text: &str) -> PathBuf {
    let mut component = fs::read(guest("greeting")).unwrap();
    let greeting = b"Hello, world!";
    let places = component.windows(greeting.len());
    let place = places.into_iter().position(|place| place == greeting);
    let place = place.expect("a greeting");
    component[place..place + greeting.len()].copy_from_slice(text.as_bytes());
    pad(&mut component);
    let path = folder.join(format!("{text}.wasm"));
    fs::write(&path, component).unwrap();
    path
}

fn start(component: &Path, cache: &Path) -> Server {
    with_cache(component, cache)
        .arg("--log-level=debug")
        .start()
}

const KNOWN: &str = "only its data is new";

/// One changed word in an application of Python had all of CPython compiled again.
#[test]
fn an_application_that_differs_in_its_data_is_not_compiled_again() {
    let folder = folder("shared");
    let cache = folder.join("cache");
    for (number, text) in ["Hello, first!", "Hello, again!", "Hello, third!"]
        .into_iter()
        .enumerate()
    {
        let server = start(&large(&folder, text), &cache);
        for _ in 0..3 {
            assert_eq!(get(server.address, "/").text(), format!("{text}\n"));
        }
        assert_eq!(server.printed().contains(KNOWN), number > 0, "{text}");
    }
    let files = files(&cache);
    let inodes: HashSet<u64> = files
        .iter()
        .map(|file| file.metadata().unwrap().ino())
        .collect();
    assert_eq!((files.len(), inodes.len()), (4, 3), "{files:?}");
}

#[test]
fn shared_code_that_was_changed_is_compiled_again() {
    let folder = folder("shared-damaged");
    let cache = folder.join("cache");
    drop(start(&large(&folder, "Hello, first!"), &cache));
    // Both of its names are of one file.
    let file = &files(&cache)[0];
    let mut bytes = fs::read(file).unwrap();
    bytes[5000] ^= 1;
    fs::write(file, bytes).unwrap();
    let server = start(&large(&folder, "Hello, again!"), &cache);
    server.wait_for("compiled code in the cache is not used, and made again");
    assert!(!server.printed().contains(KNOWN));
    assert_eq!(get(server.address, "/").text(), "Hello, again!\n");
}

/// `wasmserve dev` has its code made with less effort: nobody else is served that, and it takes what is better.
#[test]
fn code_that_was_made_soon_is_for_those_who_ask_for_it() {
    let folder = folder("opt-level");
    let component = large(&folder, "Hello, first!");
    let (cache, other) = (folder.join("cache"), large(&folder, "Hello, again!"));
    let is_compiled = |component: &Path, level: &str| {
        let server = with_cache(component, &cache)
            .arg("--log-level=debug")
            .args(["--opt-level", level])
            .start();
        for _ in 0..3 {
            assert_eq!(get(server.address, "/").status, 200);
        }
        let printed = server.printed();
        !printed.contains("Found the compiled code") && !printed.contains(KNOWN)
    };
    assert!(is_compiled(&component, "0"));
    assert!(!is_compiled(&component, "0"));
    assert!(!is_compiled(&other, "0"));
    assert!(is_compiled(&component, "2"));
    let before = files(&cache).len();
    fs::remove_file(&other).unwrap();
    assert!(!is_compiled(&large(&folder, "Hello, third!"), "0"));
    assert!(!is_compiled(&component, "2"));
    assert!(files(&cache).len() > before);
    for wrong in ["1", "fast"] {
        let mut command = wasmserve();
        command.arg(&component).args(["--opt-level", wrong]);
        let output = finished(command);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("--opt-level") && said.contains("[possible values: 0, 2]"),
            "{said}"
        );
    }
}

/// Code of little effort keeps on the stack what it has no more use for. An application in Python that started otherwise
/// had not enough of it.
#[test]
fn code_that_was_made_soon_has_the_stack_that_it_takes() {
    let folder = folder("opt-level-stack");
    let component = folder.join("app.wat");
    let source = fs::read_to_string(root().join(HELLO)).unwrap();
    // Each call has a value of its own to outlive it, and none outlives two.
    let step = "(local.set 1 (i32.add (local.get 1) (call $same (local.get 1))))";
    let deep = format!(
        "(func $same (param i32) (result i32) (local.get 0))
         (func $deep (param i32) (result i32) (local i32)
           (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
           {}
           (i32.add (local.get 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))\n",
        step.repeat(60)
    );
    let (handle, first) = ("(func (export \"handle\")", "(call $drop-request");
    assert!(source.contains(handle) && source.contains(first));
    let source = source.replacen(handle, &format!("{deep}{handle}"), 1);
    let (before, after) = source.split_once(handle).unwrap();
    let call = format!("(drop (call $deep (i32.const 4000))) {first}");
    let source = format!("{before}{handle}{}", after.replacen(first, &call, 1));
    fs::write(&component, source).unwrap();
    for level in ["2", "0"] {
        let server = with_cache(&component, &folder.join(level))
            .args(["--opt-level", level])
            .start();
        assert_eq!(
            get(server.address, "/").text(),
            "Hello, world!\n",
            "{level}"
        );
    }
}
