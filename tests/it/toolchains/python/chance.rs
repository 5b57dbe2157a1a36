//! The functions of `random`: each instance draws for itself, whatever was drawn while the component was built or primed.

use super::{REUSE, of_tests, trials};
use crate::harness::get;
use std::collections::HashSet;

const WAYS: [&str; 11] = [
    "random",
    "kept",
    "getrandbits",
    "choice",
    "gauss",
    "randint",
    "shuffle",
    "state",
    "bytes",
    "mocked",
    "seeded",
];

#[test]
fn what_requests_draw_at_random_differs_and_what_is_seeded_does_not() {
    let primed = ["--prime", "/chance/random", "--prime", "/chance/gauss"];
    let reused = REUSE.map(|reuse| vec!["--reuse", reuse]);
    for options in reused.into_iter().chain([primed.to_vec()]) {
        let server = trials::serve(&of_tests(), &options);
        for way in WAYS {
            let path = format!("/chance/{way}");
            let drawn: HashSet<String> = (0..8)
                .map(|_| {
                    let answer = get(server.address, &path);
                    assert_eq!(answer.status, 200, "{way}, {options:?}: {}", answer.text());
                    answer.text()
                })
                .collect();
            assert_eq!(drawn.len(), 8, "{way}, {options:?}: {drawn:?}");
        }
    }
}
