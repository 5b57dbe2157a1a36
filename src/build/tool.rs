//! This file finds the tools of a toolchain, and runs them. What they say is shown as it comes where that was asked
//! for, and else only where they fail; on a terminal one line tells what is going on.

use super::scratch::Scratch;
use super::tool_progress::ToolProgress;
use crate::sys::exec::on_path;
use crate::sys::process::{self, End};
use crate::sys::signals;
use crate::{err, errln};
use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The time that a tool takes is shown this often.
const TICK: u16 = 500;

/// This much of a line is shown: a terminal has 80 columns, and the time needs some.
const SHOWN: usize = 68;

/// A tool may take this long to end when it was told to.
const GRACE: Duration = Duration::from_secs(5);

pub struct Tools<'a> {
    scratch: &'a Scratch,
    verbose: bool,
    terminal: bool,
    started: Instant,
    signals: SignalFd,
}

/// Finds the executable of this name, or says how to get it.
pub fn needed(name: &str, remedy: &str) -> Result<PathBuf> {
    on_path(name).with_context(|| format!("{name} is missing; install it with {remedy}"))
}

impl<'a> Tools<'a> {
    pub fn new(scratch: &'a Scratch, verbose: bool) -> Result<Tools<'a>> {
        // Each tool is told of an interrupt by us, and nothing is left behind.
        signals::block_for_supervision().context("cannot hold signals back")?;
        Ok(Tools {
            scratch,
            verbose,
            terminal: std::io::stderr().is_terminal(),
            started: Instant::now(),
            signals: signals::descriptor().context("cannot receive signals")?,
        })
    }

    /// Returns where files may be made that are needed only now.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Says whether all that tools say is wanted.
    pub fn verbose(&self) -> bool {
        self.verbose
    }

    /// Runs a command to its end. Where it fails, all that it said is shown.
    pub fn run(&mut self, what: &str, mut command: Command) -> Result<()> {
        let end = self.finish(what, &mut command)?;
        if end != End::Exited(0) {
            self.show_said();
            let _ = std::io::stderr().write_all(&self.answered());
        }
        check_exit(what, end, &command)
    }

    /// Runs a command to its end that tells of its progress, and why it fails.
    pub fn follow(&mut self, what: &str, mut command: Command) -> Result<()> {
        let pid = self.start(&mut command)?;
        let mut progress = match self.verbose {
            true => None,
            false => Some(ToolProgress::of(&self.said()).context("cannot read what a tool says")?),
        };
        let end = self.wait(what, pid, progress.as_mut())?;
        if let (End::Exited(1), Some(reason)) = (end, progress.and_then(|mut it| it.reason())) {
            // What is wrong stands in one line, as every error; what shows it has lines of its own.
            let (what, shown) = reason.split_once('\n').unwrap_or((&reason, ""));
            if !shown.is_empty() {
                errln!("{shown}");
            }
            bail!("{}", what.trim_end_matches(':'));
        }
        if end != End::Exited(0) {
            self.show_said();
        }
        check_exit(what, end, &command)
    }

    /// Runs a command to its end, and gives what it wrote to standard output, which is for programs. Where it fails,
    /// what it wrote to standard error is shown.
    pub fn read(&mut self, what: &str, mut command: Command) -> Result<Vec<u8>> {
        let end = self.finish(what, &mut command)?;
        if end != End::Exited(0) {
            self.show_said();
        }
        check_exit(what, end, &command)?;
        Ok(self.answered())
    }

    /// Returns what a command answers that may as well fail, which is none then.
    pub fn ask(&mut self, what: &str, mut command: Command) -> Result<Option<String>> {
        let end = self.finish(what, &mut command)?;
        let answered = String::from_utf8_lossy(&self.answered()).trim().to_owned();
        Ok((end == End::Exited(0)).then_some(answered))
    }

    fn finish(&mut self, what: &str, command: &mut Command) -> Result<End> {
        let pid = self.start(command)?;
        if !self.terminal && !self.verbose {
            errln!("{what}");
        }
        self.wait(what, pid, None)
    }

    fn said(&self) -> PathBuf {
        self.scratch().join(".said")
    }

    fn answer(&self) -> PathBuf {
        self.scratch().join(".answer")
    }

    fn start(&self, command: &mut Command) -> Result<Pid> {
        let create = |path: &Path| {
            File::create(path).with_context(|| format!("cannot write `{}`", path.display()))
        };
        command.stdin(Stdio::null()).stdout(create(&self.answer())?);
        if self.verbose {
            errln!("{}", shown(command));
        } else {
            command.stderr(create(&self.said())?);
        }
        let program = command.get_program().to_string_lossy().into_owned();
        // A group of its own: a tool's own children end with it.
        process::start(command).with_context(|| format!("cannot run `{program}`"))
    }

    fn answered(&self) -> Vec<u8> {
        std::fs::read(self.answer()).unwrap_or_default()
    }

    /// Says whether the last tool has said this. All that it says is shown as it comes where that was asked for, and not known here.
    pub fn has_said(&self, words: &str) -> bool {
        let said = std::fs::read(self.said()).unwrap_or_default();
        String::from_utf8_lossy(&said).contains(words)
    }

    fn show_said(&self) {
        if !self.verbose {
            let said = std::fs::read(self.said()).unwrap_or_default();
            let _ = std::io::stderr().write_all(&said);
        }
    }

    /// Says what is done without a tool.
    pub fn say(&self, text: &str) {
        if self.verbose {
            errln!("# {text}");
        }
        self.show(text);
    }

    /// Says that all is done.
    pub fn done(&self, output: &Path) {
        let seconds = self.started.elapsed().as_secs_f32();
        if self.terminal {
            err!("\r\x1b[K");
        }
        errln!("built {} in {seconds:.1} s", output.display());
    }

    /// Writes a line that stays, where none that goes is shown, or where it is more than progress.
    fn tell(&self, line: &str) {
        if !self.terminal || line.starts_with("note: ") {
            self.clear();
            errln!("{line}");
        }
    }

    fn show(&self, what: &str) {
        if self.terminal && !self.verbose {
            let seconds = self.started.elapsed().as_secs();
            // A line that wraps could not be taken back.
            let what: String = what.chars().take(SHOWN).collect();
            err!("\r\x1b[K{what} … {seconds} s");
        }
    }

    /// Waits for the end of a tool, and shows `what` until it tells something itself.
    fn wait(&self, what: &str, pid: Pid, mut progress: Option<&mut ToolProgress>) -> Result<End> {
        let mut doing = what.to_owned();
        let end = loop {
            let ended = process::ended(pid);
            for line in progress.iter_mut().flat_map(|progress| progress.news()) {
                self.tell(&line);
                doing = line;
            }
            self.show(&doing);
            if let Some(end) = ended {
                break end;
            }
            let mut polled = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut polled, PollTimeout::from(TICK));
            while let Ok(Some(received)) = self.signals.read_signal() {
                let signal = Signal::try_from(received.ssi_signo.cast_signed());
                if matches!(
                    signal,
                    Ok(Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT | Signal::SIGHUP)
                ) {
                    process::end_group(pid, GRACE);
                    self.clear();
                    bail!("interrupted");
                }
            }
        };
        self.clear();
        Ok(end)
    }

    fn clear(&self) {
        if self.terminal && !self.verbose {
            err!("\r\x1b[K");
        }
    }
}

fn check_exit(what: &str, end: End, command: &Command) -> Result<()> {
    let command = shown(command);
    match end {
        End::Exited(0) => Ok(()),
        End::Exited(status) => bail!("{what} failed with status {status}: {command}"),
        End::Killed(signal) => bail!("{what} was ended by {signal}: {command}"),
    }
}

/// Writes a command as one would type it.
fn shown(command: &Command) -> String {
    let mut words = Vec::new();
    if let Some(directory) = command.get_current_dir() {
        words.push(format!("cd {} &&", quoted(directory.as_os_str())));
    }
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}={}", name.to_string_lossy(), quoted(value)));
        }
    }
    words.push(quoted(command.get_program()));
    words.extend(command.get_args().map(quoted));
    words.join(" ")
}

fn quoted(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@,+%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/go");
        command.args(["build", "-ldflags=-s -w", "it's", ""]);
        command.env("GOOS", "wasip1").current_dir("/a b");
        assert_eq!(
            shown(&command),
            r"cd '/a b' && GOOS=wasip1 /usr/bin/go build '-ldflags=-s -w' 'it'\''s' ''"
        );
    }
}
