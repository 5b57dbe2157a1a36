//! This file finds the files that a command line reads and writes, for a service that sees few of them, and says what
//! of that its user will not be able to do.

use super::command_line::{CommandLine, absolute};
use super::user::{DIRECTORY, FILE, ServiceUser, WRITTEN};
use super::{quote, servers};
use crate::cli::{Serve, Unit};
use crate::config::Config;
use crate::sys::exec;
use crate::warning;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The service does not see what is here: people's files are hidden from it (ProtectHome=), and it has directories for
/// temporary files of its own (PrivateTmp=).
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// Directories below these are made for the service, as its own, by these settings (systemd.exec(5)).
const GIVEN: [(&str, &str); 4] = [
    ("/var/lib", "StateDirectory"),
    ("/var/cache", "CacheDirectory"),
    ("/var/log", "LogsDirectory"),
    ("/run", "RuntimeDirectory"),
];

/// Writes which files the service sees and may write to, beside those of the system.
pub fn write(
    text: &mut String,
    order: &Unit,
    config: &Config,
    command: &CommandLine,
    here: &Path,
) -> Result<()> {
    let user = ServiceUser::of(&order.serve, config);
    let (mut read_by, mut written_by) = (Vec::new(), Vec::new());
    for (serve, config) in servers(order, config) {
        read_by.extend(read(serve, config, here)?);
        written_by.extend(written(serve)?);
    }
    let is_copy = |path: &PathBuf| command.credentials.iter().any(|(_, copied)| copied == path);
    read_by.retain(|path| !is_copy(path));
    warn_of_reading(&read_by, &user);
    let (given, written): (Vec<_>, Vec<_>) = once(written_by)
        .into_iter()
        .partition(|path| is_given(path, &user));
    let seen = read_by.into_iter().filter(|path| is_hidden(path));
    let seen = once(seen.map(|path| to_bind(path, &user)).collect());
    let is_home = |path: &PathBuf| is_below(path, &HOMES);
    // Empty directories stand for the homes, so that the service comes to what is bound there.
    let home = match seen.iter().chain(&written).any(is_home) {
        true => "tmpfs",
        false => "yes",
    };
    let _ = writeln!(text, "ProtectHome={home}");
    for path in seen.iter().filter(|path| !written.contains(path)) {
        let _ = writeln!(text, "BindReadOnlyPaths={}", bound(path));
    }
    write_given(text, &given);
    if !written.is_empty() {
        warn_of_writing(&written, &user);
        text.push_str(
            "# The guest writes here. To keep the same user for these files, give --user.\n",
        );
    }
    for path in &written {
        let _ = match is_hidden(path) {
            true => writeln!(text, "BindPaths={}", bound(path)),
            false => {
                let path = quote::item(&path.display().to_string());
                writeln!(text, "ReadWritePaths={path}")
            }
        };
    }
    Ok(())
}

/// Writes the directories that are made for the service.
fn write_given(text: &mut String, given: &[PathBuf]) {
    for path in given {
        for (parent, setting) in GIVEN {
            if let Ok(name) = path.strip_prefix(parent) {
                let name = quote::item(&name.display().to_string());
                let _ = writeln!(text, "{setting}={name}");
            }
        }
    }
}

/// Says whether a directory is made for the service: below one of those, and nobody else's.
fn is_given(path: &Path, user: &ServiceUser) -> bool {
    let is_below = |(parent, _): &(&str, &str)| {
        let name = path.strip_prefix(parent).ok();
        name.is_some_and(|name| !name.as_os_str().is_empty())
    };
    GIVEN.iter().any(is_below) && is_free(path, user)
}

/// Says whether a directory can be given to a service, and everything in it with it.
fn is_free(path: &Path, user: &ServiceUser) -> bool {
    let Ok(found) = path.symlink_metadata() else {
        return true;
    };
    if found.is_symlink() {
        // What was made for a service whose user is made up is here.
        let real = path.canonicalize();
        return real.is_ok_and(|real| real.iter().any(|part| part == "private"));
    }
    let is_empty = || {
        path.read_dir()
            .is_ok_and(|mut entries| entries.next().is_none())
    };
    user.may(path, WRITTEN) || (found.uid() == 0 && is_empty())
}

/// Returns what is bound so that the service sees a file or a directory there. Of a file that is its directory where
/// that is open: a file that is put in the place of another is seen only through it.
fn to_bind(path: PathBuf, user: &ServiceUser) -> PathBuf {
    match path.parent() {
        Some(parent) if !path.is_dir() && user.may(parent, DIRECTORY) && is_narrow(parent) => {
            parent.to_owned()
        }
        _ => path,
    }
}

/// Says whether a directory is neither one of all homes or all temporary files, nor the home of somebody.
fn is_narrow(directory: &Path) -> bool {
    let all = HOMES.iter().chain(&TEMPORARY);
    let mut depths = all.filter_map(|parent| directory.strip_prefix(parent).ok());
    let least = match directory.starts_with("/home") || directory.starts_with("/run/user") {
        true => 2,
        false => 1,
    };
    depths.all(|below| below.components().count() >= least)
}

