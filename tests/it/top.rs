//! The live view in a real terminal: what it shows, and that it gives the terminal back as it was.

use crate::harness::{HELLO, Server, eventually, finished, get, order, said, wasmserve};
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};

/// Another page of the terminal is taken, and left.
const TAKEN: &str = "\u{1b}[?1049h";
const LEFT: &str = "\u{1b}[?1049l";

/// `wasmserve top` on a terminal of 80 columns and 24 lines.
struct Top {
    child: Child,
    /// What the keyboard writes to.
    keys: File,
    /// Kept so that its settings can be read when the view is gone.
    terminal: OwnedFd,
    before: Termios,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Top {
    fn start(server: &Server) -> Top {
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let OpenptyResult { master, slave } = openpty(Some(&size), None).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let end = || slave.as_fd().try_clone_to_owned().unwrap();
        let mut command: Command = wasmserve();
        command.args(["top", "--pid", &server.pid().to_string()]);
        command.args(["--interval", "100ms"]);
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        let written = Arc::new(Mutex::new(Vec::new()));
        let mut screen = File::from(master.try_clone().unwrap());
        let seen = written.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut piece) {
                seen.lock().unwrap().extend(&piece[..count]);
            }
        });
        Top {
            child,
            keys: File::from(master),
            terminal: slave,
            before,
            written,
        }
    }

    fn written(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    fn shows(&self, text: &str) {
        eventually(text, || self.written().contains(text));
    }

    /// Waits for its end, and sees whether the terminal is as it was.
    fn ends(mut self) -> (ExitStatus, String) {
        let mut status = None;
        eventually("the view ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        eventually("the page is left", || {
            let written = self.written();
            written.rfind(LEFT) > written.rfind(TAKEN)
        });
        let after = tcgetattr(&self.terminal).unwrap();
        assert_eq!(after, self.before, "the terminal has other settings");
        let written = self.written();
        let hidden = written.rfind("\u{1b}[?25l");
        assert!(written.rfind("\u{1b}[?25h") > hidden, "no cursor");
        (status.unwrap(), written)
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_live_view_shows_requests_and_workers_and_leaves_the_terminal_whole() {
    let server = Server::component(HELLO)
        .workers(2)
        .arg("--no-access-log")
        .start();
    let pid = server.pid();
    for (key, name) in [("q", "q"), ("\u{1b}", "escape"), ("\u{3}", "control-c")] {
        let mut top = Top::start(&server);
        top.shows(TAKEN);
        top.shows(&format!("[{pid}]: serving"));
        top.shows("requests/s");
        for worker in server.workers() {
            top.shows(&worker.to_string());
        }
        assert_ne!(tcgetattr(&top.terminal).unwrap(), top.before);
        top.keys.write_all(key.as_bytes()).unwrap();
        assert_eq!(top.ends().0.code(), Some(0), "{name}");
    }
}

#[test]
fn the_live_view_is_sorted_by_keys_and_tells_of_a_killed_worker() {
    let server = Server::component(HELLO).arg("--no-access-log").start();
    let mut top = Top::start(&server);
    top.shows("PID\u{25b2}");
    top.keys.write_all(b"\x1b[C\x1b[C\x1b[C").unwrap();
    top.shows("REQ/S\u{25bc}");
    // Columns that were passed may have been drawn, too.
    let marks = |top: &Top| top.written().matches('\u{25b2}').count();
    let before = marks(&top);
    top.keys.write_all(b"r").unwrap();
    // Nothing but the mark is drawn again.
    eventually("the order is reversed", || marks(&top) > before);
    let worker = server.workers()[0];
    kill(Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    // Blanks that were there before are not written again.
    top.shows(&format!("[{worker}]"));
    top.shows("killed");
    assert_eq!(get(server.address, "/").status, 200);
    top.keys.write_all(b"q").unwrap();
    assert_eq!(top.ends().0.code(), Some(0));
}

/// Whoever is left with a terminal that shows nothing of what they type closes it.
#[test]
fn a_signal_or_the_end_of_the_server_leaves_the_terminal_whole() {
    let mut server = Server::component(HELLO).start();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let top = Top::start(&server);
        top.shows("requests/s");
        kill(Pid::from_raw(top.child.id().cast_signed()), signal).unwrap();
        assert_eq!(top.ends().0.code(), Some(0), "{signal}");
    }
    let top = Top::start(&server);
    top.shows("requests/s");
    let pid = server.pid();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    let (status, written) = top.ends();
    assert_eq!(status.code(), Some(1));
    let (_, after) = written.rsplit_once(LEFT).unwrap();
    let told = format!("the server [{pid}] has ended");
    assert!(after.contains(&told), "{after:?}");
}

#[test]
fn without_a_terminal_or_a_server_the_live_view_says_what_to_do() {
    let mut server = Server::component(HELLO).start();
    let top = order(&server, &["top"]);
    assert_eq!(top.status.code(), Some(2));
    let text = said(&top);
    assert!(text.contains("needs a terminal"), "{text}");
    assert!(text.contains("wasmserve status"), "{text}");
    let often = order(&server, &["top", "--interval", "1ms"]);
    assert_eq!(often.status.code(), Some(2), "{}", said(&often));
    server.signal(Signal::SIGTERM);
    server.wait();
    let mut nobody = wasmserve();
    nobody.args(["top", "--pid", &server.pid().to_string()]);
    let nobody = finished(nobody);
    assert_eq!(nobody.status.code(), Some(1), "{}", said(&nobody));
    assert!(said(&nobody).contains("no server is running"));
}
