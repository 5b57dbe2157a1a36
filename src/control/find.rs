//! This file finds which server is meant: the one that was named, or the only one that runs.

use crate::cli::RunningServer;
use crate::sys::runtime;
use crate::sys::socket::is_listened_on;
use anyhow::{Result, anyhow, bail};
use std::path::{Path, PathBuf};

/// Finds the socket of the server that is meant.
pub fn socket(asked: &RunningServer) -> Result<PathBuf> {
    if let Some(path) = &asked.socket {
        return Ok(path.clone());
    }
    let directories = runtime::directories();
    let Some(own) = directories.first() else {
        bail!("no server can be found: XDG_RUNTIME_DIR is not set; name its socket with --socket");
    };
    if let Some(pid) = asked.pid {
        let named = |directory: &PathBuf| directory.join(format!("{pid}.sock"));
        let listens = |path: &PathBuf| is_listened_on(path).unwrap_or(false);
        return directories.iter().map(named).find(listens).ok_or_else(|| {
            let path = named(own);
            anyhow!(
                "no server is running as process {pid}: nobody listens on {}",
                path.display()
            )
        });
    }
    let mut running: Vec<PathBuf> = directories.iter().flat_map(|it| running(it)).collect();
    match running.len() {
        0 => bail!(
            "no server is running: none has a socket in {}",
            own.display()
        ),
        1 => Ok(running.remove(0)),
        _ => {
            let named: Vec<String> = running
                .iter()
                .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
                .collect();
            bail!(
                "several servers are running; name one with --pid: {}",
                named.join(", ")
            )
        }
    }
}

/// Finds the sockets that somebody listens on.
fn running(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let sockets = paths.filter(|path| path.extension().is_some_and(|it| it == "sock"));
    let mut sockets: Vec<PathBuf> = sockets
        .filter(|path| is_listened_on(path).unwrap_or(false))
        .collect();
    sockets.sort();
    sockets
}
