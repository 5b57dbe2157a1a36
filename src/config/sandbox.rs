//! This file resolves what the processes that serve are kept to: what guests were given, and who they run as.

use super::option;
use crate::cli;
use crate::guest::{Capabilities, CompileRequest, StoreLocation};
use crate::request::files;
use crate::sandbox::{Grants, RunAs, Sandbox, SandboxMode};
use crate::sys::watch::directory_of;
use anyhow::{Context, Result, bail};

#[cfg(test)]
mod tests;

pub fn resolve(
    asked: &cli::Sandbox,
    order: &CompileRequest,
    files: &[files::Directory],
) -> Result<Sandbox> {
    let sandbox = Sandbox {
        mode: mode(asked)?,
        run_as: run_as(asked)?,
        grants: grants(&order.capabilities, files),
        sources: [&order.path]
            .into_iter()
            .chain(&order.middleware)
            .chain(&order.steps)
            .chain(&order.jobs)
            .filter(|path| !path.as_os_str().is_empty())
            .cloned()
            .collect(),
        cache: order.cache.directory.clone(),
    };
    sandbox.check().context("option --sandbox: it is strict")?;
    Ok(sandbox)
}

fn mode(asked: &cli::Sandbox) -> Result<SandboxMode> {
    let mode = option("--sandbox", asked.mode(), |text| match text {
        "auto" => Ok(SandboxMode::Auto),
        "strict" => Ok(SandboxMode::Strict),
        "off" => Ok(SandboxMode::Off),
        _ => bail!("`{text}` is none of auto, strict and off"),
    })?;
    if asked.no_sandbox && mode != SandboxMode::Off {
        bail!("option --no-sandbox: --sandbox says otherwise; leave one of them out");
    }
    Ok(mode)
}

pub fn run_as(asked: &cli::Sandbox) -> Result<Option<RunAs>> {
    let name = match (&asked.user, &asked.group) {
        (None, _) => "option --group",
        (Some(_), None) => "option --user",
        (Some(_), Some(_)) => "options --user and --group",
    };
    RunAs::resolve(asked.user.as_deref(), asked.group.as_deref()).context(name)
}

fn grants(capabilities: &Capabilities, files: &[files::Directory]) -> Grants {
    let mut grants = Grants {
        readable: files.iter().map(|files| files.path.clone()).collect(),
        connects: !(capabilities.outbound.rules.is_empty() && capabilities.sockets.is_empty()),
        ..Grants::default()
    };
    for directory in &capabilities.directories {
        let paths = match directory.writable {
            true => &mut grants.writable,
            false => &mut grants.readable,
        };
        paths.push(directory.host.clone());
    }
    let core_dumps = capabilities.core_dumps.iter();
    grants
        .writable
        .extend(core_dumps.map(|it| it.directory.clone()));
    let recordings = capabilities.recordings.iter();
    grants
        .writable
        .extend(recordings.map(|it| it.directory.clone()));
    let profiles = capabilities.profile.iter().filter(|it| it.by_command);
    grants
        .writable
        .extend(profiles.map(|it| it.directory.clone()));
    match &capabilities.keyvalue {
        // Beside the file are its journals.
        Some(StoreLocation::Sqlite(path)) => {
            grants.writable.push(directory_of(path).to_owned());
            grants.database = true;
        }
        Some(StoreLocation::Redis(server)) => match server.addr() {
            redis::ConnectionAddr::Unix(path) => grants.unix_sockets.push(path.clone()),
            _ => grants.connects = true,
        },
        Some(StoreLocation::Recorded) | None => {}
    }
    for (_, path) in &capabilities.sqlite.databases {
        grants.writable.push(directory_of(path).to_owned());
        grants.database = true;
    }
    for (_, address) in &capabilities.postgres.databases {
        grants.unix_sockets.extend(address.unix_sockets());
        grants.connects |= address.is_remote();
    }
    grants
}
