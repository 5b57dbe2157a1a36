//! This file makes any system call with any arguments, for tests of what may be called.

use std::io;

/// Makes a call, and returns what the kernel answers, or its error number. What is handed over as an address must be
/// one of something that is large enough and outlives the call.
pub fn call(number: i64, arguments: &[usize]) -> Result<i64, i32> {
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(0);
    let [a, b, c, d, e, f] = [0, 1, 2, 3, 4, 5].map(argument);
    // SAFETY: only tests call this, with numbers, and with addresses as is demanded of them.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    match answer {
        -1 => Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        answer => Ok(answer),
    }
}
