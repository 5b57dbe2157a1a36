//! `out!`, `outln!`, `err!` and `errln!` print for people, as `println!` and its like do. Whoever has read enough need not read
//! on, and a disk may be full: neither ends what is being done.

use std::fmt::Arguments;
use std::io::{Write, stderr, stdout};

pub fn out(text: Arguments<'_>) {
    let _ = stdout().write_fmt(text);
}

pub fn err(text: Arguments<'_>) {
    let _ = stderr().write_fmt(text);
}

#[macro_export]
macro_rules! out {
    ($($text:tt)*) => { $crate::sys::print::out(format_args!($($text)*)) };
}

#[macro_export]
macro_rules! outln {
    ($($text:tt)*) => { $crate::sys::print::out(format_args!("{}\n", format_args!($($text)*))) };
}

#[macro_export]
macro_rules! errln {
    ($($text:tt)*) => { $crate::sys::print::err(format_args!("{}\n", format_args!($($text)*))) };
}

#[macro_export]
macro_rules! err {
    ($($text:tt)*) => { $crate::sys::print::err(format_args!($($text)*)) };
}
