//! A step before the start in WASI 0.3, for the tests: it fails where the variable STEP says so.

use wasip3::clocks::monotonic_clock;

wasip3::cli::command::export!(Step);

struct Step;

impl wasip3::exports::cli::run::Guest for Step {
    async fn run() -> Result<(), ()> {
        println!("waiting for a millisecond");
        monotonic_clock::wait_for(1_000_000).await;
        match std::env::var("STEP").as_deref() {
            Ok("fail") => Err(()),
            _ => Ok(()),
        }
    }
}
