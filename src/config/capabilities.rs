//! This file resolves and checks what the guest may use: nothing that is not named here.

use super::{databases, dotenv, maybe, option, outbound, units};
use crate::cli::{self, Serve};
use crate::guest::{
    Capabilities, CoreDumps, DatabaseUrl, Directory, ProfileSettings, RecordingSettings,
    StoreLocation,
};
use crate::sys::regular::{self, LARGEST_TEXT};
use anyhow::{Context, Result, bail};
use std::env::VarError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Resolves the options. Files and directories that they name must be there now, and not at the first request.
pub fn resolve(serve: &Serve) -> Result<Capabilities> {
    let asked = &serve.capabilities;
    let postgres = databases::postgres(&serve.databases)?;
    let mut addresses = postgres.databases.iter().map(|(_, address)| address);
    let secure = addresses.any(DatabaseUrl::is_secure);
    Ok(Capabilities {
        environment: environment(asked)?,
        arguments: asked.arg.clone(),
        directories: directories(asked)?,
        settings: settings(asked)?,
        keyvalue: maybe("--keyvalue", asked.keyvalue.as_ref(), StoreLocation::parse)?,
        postgres,
        sqlite: databases::sqlite(&serve.databases)?,
        sockets: Arc::new(outbound::sockets(&serve.outbound)?),
        outbound: outbound::resolve(&serve.outbound, secure)?,
        core_dumps: core_dumps(&serve.instances)?,
        recordings: recordings(serve)?,
        profile: profile(&serve.instances)?,
    })
}

fn profile(instances: &cli::Instances) -> Result<Option<ProfileSettings>> {
    let time = maybe(
        "--profile-guest",
        instances.profile_guest.as_ref(),
        units::some_time,
    )?;
    // What was named is where profiles are made by command, too.
    let named = instances.profile_dir.as_ref();
    if time.is_none() && named.is_none() {
        return Ok(None);
    }
    let directory = named.cloned().unwrap_or_else(|| PathBuf::from("."));
    if !directory.is_dir() {
        bail!(
            "option --profile-dir: there is no directory `{}`",
            directory.display()
        );
    }
    Ok(Some(ProfileSettings {
        time,
        directory,
        by_command: named.is_some(),
    }))
}

fn core_dumps(instances: &cli::Instances) -> Result<Option<Arc<CoreDumps>>> {
    let count = option(
        "--coredump-count",
        &instances.coredump_count,
        units::positive,
    )?;
    let Some(directory) = &instances.coredump_dir else {
        return Ok(None);
    };
    if !directory.is_dir() {
        bail!(
            "option --coredump-dir: there is no directory `{}`",
            directory.display()
        );
    }
    Ok(Some(Arc::new(CoreDumps {
        directory: std::path::absolute(directory).context("option --coredump-dir")?,
        most: count as usize,
    })))
}

fn recordings(serve: &Serve) -> Result<Option<RecordingSettings>> {
    let asked = &serve.instances;
    let count = option("--record-count", &asked.record_count, units::positive)?;
    let Some(directory) = &asked.record_failures else {
        if asked.record_secrets {
            bail!("option --record-secrets: nothing is recorded; give --record-failures too");
        }
        return Ok(None);
    };
    if !directory.is_dir() {
        bail!(
            "option --record-failures: there is no directory `{}`",
            directory.display()
        );
    }
    if asked.reuse != "1" {
        bail!(
            "option --record-failures: an instance that has answered other requests holds what they left, which no \
             recording has; leave out --reuse"
        );
    }
    Ok(Some(RecordingSettings {
        directory: std::path::absolute(directory).context("option --record-failures")?,
        most: count as usize,
        secrets: asked.record_secrets,
        component: serve.component.clone().unwrap_or_default(),
    }))
}

/// Puts the variables of the files together in their order, and then those of the command line: later ones win.
fn environment(asked: &cli::Capabilities) -> Result<Vec<(String, String)>> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut set =
        |name: String, value: String| match all.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => all.push((name, value)),
        };
    for path in &asked.env_file {
        let about = || format!("option --env-file: `{}`", path.display());
        for (name, value) in environment_file(path).with_context(about)? {
            set(name, value);
        }
    }
    for text in &asked.env {
        let (name, value) = option("--env", text, environment_variable)?;
        set(name, value);
    }
    Ok(all)
}

