//! Guests that fail.

use crate::reply::{self, head, sleep};
use query::Query;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use wasip2::http::types::{ErrorCode, Fields, IncomingRequest, ResponseOutparam};
use wasip2::random::insecure::get_insecure_random_u64;
use wasip2::random::random::{get_random_bytes, get_random_u64};

/// Long enough for what was written to be sent.
const SENT: Duration = Duration::from_millis(50);

/// Its name is in a backtrace, whatever the compiler makes of who calls it.
#[inline(never)]
pub fn trap_before_head() {
    panic!("trapped before the head");
}

pub fn trap_after_head(out: ResponseOutparam) {
    let body = head(out, 200, &[]);
    body.write("partial\n");
    sleep(SENT);
    panic!("trapped after the head");
}

/// Traps when its answer is whole, `ms` later.
pub fn trap_after_answer(out: ResponseOutparam, query: &Query) {
    reply::text(out, "whole\n");
    let pause = Duration::from_millis(query.number("ms", 0));
    if !pause.is_zero() {
        sleep(pause);
    }
    panic!("trapped after the answer");
}

/// Traps in functions that depend on the body, on random numbers and on the clocks, after `ms`.
pub fn trap_by_chance(request: IncomingRequest, query: &Query) {
    let body = request.consume().expect("the only body");
    let stream = body.stream().expect("the only stream");
    let mut sum = 0_u64;
    while let Ok(bytes) = stream.blocking_read(65536) {
        // How the body came counts, too.
        let read = bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        sum = sum.wrapping_mul(31).wrapping_add(read);
    }
    sleep(Duration::from_millis(query.number("ms", 0)));
    let random = get_random_u64() ^ get_insecure_random_u64();
    let wall = wall_clock::now();
    let time = u64::from(wall.nanoseconds).wrapping_add(monotonic_clock::now());
    let digits = [sum % 4, random % 4, (time >> 3) % 4];
    eprintln!("fell by {digits:?} of {sum} {random} {time}");
    fall_by(digits);
}

/// Traps in functions that depend on these digits, from 0 to 3.
pub fn fall_by(digits: [u64; 3]) {
    match digits[0] {
        0 => by_random::<0>(digits),
        1 => by_random::<1>(digits),
        2 => by_random::<2>(digits),
        _ => by_random::<3>(digits),
    }
}

#[inline(never)]
fn by_random<const SUM: u8>(digits: [u64; 3]) {
    match digits[1] {
        0 => by_time::<0>(digits),
        1 => by_time::<1>(digits),
        2 => by_time::<2>(digits),
        _ => by_time::<3>(digits),
    }
    black_box(SUM);
}

#[inline(never)]
fn by_time<const RANDOM: u8>(digits: [u64; 3]) {
    match digits[2] {
        0 => fall::<0>(),
        1 => fall::<1>(),
        2 => fall::<2>(),
        _ => fall::<3>(),
    }
    black_box(RANDOM);
}

#[inline(never)]
fn fall<const TIME: u8>() {
    black_box(TIME);
    std::process::abort();
}

pub fn error_code(out: ResponseOutparam, query: &Query) {
    let text = query.plain("text").unwrap_or("as asked".to_owned());
    ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some(text))));
}

pub fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

pub fn spin_after_head(out: ResponseOutparam) {
    let body = head(out, 200, &[]);
    body.write("partial\n");
    sleep(SENT);
    spin();
}

/// Takes memory until there is none.
pub fn hog(out: ResponseOutparam) {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; 1 << 20]));
        if taken.len() > 4096 {
            return reply::text(out, "there is no limit\n");
        }
    }
}

pub fn recurse(out: ResponseOutparam) {
    fn deeper(depth: u64) -> u64 {
        let frame = black_box([depth; 64]);
        if frame[0] == u64::MAX {
            0
        } else {
            deeper(depth + 1) + frame[0]
        }
    }
    let depth = deeper(0);
    reply::text(out, &format!("{depth}\n"));
}

/// Gives up a body in the middle.
pub fn unfinished(out: ResponseOutparam) {
    let body = head(out, 200, &[]);
    body.write("partial\n");
    sleep(SENT);
    drop(body);
}

/// Writes less than its Content-Length says.
pub fn short(out: ResponseOutparam) {
    let body = head(out, 200, &[("content-length".to_owned(), b"100".to_vec())]);
    body.write("partial\n");
    body.finish(None);
}

/// Writes `actual` bytes where its Content-Length says `declared`.
pub fn content_length(out: ResponseOutparam, query: &Query) {
    let declared = query.number("declared", 10).to_string();
    let actual = usize::try_from(query.number("actual", 5)).expect("a short body");
    let headers = [("content-length".to_owned(), declared.into_bytes())];
    let body = head(out, 200, &headers);
    body.write("x".repeat(actual));
    body.finish(None);
}

/// Has the host work, again and again.
pub fn toil() {
    loop {
        black_box(get_random_bytes(1 << 20));
    }
}

/// Holds `n` of the host's resources.
pub fn resources(out: ResponseOutparam, query: &Query) {
    let held: Vec<Fields> = (0..query.number("n", 100_000))
        .map(|_| Fields::new())
        .collect();
    reply::text(out, &format!("held {}\n", held.len()));
}

/// A field of `bytes` bytes.
pub fn fields(out: ResponseOutparam, query: &Query) {
    let length = usize::try_from(query.number("bytes", 10 << 20)).expect("it fits");
    let set = Fields::new().set("x-long", &[vec![b'x'; length]]);
    reply::text(out, &format!("{set:?}\n"));
}

/// Opens the first directory `n` times and closes it never; how often that went well.
pub fn descriptors(out: ResponseOutparam, query: &Query) {
    let (directory, _) = &get_directories()[0];
    let open = |_| {
        let (open, flags) = (OpenFlags::empty(), DescriptorFlags::READ);
        directory.open_at(PathFlags::empty(), ".", open, flags)
    };
    let opened = (0..query.number("n", 100_000)).map(open);
    let opened: Vec<_> = opened.take_while(Result::is_ok).collect();
    reply::text(out, &format!("opened {}\n", opened.len()));
}

/// Reads an array in an array, `depth` times, as a careless parser does.
pub fn nested(out: ResponseOutparam, query: &Query) {
    fn parse(text: &mut std::slice::Iter<u8>) -> u64 {
        match black_box(text.next()) {
            Some(b'[') => 1 + black_box(parse(text)),
            _ => 0,
        }
    }
    let depth = usize::try_from(query.number("depth", 10_000_000)).expect("it fits");
    let text = vec![b'['; depth];
    reply::text(out, &format!("{}\n", parse(&mut text.iter())));
}

/// Holds on to `n` of the host's resources for ever; how many it holds.
pub fn keep(out: ResponseOutparam, query: &Query) {
    static HELD: AtomicU64 = AtomicU64::new(0);
    let more = query.number("n", 1);
    (0..more).for_each(|_| std::mem::forget(Fields::new()));
    let held = HELD.fetch_add(more, Ordering::Relaxed) + more;
    reply::text(out, &format!("kept {held}\n"));
}
