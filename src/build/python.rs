//! For Python, the bridge beside this file knows how to build an application. It is unpacked, and told what to build;
//! what it fetches and makes on the way it keeps in a cache of its own.

use super::tool::{Tools, needed};
use super::{advice, embedded};
use crate::cli;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

include!(concat!(env!("OUT_DIR"), "/python_files.rs"));

/// Finds what would be compiled for minutes, where it came with this executable: the wheel `wasmserve-python` puts it
/// there.
fn prebuilt() -> Option<PathBuf> {
    let executable = std::env::current_exe().ok()?;
    let made = executable
        .parent()?
        .parent()?
        .join("share/wasmserve/python");
    made.is_dir().then_some(made)
}

pub fn build(tools: &mut Tools<'_>, path: &Path, asked: &cli::Build, output: &Path) -> Result<()> {
    let python = needed("python3", &advice::packages(&["python3", "python3-venv"]))?;
    let bridge = tools.scratch().join("python");
    embedded::write_all(&bridge, FILES)?;
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
    if let Some(made) = prebuilt() {
        command.arg("--find-links").arg(&made);
        let constraints = made.join("constraints.txt");
        if constraints.is_file() && std::env::var_os("PIP_CONSTRAINT").is_none() {
            command.env("PIP_CONSTRAINT", constraints);
        }
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
