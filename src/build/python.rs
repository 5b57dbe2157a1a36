//! Python: the bridge of guests/python knows how to build an application. It is unpacked, and told what to
//! build; what it fetches and makes on the way it keeps in a cache of its own.

use super::tool::{Tools, needed};
use super::{advice, files};
use crate::cli;
use anyhow::Result;
use std::path::Path;
use std::process::Command;

include!(concat!(env!("OUT_DIR"), "/python_files.rs"));

pub fn build(tools: &mut Tools<'_>, path: &Path, asked: &cli::Build, output: &Path) -> Result<()> {
    let python = needed("python3", &advice::packages(&["python3", "python3-venv"]))?;
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
    if let Some(app) = &asked.python.app {
        command.arg(format!("--app={app}"));
    }
    for links in &asked.python.find_links {
        command.arg("--find-links").arg(links);
    }
    for variable in &asked.env {
        command.arg(format!("--env={variable}"));
    }
    if let Some(note) = &asked.late {
        command.arg("--late").arg(note);
    }
    for (flag, is_given) in [
        ("--no-warm-up", asked.no_warm_up),
        ("--development", asked.development),
        ("--verbose", tools.verbose()),
    ] {
        if is_given {
            command.arg(flag);
        }
    }
    tools.follow("building", command)
}
