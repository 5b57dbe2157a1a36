//! This file finds the files that a command line reads and writes, for a service that sees few of them.

use super::command_line::absolute;
use super::{quote, servers};
use crate::cli::{Serve, Unit};
use crate::config::Config;
use crate::sys::exec;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The service does not see what is here: people's files are hidden from it (ProtectHome=), and it has directories for
/// temporary files of its own (PrivateTmp=).
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// Writes which files the service sees and may write to, beside those of the system.
pub fn write(text: &mut String, order: &Unit, config: &Config, here: &Path) -> Result<()> {
    let (mut read_by, mut written_by) = (Vec::new(), Vec::new());
    for (serve, config) in servers(order, config) {
        read_by.extend(read(serve, config, here)?);
        written_by.extend(written(serve)?);
    }
    let (read, written) = (once(read_by), once(written_by));
    let is_home = |path: &PathBuf| is_below(path, &HOMES);
    // Empty directories stand for the homes, so that the service comes to what is bound there.
    let home = match read.iter().chain(&written).any(is_home) {
        true => "tmpfs",
        false => "yes",
    };
    let _ = writeln!(text, "ProtectHome={home}");
    for path in read.iter().filter(|path| is_hidden(path)) {
        if !written.contains(path) {
            let _ = writeln!(text, "BindReadOnlyPaths={}", bound(path));
        }
    }
    if !written.is_empty() {
        text.push_str(
            "# The guest writes here. To keep the same user for these files, set User=.\n",
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
