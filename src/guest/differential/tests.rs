//! These tests compare components made up from fixed seeds: what they find, they find each time. With
//! `WASMSERVE_FUZZ_SECONDS` it goes on for longer, with other seeds.

use super::*;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use std::time::{Duration, Instant};

/// Most of the time goes to the compiler, which is built with optimisation either way.
const CASES: u64 = 2000;
const TIME: Duration = Duration::from_secs(60);

fn verdict(seed: u64) -> ComparisonResult {
    let mut random = StdRng::seed_from_u64(seed);
    let mut bytes = vec![0; 8 << 10];
    random.fill_bytes(&mut bytes);
    compare(&bytes)
}

/// Guards against state that survives from one request to the next, and against memory of the engine's own that
/// is restored behind its back (globals in components inside; heaps of garbage-collected objects).
#[test]
fn restored_instances_are_as_fresh_ones() {
    let start = Instant::now();
    let (mut restored, mut made_anew, mut requests) = (0, 0, 0);
    let asked = std::env::var("WASMSERVE_FUZZ_SECONDS").ok();
    let asked = asked.map(|text| Duration::from_secs(text.parse().unwrap()));
    let seeds = match asked {
        Some(_) => rand::rng().random::<u32>().into()..u64::MAX,
        None => 0..CASES,
    };
    for seed in seeds {
        if start.elapsed() > asked.unwrap_or(TIME) {
            break;
        }
        let verdict = std::panic::catch_unwind(|| verdict(seed));
        match verdict.unwrap_or_else(|_| panic!("seed {seed}: see above")) {
            ComparisonResult::Restored(count) => {
                restored += 1;
                requests += count;
            }
            ComparisonResult::MadeAnew(_) => made_anew += 1,
            ComparisonResult::Nothing => {}
        }
    }
    println!(
        "{restored} components restored over {requests} requests, {made_anew} made anew, in {:?}",
        start.elapsed()
    );
    // Otherwise it shows nothing.
    assert!(restored > 20 && made_anew > 20);
}

/// Guards against components that are made anew for reasons nobody thought of.
#[test]
fn components_that_are_not_restored_have_a_reason() {
    let mut reasons = std::collections::BTreeMap::new();
    for seed in 0..60 {
        if let ComparisonResult::MadeAnew(reason) = verdict(seed) {
            *reasons.entry(reason).or_insert(0) += 1;
        }
    }
    println!("{reasons:#?}");
    assert!(
        reasons
            .keys()
            .any(|reason| reason == "it has code from elsewhere")
    );
}