fn environment_file(path: &Path) -> Result<Vec<(String, String)>> {
    if path.is_dir() {
        bail!("it is a directory; name a file of NAME=VALUE lines");
    }
    let text = regular::read_text(path, LARGEST_TEXT).context("it cannot be read")?;
    dotenv::parse(&text, |name| std::env::var(name).ok())
}

fn environment_variable(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some(("", _)) => bail!("`{text}` has no name before the `=`"),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => match std::env::var(text) {
            Ok(value) => Ok((text.to_owned(), value)),
            Err(VarError::NotPresent) => {
                bail!("`{text}` is not set in the environment; write {text}=VALUE")
            }
            Err(VarError::NotUnicode(_)) => {
                bail!("`{text}` is not UTF-8 in the environment; guests have texts alone")
            }
        },
    }
}

/// Reads the settings of the guest: later ones win.
fn settings(asked: &cli::Capabilities) -> Result<Vec<(String, String)>> {
    let pairs = asked.config.iter().map(|text| {
        option("--config", text, |text| match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => bail!(
                "`{text}` is not NAME=VALUE; a file of options (TOML) is named with --config-file"
            ),
        })
    });
    pairs.collect()
}

fn directories(asked: &cli::Capabilities) -> Result<Vec<Directory>> {
    let mut all: Vec<Directory> = Vec::new();
    let read = asked.dir.iter().map(|text| ("--dir", text, false));
    let write = asked.dir_rw.iter().map(|text| ("--dir-rw", text, true));
    for (name, text, writable) in read.chain(write) {
        let found = option(name, text, |text| directory(text, writable))?;
        if all.iter().any(|known| known.guest == found.guest) {
            bail!(
                "option {name}: the guest has two directories `{}`; name each once",
                found.guest
            );
        }
        all.push(found);
    }
    Ok(all)
}

fn directory(text: &str, writable: bool) -> Result<Directory> {
    let (host, guest) = text.split_once("::").unwrap_or((text, text));
    if host.is_empty() || guest.is_empty() {
        bail!("`{text}` names no directory; write it like ./data::/data");
    }
    let about = || format!("directory `{host}` cannot be opened");
    let metadata = std::fs::metadata(host).with_context(about)?;
    if !metadata.is_dir() {
        bail!("`{host}` is not a directory; name the one that it is in");
    }
    std::fs::File::open(host).with_context(about)?;
    Ok(Directory {
        host: PathBuf::from(host),
        guest: guest.to_owned(),
        writable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn resolved(arguments: &[&str]) -> Result<Capabilities> {
        let arguments = ["wasmserve", "app.wasm"].iter().chain(arguments);
        resolve(&Cli::parse_from(arguments).serve)
    }

    fn mistake(arguments: &[&str]) -> String {
        format!("{:#}", resolved(arguments).unwrap_err())
    }

    #[test]
    fn a_variable_is_set_once_by_whoever_comes_last() {
        let environment = resolved(&["--env", "A=1", "--env", "B=2", "--env", "A=3"])
            .unwrap()
            .environment;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(environment, [pair("A", "3"), pair("B", "2")]);
        assert!(mistake(&["--env", "NOT_SET_ANYWHERE"]).contains("is not set"));
    }

    #[test]
    fn a_directory_is_there_and_named_once() {
        let directories = resolved(&["--dir", "/::/root", "--dir-rw", "/tmp"])
            .unwrap()
            .directories;
        assert_eq!(directories[0].guest, "/root");
        assert!(!directories[0].writable);
        assert_eq!(directories[1].guest, "/tmp");
        assert!(directories[1].writable);
        assert!(mistake(&["--dir", "/not/there"]).starts_with("option --dir: directory `/not"));
        assert!(mistake(&["--dir", "/etc/passwd"]).contains("is not a directory"));
        assert!(mistake(&["--dir", "/tmp::"]).contains("names no directory"));
        assert!(mistake(&["--dir", "/::/a", "--dir-rw", "/tmp::/a"]).contains("two directories"));
    }
}
