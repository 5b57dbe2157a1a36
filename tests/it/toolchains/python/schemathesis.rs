//! Schemathesis, which makes requests of a schema, and judges the answers by it.

use super::{fastapi, uvicorn};
use crate::harness::{Server, Upstream, finished, root};
use crate::toolchains::place;
use std::path::Path;
use std::process::{Command, Output};

/// Asks the same of each server: with examples, at the edges of what is allowed, and beyond them.
fn asked(server: &Server, at: &Path, options: &[&str]) -> Output {
    let url = format!("http://{}", server.address);
    let mut command = Command::new(root().join("target/python/schemathesis/bin/schemathesis"));
    command
        .current_dir(at)
        .args(["run", "--url", &url, &format!("{url}/openapi.json")])
        .args(["--phases", "examples,coverage,fuzzing", "--checks", "all"])
        .args(["--max-examples", "20", "--seed", "1", "--no-shrink"])
        .args(["--continue-on-failure", "--generation-database", "none"])
        // It takes as long as it is told to.
        .args(["--exclude-path", "/events", "--no-color"])
        .args(["--baseline", "known.json"])
        .args(options);
    finished(command)
}

#[test]
fn schemathesis_finds_nothing_that_it_does_not_find_under_uvicorn() {
    let at = place("schemathesis");
    let native = asked(&uvicorn(), &at, &["--baseline-update"]);
    let text = String::from_utf8_lossy(&native.stdout);
    // The sample fails on purpose here and there, so that this shows that failures are found.
    assert!(text.contains("Server error"), "{text}");
    let upstream = Upstream::friendly();
    let found = asked(&fastapi("100", &upstream), &at, &[]);
    let text = String::from_utf8_lossy(&found.stdout);
    assert!(found.status.success(), "{text}");
}