/// Warns of what the service's user will not be able to read.
fn warn_of_reading(paths: &[PathBuf], user: &ServiceUser) {
    for path in paths {
        let shown = path.display();
        let is_open = match is_hidden(path) {
            // It is bound by itself, or its directory is.
            true => ServiceUser::may,
            false => ServiceUser::reaches,
        };
        if !path.exists() {
            warning!("`{shown}` is not there: the service will not start without it");
        } else if !is_open(user, path, if path.is_dir() { DIRECTORY } else { FILE }) {
            warning!(
                "`{shown}` is closed to the user whom the service runs as: open it and the directories above it \
                 (chmod o+rX), or give --user with a user who may read it"
            );
        }
    }
}

/// Warns of what the service's user will not be able to write to.
fn warn_of_writing(paths: &[PathBuf], user: &ServiceUser) {
    for path in paths {
        let shown = path.display();
        let Ok(found) = path.metadata() else {
            warning!("there is no directory `{shown}`: the service will not start without it");
            continue;
        };
        if !user.may(path, WRITTEN) {
            let owner = found.uid();
            let remedy = match owner {
                0 => "change its owner and give --user with that user".to_owned(),
                owner => format!("give --user {owner}"),
            };
            warning!(
                "`{shown}` belongs to user {owner}, and the user whom the service runs as cannot write there: {remedy}, \
                 or name a new directory below /var/lib, /var/cache, /var/log or /run, which systemd makes for the service"
            );
        }
    }
}

/// Lists the files and directories that the server reads, for itself or for the guest.
fn read(serve: &Serve, config: &Config, here: &Path) -> Result<Vec<PathBuf>> {
    let granted = &serve.capabilities;
    let executable = exec::own_path().context("cannot find this executable")?;
    // What is pulled lies in the service's own cache.
    let component = match &config.pull {
        Some(_) => None,
        None => Some(config.compile_request.path.as_path()).filter(|_| config.has_application),
    };
    let named = [
        &serve.config_file,
        &serve.outbound.outbound_ca,
        &serve.tls.ssl_ca_certs,
        &serve.tls.ssl_keyfile_password_file,
    ];
    let mut all = vec![here, executable.as_path()];
    all.extend(component);
    all.extend(named.into_iter().flatten().map(PathBuf::as_path));
    for list in [
        &config.compile_request.middleware,
        &granted.before_start,
        &granted.env_file,
        &serve.tls.ssl_certfile,
        &serve.tls.ssl_crl,
    ] {
        all.extend(list.iter().map(PathBuf::as_path));
    }
    // Both are written NAME=PATH.
    let files = serve.requests.files.iter().chain(&granted.every);
    all.extend(files.filter_map(|text| Some(Path::new(text.split_once('=')?.1))));
    all.extend(granted.dir.iter().map(|grant| of_the_host(grant)));
    all.into_iter().map(absolute).collect()
}

/// Lists directories that the operator lets the guest, or the server for it, write to.
fn written(serve: &Serve) -> Result<Vec<PathBuf>> {
    let granted = &serve.capabilities;
    let store = granted.keyvalue.as_deref();
    let store = store.and_then(|store| store.strip_prefix("sqlite:"));
    let databases = serve.databases.sqlite.iter();
    let databases = databases.filter_map(|text| Some(text.split_once('=')?.1));
    let logs = [&serve.logging.log_file, &serve.logging.access_logfile];
    let logs = logs.into_iter().flatten().map(String::as_str);
    let logs = logs.filter(|log| !["-", "syslog", "journald"].contains(log));
    let pid = serve.processes.pid.as_deref();
    let files = databases.chain(store).chain(logs).map(Path::new).chain(pid);
    // A file without a directory is in the working directory.
    let beside = files.filter_map(|file| match file.parent()? {
        parent if parent.as_os_str().is_empty() => Some(Path::new(".")),
        parent => Some(parent),
    });
    let directories = [
        &serve.code.cache_dir,
        &serve.instances.coredump_dir,
        &serve.instances.profile_dir,
        &serve.instances.record_failures,
    ];
    let directories = directories.into_iter().flatten().map(PathBuf::as_path);
    let granted = granted.dir_rw.iter().map(|grant| of_the_host(grant));
    let all = directories.chain(granted).chain(beside);
    all.map(absolute).collect()
}

/// Returns the host's part of `HOST::GUEST`.
fn of_the_host(grant: &str) -> &Path {
    Path::new(grant.split("::").next().unwrap_or(grant))
}

/// Lists each path once.
fn once(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.sort();
    paths.dedup();
    paths
}

fn is_hidden(path: &Path) -> bool {
    is_below(path, &HOMES) || is_below(path, &TEMPORARY)
}

fn is_below(path: &Path, directories: &[&str]) -> bool {
    directories
        .iter()
        .any(|directory| path.starts_with(directory))
}

/// Writes a path that appears in the service where it is outside. A colon would begin the name inside.
fn bound(path: &Path) -> String {
    quote::item(&path.display().to_string().replace(':', "\\:"))
}
