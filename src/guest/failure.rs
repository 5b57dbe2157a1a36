//! A guest can fail a request in these ways, and each reads like this in the log.

use super::core_dump;
use crate::log;
use std::fmt;
use std::path::{Path, PathBuf};
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// A `Failure` says why a request did not get its response, or not all of it.
#[derive(Debug)]
pub enum Failure {
    /// The guest trapped, or the host could not go on with it.
    Trapped {
        error: wasmtime::Error,
        /// The instance had been refused memory before it trapped.
        refused_memory: bool,
        /// A core dump of this failure is kept in this file.
        core_dump: Option<PathBuf>,
    },
    /// The instance failed for this reason while it was answering other requests as well.
    Lost(String),
    /// The guest returned and gave no response.
    NoResponse,
    /// The guest answered with the `wasi:http/types.error-code` of this name.
    ErrorCode(String),
    /// The application has not started, and said this.
    NotStarted(String),
    /// The guest gave a head that cannot be sent, for this reason.
    IllegalHead(String),
    /// The guest gave up a body that it had begun.
    Unfinished(String),
    /// The guest took too long.
    TimedOut,
    /// The guest used up its processor time.
    OutOfTime,
    /// The guest's worker had no memory left for it.
    NoRoom,
}

/// This many bytes are kept of what a guest says of its failure.
const MOST_WORDS: usize = 64 << 10;

impl Failure {
    /// The application has said this instead of starting. The last words are kept: a traceback ends with the error.
    pub fn not_started(mut said: String) -> Failure {
        let more = said.len().saturating_sub(MOST_WORDS);
        Failure::NotStarted(said.split_off(said.ceil_char_boundary(more)))
    }

    /// The guest has answered with this error.
    pub fn error_code(code: &impl fmt::Display) -> Failure {
        let mut code = code.to_string();
        code.truncate(code.floor_char_boundary(MOST_WORDS));
        Failure::ErrorCode(code)
    }

    /// Formats the functions that were running when the guest trapped, innermost first, where they are known.
    pub fn backtrace(&self) -> Option<String> {
        match self {
            Failure::Trapped { error, .. } => {
                let backtrace = error.downcast_ref::<WasmBacktrace>()?;
                Some(in_its_lines(backtrace).trim_end().to_owned())
            }
            _ => None,
        }
    }

    /// Returns the file of the core dump that is kept of this failure.
    pub fn core_dump(&self) -> Option<&Path> {
        match self {
            Failure::Trapped { core_dump, .. } => core_dump.as_deref(),
            _ => None,
        }
    }

    /// Tells this failure from others: by its cause, and by the functions that were running.
    pub fn signature(&self) -> String {
        match self {
            Failure::Trapped { error, .. } => core_dump::distinguished(error, &cause(error)),
            other => blake3::hash(other.to_string().as_bytes()).to_hex()[..16].to_owned(),
        }
    }

    /// Says what has failed, without the functions that were running.
    pub fn in_one_line(&self) -> String {
        let all = self.to_string();
        all.lines().next().unwrap_or_default().to_owned()
    }

    /// Returns the line of what an application has said that is the error itself.
    pub fn last_word(&self) -> String {
        let all = self.to_string();
        let line = match self {
            Failure::NotStarted(said) => error_line(said),
            _ => all.lines().next(),
        };
        line.unwrap_or_default().trim().to_owned()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Trapped {
                error,
                refused_memory,
                ..
            } => {
                match error.downcast_ref::<I32Exit>() {
                    Some(I32Exit(status)) => write!(f, "the guest exited with status {status}")?,
                    None => write!(f, "the guest trapped: {}", log::escape(&cause(error)))?,
                }
                if *refused_memory {
                    write!(f, "; it had reached its memory limit (--max-memory)")?;
                }
                match self.backtrace() {
                    Some(backtrace) => write!(f, "\n{backtrace}"),
                    None => Ok(()),
                }
            }
            Failure::Lost(why) => {
                write!(
                    f,
                    "the instance failed, with all that it was answering: {why}"
                )
            }
            Failure::NoResponse => write!(f, "the guest returned without a response"),
            Failure::ErrorCode(code) => {
                write!(f, "the guest answered with the error {}", log::escape(code))
            }
            Failure::NotStarted(said) => {
                let lines = said.trim_end().lines();
                let lines: Vec<String> = lines.map(|line| log::escape(line).to_string()).collect();
                write!(f, "the application does not start:\n{}", lines.join("\n"))
            }
            Failure::Unfinished(why) => {
                write!(f, "the guest did not finish the body: {}", log::escape(why))
            }
            Failure::IllegalHead(why) => write!(f, "the guest's response cannot be sent: {why}"),
            Failure::TimedOut => write!(f, "the guest ran past its time"),
            Failure::OutOfTime => Exhausted.fmt(f),
            Failure::NoRoom => NoRoom.fmt(f),
        }
    }
}

/// Finds the line that names the error: in a traceback of Python the first after its last frame, as what follows says
/// more about it; otherwise the last.
fn error_line(said: &str) -> Option<&str> {
    let said = said.trim_end();
    let traceback = said.rfind("Traceback (most recent call last):");
    let frames = traceback.map_or("", |at| &said[at..]).lines().skip(1);
    let is_frame = |line: &&str| line.starts_with(' ');
    frames
        .skip_while(is_frame)
        .find(|line| !line.trim().is_empty())
        .or_else(|| said.lines().next_back())
}

/// The guest has used up its processor time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the guest used up its processor time (--limit-cpu)")
    }
}

impl std::error::Error for Exhausted {}

/// The worker had no memory left for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the worker's instances take all the memory that they may (--max-worker-memory)"
        )
    }
}

impl std::error::Error for NoRoom {}

/// Formats the backtrace so that the names in it, which the component has chosen, break none of its lines.
fn in_its_lines(backtrace: &WasmBacktrace) -> String {
    let mut text = backtrace.to_string();
    for frame in backtrace.frames() {
        let symbols = frame.symbols().iter();
        let symbols = symbols.flat_map(|symbol| [symbol.name(), symbol.file()]);
        let names = symbols.chain([frame.module().name(), frame.func_name()]);
        for name in names.flatten().filter(|name| name.contains('\n')) {
            text = text.replace(name, &log::escape(name).to_string());
        }
    }
    text
}

/// Finds the innermost cause of an error: the outer ones say only that Wasm was running.
pub fn cause(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_the_error_itself() {
        let said = "Traceback (most recent call last):\n  File \"x\"\nValueError: boom\n\n";
        let failure = Failure::not_started(said.to_owned());
        assert_eq!(failure.last_word(), "ValueError: boom");
        let more = format!("{said}(Background on this error at: …)\n");
        let chained =
            format!("KeyError: 1\n\nDuring handling, another exception occurred:\n\n{more}");
        for said in [
            more.replace("\n\n", "\n"),
            chained,
            "a\nValueError: boom".to_owned(),
        ] {
            assert_eq!(Failure::not_started(said).last_word(), "ValueError: boom");
        }
        assert_eq!(Failure::TimedOut.last_word(), "the guest ran past its time");
    }

    #[test]
    fn of_very_many_words_some_are_kept() {
        let long = format!("{}ValueError: bööm", "é\n".repeat(MOST_WORDS));
        let failure = Failure::not_started(long.clone());
        assert_eq!(failure.last_word(), "ValueError: bööm");
        for failure in [failure, Failure::error_code(&long)] {
            let length = failure.to_string().len();
            assert!((MOST_WORDS..2 * MOST_WORDS).contains(&length), "{length}");
        }
    }
}
