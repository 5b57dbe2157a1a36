//! Signals are blocked before the first fork, read from a descriptor by the supervisor, and handled by the workers'
//! own loop.

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;

/// The supervisor acts on these.
const OF_THE_SUPERVISOR: [Signal; 9] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCHLD,
];

/// A worker acts on these. An interrupt from the terminal reaches every process of the group; what workers do about it
/// is the supervisor's decision.
const OF_A_WORKER: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
];

fn set(signals: &[Signal]) -> SigSet {
    signals.iter().copied().collect()
}

/// Has writing to a reader that is gone, or beyond what a file may have (RLIMIT_FSIZE), be an error of that write, and
/// not the end of the process.
pub fn ignore_failed_writes() {
    for failed in [Signal::SIGPIPE, Signal::SIGXFSZ] {
        // SAFETY: ignoring a signal installs no handler.
        let _ = unsafe { signal(failed, SigHandler::SigIgn) };
    }
}

/// What the processor tells of by a signal. Where such a signal is blocked, the kernel ends the process, whoever has a
/// handler for it (sigprocmask(2)); the engine's is what makes a fault of a guest a trap.
const OF_FAULTS: [Signal; 5] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGILL,
    Signal::SIGFPE,
    Signal::SIGTRAP,
];

/// Undoes what whoever started this process has left to it, and execve(2) keeps. Where SIGCHLD is ignored, children are
/// gone before they can be waited for (wait(2)).
pub fn forget_inherited() {
    // SAFETY: the default action installs no handler.
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
    let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set(&OF_FAULTS)), None);
}

/// Blocks everything that is read from a descriptor, here and in every child.
pub fn block_for_supervision() -> io::Result<()> {
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set(&OF_THE_SUPERVISOR)), None)?;
    Ok(())
}

/// Opens a descriptor that gives the supervisor's signals, as they arrive.
pub fn descriptor() -> io::Result<SignalFd> {
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    Ok(SignalFd::with_flags(&set(&OF_THE_SUPERVISOR), flags)?)
}

/// Lets a worker receive its signals, once it has handlers for them.
pub fn unblock_for_worker() -> io::Result<()> {
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set(&OF_A_WORKER)), None)?;
    Ok(())
}

/// Has a request to reopen log files end no process that has none: every worker is sent it, and one that has no
/// handler for it would die of it (signal(7)).
pub fn ignore_reopening() {
    // SAFETY: ignoring a signal installs no handler.
    let _ = unsafe { signal(Signal::SIGUSR1, SigHandler::SigIgn) };
}

/// Unblocks signals in a child that has no handlers: what stops the server stops it too, save an interrupt from the
/// terminal, of which the supervisor makes what it wants.
pub fn unblock_for_compiler() -> io::Result<()> {
    let ends = [Signal::SIGTERM, Signal::SIGQUIT];
    for end in ends {
        // A shell has what it starts in the background ignore SIGQUIT, and execve(2) keeps that.
        // SAFETY: the default action installs no handler.
        unsafe { signal(end, SigHandler::SigDfl) }?;
    }
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set(&ends)), None)?;
    Ok(())
}

/// These end a command that has taken the terminal for itself, and has to give it back first.
const OF_A_VIEW: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGHUP,
];

/// Blocks what would end such a command, here and in the threads that are made from here on.
pub fn block_for_view() -> io::Result<()> {
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set(&OF_A_VIEW)), None)?;
    Ok(())
}

/// Waits until something is there that would have ended it.
pub fn wait_for_the_end() -> io::Result<Signal> {
    Ok(set(&OF_A_VIEW).wait()?)
}
