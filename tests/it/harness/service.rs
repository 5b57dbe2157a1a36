//! What a service manager does for a service: it passes sockets, and hears how the service is.

use super::command::{leave_open, under};
use super::{DEADLINE, wasmserve};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// wasmserve with these arguments, started by a shell that passes it sockets as a service manager does.
pub fn activated(arguments: &[&str], sockets: Vec<OwnedFd>, names: &str) -> Command {
    let mut served = wasmserve();
    served.args(arguments);
    // The number of the shell is that of what it becomes.
    let mut command = under(&["sh", "-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""], &served);
    command.env("LISTEN_FDS", sockets.len().to_string());
    command.env("LISTEN_FDNAMES", names);
    leave_open(&mut command, sockets);
    command
}

/// The socket that a service tells about itself (sd_notify(3)), with what has been read of it.
pub struct NotifySocket {
    socket: UnixDatagram,
    name: String,
    /// The lines that have been received.
    pub lines: Vec<String>,
}

impl NotifySocket {
    pub fn new() -> NotifySocket {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wasmserve-test-{}-{count}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        NotifySocket {
            socket,
            name: format!("@{name}"),
            lines: Vec::new(),
        }
    }

    /// Has `command` tell this socket.
    pub fn listen_to(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", &self.name);
        command
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID");
    }

    /// Waits for a line that begins with `text`, among those that come from here on.
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            assert!(
                Instant::now() < deadline,
                "no `{text}` was told, but {:?}",
                self.lines
            );
            let message = self.message(Duration::from_millis(100)).unwrap_or_default();
            let mut lines = message.lines();
            if let Some(line) = lines.find(|line| line.starts_with(text)) {
                return line.to_owned();
            }
        }
    }

    /// The next message, if there is one within this time.
    pub fn message(&mut self, time: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).ok()?;
        let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
        self.lines.extend(text.lines().map(str::to_owned));
        Some(text)
    }
}
