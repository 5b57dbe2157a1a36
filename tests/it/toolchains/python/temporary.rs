//! Files below `/tmp`, which are in the instance's memory where the operator gives no such directory, and pipes: they are
//! what they are under uvicorn. Guards against libraries that write to a temporary file and have nowhere to.

use super::ask::{Answer, Ask, get};
use super::{OF_TESTS, REUSE, differences, of_tests, place, trials, uvicorn_of};

const PATHS: [&str; 5] = ["files", "appended", "folders", "refused", "pipes"];

#[test]
fn temporary_files_and_pipes_are_what_they_are_under_uvicorn() {
    let native = uvicorn_of(OF_TESTS);
    let asked = |path: &str| -> (Ask, Answer) {
        let ask = get(format!("/temporary/{path}"));
        let answer = ask.of(native.address);
        assert!(answer.text().starts_with(['(', '[']), "{}", answer.text());
        (ask, answer)
    };
    let expected = PATHS.map(asked);
    for reuse in REUSE {
        let server = trials::serve(&of_tests(), &["--no-request-id", "--reuse", reuse]);
        // What one request has left in a file no other finds.
        for _ in 0..2 {
            let found = differences(&server, &expected);
            assert!(found.is_empty(), "--reuse {reuse}:\n{}", found.join("\n"));
        }
    }
}

/// Guards against what WASI's C library makes of the position of a file that is appended to.
#[test]
fn files_of_the_operators_are_read_and_appended_to_as_under_uvicorn() {
    let native = uvicorn_of(OF_TESTS);
    let expected = get("/temporary/appended").of(native.address).text();
    let mapped = format!("{}::/tmp", place("python-appended").display());
    for reuse in REUSE {
        let server = trials::serve(&of_tests(), &["--dir-rw", &mapped, "--reuse", reuse]);
        for _ in 0..2 {
            let answer = get("/temporary/appended").of(server.address);
            assert_eq!(answer.text(), expected);
        }
    }
}

/// Guards against files of memory that stand before the operator's.
#[test]
fn a_directory_of_the_operators_is_tmp_where_there_is_one() {
    let data = place("python-temporary");
    let mapped = format!("{}::/tmp", data.display());
    let server = trials::serve(&of_tests(), &["--dir-rw", &mapped]);
    let kept = || get("/temporary/kept").of(server.address).text();
    assert_eq!((kept(), kept()), ("1".into(), "2".into()));
    assert_eq!(std::fs::read(data.join("kept")).unwrap(), b"xx");
    let server = trials::serve(&of_tests(), &[]);
    let kept = || get("/temporary/kept").of(server.address).text();
    assert_eq!((kept(), kept()), ("1".into(), "1".into()));
}
