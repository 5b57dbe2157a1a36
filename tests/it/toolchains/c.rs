//! C, built with zig's compiler, on the bare bindings of wasi:http.

use super::{built, trials};

const SERVER: &str = "guests/c/server";

#[test]
fn a_thousand_requests_fresh_and_reused() {
    for reuse in ["1", "100"] {
        let server = trials::serve(&built(SERVER), &["--reuse", reuse]);
        trials::a_thousand_mixed_requests(&server);
        assert!(!server.printed().contains("ERROR"), "{}", server.printed());
    }
}

#[test]
fn bodies_are_streamed() {
    for reuse in ["1", "100"] {
        let server = trials::serve(&built(SERVER), &["--reuse", reuse]);
        trials::what_is_streamed_comes_as_it_is_written(&server);
        trials::a_large_body_comes_back(&server);
    }
}

#[test]
fn signals_under_load_cost_no_more_than_they_must() {
    let server = trials::serve(&built(SERVER), &["--reuse", "100"]);
    trials::signals_under_load_cost_no_more_than_they_must(&server);
}
