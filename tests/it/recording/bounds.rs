//! How many recordings there are, what is too much for one, and what is said of that.

use super::{SAME, recording, recordings, replayed};
use crate::harness::{Folder, Server, get, guest};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn what_is_not_recorded_as_there_are_enough_is_said_once_until_there_is_room() {
    let folder = Folder::new("enough");
    let server = recording(&folder, &["--workers", "1", "--record-count", "1"]);
    let fails = |path: &str| assert_eq!(get(server.address, path).status, 500, "{path}");
    fails("/trap-before-head");
    server.wait_for("a failing request is recorded in ");
    fails("/no-response");
    server.wait_for("there are 1 recordings in `");
    fails("/respond?status=500");
    fs::remove_file(recordings(&folder).remove(0)).unwrap();
    fails("/no-response");
    server.wait_for_count("a failing request is recorded in ", 2);
    fails("/trap-before-head");
    server.wait_for_count("there are 1 recordings in `", 2);
}

#[test]
fn a_directory_that_workers_may_not_write_into_is_told_of_at_the_start() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let folder = Folder::new("closed");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let server = Server::component(guest("behaviours"))
        .option("--record-failures", folder.path())
        .args(["--user", "65534", "--group", "65534"])
        .start();
    server.wait_for("failing requests cannot be recorded in `");
    assert_eq!(get(server.address, "/trap-before-head").status, 500);
    server.wait_for("a failing request cannot be recorded: ");
    assert!(recordings(&folder).is_empty());
}

#[test]
fn a_body_that_does_not_end_as_it_should_is_recorded_as_a_failure() {
    let folder = Folder::new("unfinished");
    let server = recording(&folder, &[]);
    let _ = server.connect().get("/unfinished").response();
    server.wait_for("a failing request is recorded in ");
    let (output, said) = replayed(&recordings(&folder)[0], &[]);
    assert!(said.contains("It is the same failure."), "{said}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn values_of_the_store_are_recorded_as_long_as_they_are_and_no_longer() {
    let (folder, data) = (Folder::new("values"), Folder::new("values-store"));
    let server = Server::component(guest("behaviours-keyvalue"))
        .option("--keyvalue", format!("sqlite:{}", data.file("store.db")))
        .option("--record-failures", folder.path())
        .start();
    for (bytes, said) in [
        (3_000_000, "a failing request is recorded in "),
        (
            5_000_000,
            "a failing request is not recorded: its bodies, files and values have more",
        ),
    ] {
        let set = format!("/set-large?bytes={bytes}");
        assert_eq!(get(server.address, &set).status, 200);
        let path = format!("/get-large?trap={bytes}");
        assert_eq!(get(server.address, &path).status, 500);
        server.wait_for(said);
        // The next one is another failure only where there is no recording of this one.
        for file in recordings(&folder) {
            let (output, said) = replayed(&file, &[]);
            assert!(said.contains(SAME), "{said}");
            assert_eq!(output.status.code(), Some(0));
            fs::remove_file(file).unwrap();
        }
    }
}
