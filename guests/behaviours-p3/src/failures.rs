//! Guests that fail.

use crate::reply::{self, sleep, streamed};
use query::Query;
use std::hint::black_box;
use std::time::Duration;
use wasip3::http::types::{Fields, Response};
use wasip3::random::random::get_random_bytes;

/// Long enough for what was written to be sent.
const SENT: Duration = Duration::from_millis(50);

pub fn trap_after_head() -> Response {
    streamed(|mut body| async move {
        body.write_all(b"partial\n".to_vec()).await;
        sleep(SENT).await;
        panic!("trapped after the head");
    })
}

/// Traps when its answer is whole, `ms` later.
pub fn trap_after_answer(query: &Query) -> Response {
    let pause = Duration::from_millis(query.number("ms", 0));
    streamed(move |mut body| async move {
        body.write_all(b"whole\n".to_vec()).await;
        drop(body);
        if !pause.is_zero() {
            sleep(pause).await;
        }
        panic!("trapped after the answer");
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

/// Takes memory until there is none.
pub fn hog() -> ! {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; 1 << 20]));
    }
}

pub fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if frame[0] == u64::MAX {
        0
    } else {
        black_box(recurse(depth + 1)) + frame[0]
    }
}

/// Has the host work, again and again.
pub fn toil() -> ! {
    loop {
        black_box(get_random_bytes(1 << 20));
    }
}

/// Holds `n` of the host's resources.
pub fn resources(query: &Query) -> Response {
    let held: Vec<Fields> = (0..query.number("n", 100_000))
        .map(|_| Fields::new())
        .collect();
    reply::text(format!("held {}\n", held.len()))
}

/// A field of `bytes` bytes.
pub fn fields(query: &Query) -> Response {
    let length = usize::try_from(query.number("bytes", 10 << 20)).expect("it fits");
    let set = Fields::new().set("x-long", &[vec![b'x'; length]]);
    reply::text(format!("{set:?}\n"))
}
