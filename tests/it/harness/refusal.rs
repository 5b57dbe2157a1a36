//! Servers that are to refuse to start: at once, with one line that names the thing and the remedy.

use super::{HELLO, finished_within, root, wasmserve};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// A file with this content, in a folder of the test's own.
pub fn file(name: &str, content: impl AsRef<[u8]>) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bad-input");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    let _ = fs::remove_file(&path);
    fs::write(&path, content).unwrap();
    path.display().to_string()
}

/// Runs wasmserve, which is expected to end at once with this status and one line with these words.
pub fn refused(arguments: &[&str], status: i32, words: &[&str]) {
    refused_with(&[], arguments, status, words);
}

pub fn refused_with(environment: &[(&str, &str)], arguments: &[&str], status: i32, words: &[&str]) {
    let mut command = wasmserve();
    command.args(arguments).envs(environment.iter().copied());
    refused_by(command, status, words);
}

pub fn refused_by(command: Command, status: i32, words: &[&str]) {
    let arguments = format!("{command:?}");
    let start = Instant::now();
    let output = finished_within(command, Duration::from_secs(20));
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{arguments} took {:?}",
        start.elapsed()
    );
    let text = String::from_utf8(output.stderr).unwrap();
    let mut lines = text.lines().filter(|line| !line.starts_with("INFO:"));
    let line = lines.next().unwrap_or_default();
    assert_eq!(lines.next(), None, "more than one line: {text}");
    assert_eq!(output.status.code(), Some(status), "{arguments}: {line}");
    assert!(line.starts_with("wasmserve: "), "{line}");
    for word in words {
        assert!(line.contains(word), "no `{word}` in: {line}");
    }
}

/// A folder that everybody can read, and the executable in it, for a user who may little.
pub struct Unprivileged(pub PathBuf);

impl Unprivileged {
    pub fn new(name: &str) -> Unprivileged {
        let folder = format!("wasmserve-test-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_wasmserve"), folder.join("wasmserve")).unwrap();
        Unprivileged(folder)
    }

    pub fn file(&self, name: &str, mode: u32) -> String {
        let path = self.0.join(name);
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    }

    /// Runs as `nobody` where the tests run as root, and as whoever runs them elsewhere.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.0.join("wasmserve"));
        command.env_remove("HOME").env_remove("XDG_CACHE_HOME");
        if nix::unistd::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        command
    }
}

impl Drop for Unprivileged {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn hello() -> String {
    root().join(HELLO).display().to_string()
}
