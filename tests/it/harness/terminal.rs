//! A terminal that a command writes to.

use super::{COMPILING, eventually_within};
use nix::pty::openpty;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};

/// Runs a command whose errors go to a terminal, to its end, and gives all that came there.
pub fn on_terminal(mut command: Command) -> (ExitStatus, String) {
    let pair = openpty(None, None).unwrap();
    let (mut screen, terminal): (File, OwnedFd) = (pair.master.into(), pair.slave);
    command
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::from(terminal))
        .process_group(0);
    let mut child = command.spawn().expect("the executable can be started");
    // It has the terminal too.
    drop(command);
    let reader = std::thread::spawn(move || {
        let (mut written, mut piece) = (Vec::new(), [0; 4096]);
        // It is an error when nobody has the terminal any more (pty(7), EIO).
        while let Ok(count @ 1..) = screen.read(&mut piece) {
            written.extend(&piece[..count]);
        }
        written
    });
    let mut status = None;
    eventually_within(COMPILING, "the command ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let written = reader.join().unwrap();
    let written = String::from_utf8_lossy(&written).into_owned();
    (status.unwrap(), written)
}
