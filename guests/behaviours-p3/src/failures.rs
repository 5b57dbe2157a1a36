//! Guests that fail.

use crate::reply::{sleep, streamed};
use std::hint::black_box;
use std::time::Duration;
use wasip3::http::types::Response;

/// Long enough for what was written to be sent.
const SENT: Duration = Duration::from_millis(50);

pub fn trap_after_head() -> Response {
    streamed(|mut body| async move {
        body.write_all(b"partial\n".to_vec()).await;
        sleep(SENT).await;
        panic!("trapped after the head");
    })
}

pub fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

pub fn spin_after_head() -> Response {
    streamed(|mut body| async move {
        body.write_all(b"partial\n".to_vec()).await;
        sleep(SENT).await;
        spin();
    })
}
