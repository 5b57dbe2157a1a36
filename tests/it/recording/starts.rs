//! What an application was given when it was primed is given again.

use super::{SAME, recordings, replayed};
use crate::harness::{Folder, Server, get, guest};

/// Replays, and says what was printed on both streams.
fn said(file: &std::path::Path, arguments: &[&str]) -> String {
    let (output, said) = replayed(file, arguments);
    said + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn an_application_that_has_asked_the_store_when_it_was_primed_is_primed_again_without_it() {
    let (folder, data) = (Folder::new("primed"), Folder::new("primed-store"));
    let prime = ["--prime", "/increment?delta=5"];
    let server = Server::component(guest("behaviours-keyvalue"))
        .option("--keyvalue", format!("sqlite:{}", data.file("store.db")))
        .option("--record-failures", folder.path())
        .args(prime)
        .start();
    server.wait_for("Primed ");
    assert_eq!(
        get(server.address, "/increment?delta=7&trap=yes").status,
        500
    );
    server.wait_for("a failing request is recorded in ");
    server.stop();
    std::fs::remove_dir_all(data.path()).unwrap();
    let file = recordings(&folder).remove(0);
    let again = said(&file, &[&prime[..], &["--trace-calls"]].concat());
    for words in [
        SAME,
        "wasi:keyvalue increment default key 5 -> Ok(5)",
        "wasi:keyvalue increment default key 7 -> Ok(12)",
    ] {
        assert!(again.contains(words), "{words} in {again}");
    }
    for words in ["another way", "Given otherwise"] {
        assert!(!again.contains(words), "{words} in {again}");
    }
    let without = said(&file, &[]);
    assert!(
        without.contains("it was primed then, and is not now"),
        "{without}"
    );
    let other = said(&file, &["--prime", "/exists"]);
    let way = "Its start went another way at host call 1: recorded was `wasi:keyvalue increment default key 5";
    assert!(other.contains(way), "{other}");
}
