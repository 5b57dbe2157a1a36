//! Python: the bridge of guests/python knows how to build an application. It is unpacked, and told what to
//! build; what it fetches and makes on the way it keeps in a cache of its own.

use super::files;
use super::tool::{Tools, needed};
use anyhow::Result;
use std::path::Path;
use std::process::Command;

include!(concat!(env!("OUT_DIR"), "/python_files.rs"));

pub fn build(tools: &mut Tools<'_>, path: &Path, output: &Path) -> Result<()> {
    let python = needed("python3", "apt-get install python3 python3-venv")?;
    let bridge = tools.scratch().join("python");
    files::write_all(&bridge, FILES)?;
    let mut command = Command::new(python);
    command
        .arg(bridge.join("build.py"))
        .arg(path)
        .arg("-o")
        .arg(output)
        // Nobody needs compiled what is used once.
        .env("PYTHONDONTWRITEBYTECODE", "1");
    if tools.verbose() {
        command.arg("--verbose");
    }
    tools.follow("building", command)
}
