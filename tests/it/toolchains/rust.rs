//! Rust, built by cargo. Its guests' own tests are elsewhere; here it is `wasmserve build` that builds.

use super::{built, trials};
use crate::harness::get;

#[test]
fn a_package_is_built_and_served() {
    let server = trials::serve(&built("guests/rust/hello"), &[]);
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
    trials::signals_under_load_cost_no_more_than_they_must(&server);
}

#[test]
fn what_it_echoes_comes_back() {
    for reuse in ["1", "100"] {
        let server = trials::serve(&built("guests/rust/echo"), &["--reuse", reuse]);
        trials::a_large_body_comes_back(&server);
    }
}
