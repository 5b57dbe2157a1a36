//! What `wasmserve build` makes is known to answer as often as it is asked: with --reuse, also requests that cannot be
//! repeated get instances that have answered before.

use super::{built, trials};
use crate::harness::Server;

const SAMPLES: [&str; 3] = [
    "guests/python/starlette",
    "guests/javascript",
    "guests/go/server",
];

#[test]
fn instances_are_used_again_where_nothing_is_asked_that_can_be_repeated() {
    for sample in SAMPLES {
        let watched = Server::component(built(sample))
            .workers(1)
            .args(["--reuse", "100"])
            .watched();
        let mut connection = watched.server.connect();
        for _ in 0..20 {
            let answer = trials::post(&mut connection, "/echo", b"{}");
            assert_eq!(answer.status, 200, "{sample}: {}", answer.text());
        }
        let made = "wasmserve_instances_made_total{reason=\"pool_empty\"}";
        assert_eq!(watched.metric(made), 0.0, "{sample}");
    }
}
