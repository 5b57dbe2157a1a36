//! A `Screen` takes the terminal for the view, and gives it back as it was, whatever ends the view.

use anyhow::{Context, Result};
use ratatui::{DefaultTerminal, Frame};
use std::io::{IsTerminal, stdin, stdout};

/// Says whether there is a terminal to draw on and to read keys from.
pub fn is_there() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

/// A `Screen` is the terminal while it is ours: another page of it, without echo and without a cursor.
#[derive(Debug)]
pub struct Screen(DefaultTerminal);

impl Screen {
    /// Takes it. A panic gives it back before its message is printed.
    pub fn take() -> Result<Screen> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Screen(terminal)),
            Err(error) => {
                let _ = ratatui::try_restore();
                Err(error).context("cannot take the terminal")
            }
        }
    }

    pub fn draw(&mut self, what: impl FnOnce(&mut Frame<'_>)) -> Result<()> {
        let drawn = self.0.draw(what);
        drawn.map(drop).context("cannot draw on the terminal")
    }
}

/// Where the terminal is gone there is nobody to tell.
impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.0.show_cursor();
        let _ = ratatui::try_restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::openpty;
    use nix::sys::termios::tcgetattr;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{AsFd, OwnedFd};
    use std::process::Command;
    use std::time::{Duration, Instant};

    #[test]
    #[ignore = "it takes the terminal that the next test gives it, and panics"]
    fn panics_with_the_terminal_taken() {
        let mut screen = Screen::take().unwrap();
        screen.draw(|_| panic!("this is no drill")).unwrap();
    }

    /// A message that is drawn on the page that is left is never read.
    #[test]
    fn a_panic_gives_the_terminal_back_before_its_message_is_printed() {
        let ends = openpty(None, None).unwrap();
        let before = tcgetattr(&ends.slave).unwrap();
        let end = || -> OwnedFd { ends.slave.as_fd().try_clone_to_owned().unwrap() };
        let name = "control::top::screen::tests::panics_with_the_terminal_taken";
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--ignored", "--nocapture"]);
        let mut child = command
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(tcgetattr(&ends.slave).unwrap(), before);
        // Its buffer holds all of it, and nobody writes more.
        drop((command, ends.slave));
        let (mut screen, mut written) = (File::from(ends.master), Vec::new());
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = screen.read(&mut piece) {
            written.extend_from_slice(&piece[..count]);
        }
        let written = String::from_utf8_lossy(&written);
        let (taken, left) = (written.find("\u{1b}[?1049h"), written.find("\u{1b}[?1049l"));
        let told = written.find("this is no drill");
        assert!(
            taken.is_some() && taken < left && left < told,
            "{written:?}"
        );
    }
}
