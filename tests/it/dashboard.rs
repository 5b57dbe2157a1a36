//! The page of the admin address: what it is sent with, and what it makes of status documents. How it looks and who can
//! use it is judged in a browser by `.ci/dashboard`.

use crate::harness::{Connection, HELLO, Server, finished, root, said};
use std::process::Command;

/// What guests and clients have written must not run in the operator's browser.
#[test]
fn the_page_may_run_its_own_script_and_nothing_else() {
    let watched = Server::component(HELLO).watched();
    let page = watched.ask("/");
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(policy.contains("script-src 'sha256-"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(page.text().contains("<html lang=\"en\">"));
    for path in ["/", "/status", "/metrics"] {
        let answer = watched.ask(path);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(
        Connection::open(watched.admin)
            .post("/")
            .body("")
            .response()
            .unwrap()
            .status,
        405
    );
}

#[test]
fn the_page_understands_what_servers_say() {
    let mut node = Command::new("node");
    node.arg(root().join("tests/dashboard/model.mjs"));
    let judged = finished(node);
    assert!(judged.status.success(), "{}", said(&judged));
}
