//! Files and directories have names that no text has, and are served all the same.

use crate::harness::{Folder, HELLO, Server, get, order, root, said};
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

/// The supervisor described what it serves in JSON, which such a name is none of, and was gone when the first worker
/// was ready.
#[test]
fn a_directory_whose_name_is_not_utf8_is_served_steered_and_replaced() {
    let folder = Folder::new("odd-names");
    let directory = folder.path().join(OsString::from_vec(b"n\xff n".to_vec()));
    fs::create_dir_all(directory.join("profiles")).unwrap();
    fs::copy(root().join(HELLO), directory.join("a pp.wat")).unwrap();
    fs::write(directory.join("variables"), "NAME=value\n").unwrap();
    let server = Server::component(directory.join("a pp.wat"))
        .option("--pid", directory.join("a pid"))
        .option("--env-file", directory.join("variables"))
        .option("--profile-dir", directory.join("profiles"))
        .option("--admin", "127.0.0.1:0")
        .env("LC_ALL", "C")
        .start();
    let has_path = |status: &serde_json::Value| {
        let path = status["component"]["path"].as_str().unwrap().to_owned();
        assert!(path.ends_with("n\u{fffd} n/a pp.wat"), "{path}");
    };
    has_path(&server.status());
    let reloaded = order(&server, &["reload"]);
    assert_eq!(said(&reloaded), "version 2 is served\n");
    server.signal(Signal::SIGUSR2);
    server.wait_for("ended: replaced with the executable");
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
    has_path(&server.status());
    server.stop();
    assert!(!directory.join("a pid").exists());
}
