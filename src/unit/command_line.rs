//! This file makes the command line of the service: the one that was given, less what its sockets say already.

use super::quote;
use super::socket::Socket;
use super::user::{FILE, ServiceUser};
use crate::cli::{OptionOrigin, OptionSource, Serve, Unit, honoured};
use crate::config::{Config, registry};
use crate::sys::exec;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// A `CommandLine` is what the service runs, and with what.
pub struct CommandLine {
    /// The unit has this for the executable.
    pub executable: String,
    /// The unit has this for the executable and its arguments.
    pub exec: String,
    /// The unit has these variables, with their values.
    pub variables: Vec<String>,
    /// Only root may read these files, each with the name that the service finds it by.
    pub credentials: Credentials,
}

/// These options take a value, and the units themselves stand for them.
const REPLACED: [&str; 8] = [
    "--name",
    "--output",
    "--host",
    "--port",
    "--uds",
    "--uds-permissions",
    "--bind",
    "--backlog",
];

/// Files of these options are root's alone as a rule, and one of the first kind is never used without that of the
/// second: the service gets copies of both, of the same time.
const SECRET: [(&str, &str); 2] = [("--ssl-keyfile", "key"), ("--ssl-certfile", "certificate")];

/// Files of these options may: the service gets a copy of those that it cannot read itself.
const PERHAPS_SECRET: [&str; 3] = ["--env-file", "--ssl-keyfile-password-file", "--config-file"];

/// Logins to registries are in a file of this name, in the directory that the variable names.
const LOGINS: &str = "config.json";
const LOGINS_VARIABLE: &str = "DOCKER_CONFIG";

/// The URL of a database has a password.
const DATABASE: &str = "--postgres";

/// The service gets these variables too, which other servers honour.
const HONOURED: [&str; 2] = [honoured::WORKERS, honoured::PROXIES];

impl CommandLine {
    /// Takes what this process was given, for the service.
    pub fn of_this_process(
        order: &Unit,
        origins: &[OptionOrigin],
        sockets: &[Socket],
        config: &Config,
    ) -> Result<CommandLine> {
        let user = ServiceUser::of(&order.serve, config);
        let executable = exec::own_path().context("cannot find this executable")?;
        let mut given = std::env::args_os().skip(1).map(|argument| {
            let text = argument.into_string();
            text.map_err(|name| anyhow::anyhow!("`{}` is no text", name.display()))
        });
        let given: Vec<String> = given.by_ref().collect::<Result<_>>()?;
        // The first `unit` is the command: no option may stand before it.
        let given = given.iter().skip(1).map(String::as_str);
        let is_open = |path: &Path| user.reaches(path, FILE);
        let moved = named_elsewhere(&order.serve, origins, is_open)?;
        let given = moved.iter().map(|(_, it)| it.as_str()).chain(given);
        let (arguments, mut credentials) = arguments(given, is_open)?;
        let is_moved = |name: &str| moved.iter().any(|(moved, _)| moved == &name);
        let mut variables = variables(origins.iter().filter(|origin| !is_moved(&origin.name)));
        if let Some(path) = config.pull.as_ref().and_then(registry::logins) {
            credentials.push((LOGINS.to_owned(), absolute(&path)?));
            variables.push(format!("{LOGINS_VARIABLE}={DIRECTORY}"));
        }
        let named = sockets.iter().filter_map(Socket::argument);
        let executable = quote::argument(&executable.display().to_string());
        let mut exec = executable.clone();
        for argument in arguments.into_iter().chain(named.flatten()) {
            exec.push(' ');
            exec.push_str(&argument);
        }
        Ok(CommandLine {
            executable,
            exec,
            variables,
            credentials,
        })
    }
}

/// The service has its credentials in this directory (systemd.unit(5), specifiers).
const DIRECTORY: &str = "%d";

/// `Credentials` are names, each with the file that it is read from.
pub type Credentials = Vec<(String, PathBuf)>;

/// Lists options whose files are handed over as credentials, and that the environment or the configuration file sets:
/// the service has them on its command line, which counts more. Each comes with its name.
fn named_elsewhere(
    serve: &Serve,
    origins: &[OptionOrigin],
    is_open: impl Fn(&Path) -> bool,
) -> Result<Vec<(&'static str, String)>> {
    let is_elsewhere = |name: &str| {
        let sources = [OptionSource::Environment, OptionSource::File];
        let mut named = origins.iter().filter(|origin| origin.name == name);
        named.any(|origin| sources.contains(&origin.source))
    };
    let tls = &serve.tls;
    let one = |path: &Option<PathBuf>| path.iter().cloned().collect::<Vec<_>>();
    let files = [
        ("ssl-certfile", tls.ssl_certfile.clone()),
        ("ssl-keyfile", tls.ssl_keyfile.clone()),
        ("env-file", serve.capabilities.env_file.clone()),
        (
            "ssl-keyfile-password-file",
            one(&tls.ssl_keyfile_password_file),
        ),
        ("config-file", one(&serve.config_file)),
    ];
    let mut moved = Vec::new();
    for (name, paths) in files.into_iter().filter(|(name, _)| is_elsewhere(name)) {
        let is_secret = SECRET.iter().any(|(secret, _)| secret[2..] == *name);
        let paths: Vec<PathBuf> = paths
            .iter()
            .map(|path| absolute(path))
            .collect::<Result<_>>()?;
        if is_secret || !paths.iter().all(|path| is_open(path)) {
            let options = paths
                .iter()
                .map(|path| format!("--{name}={}", path.display()));
            moved.extend(options.map(|option| (name, option)));
        }
    }
    let databases = &serve.databases.postgres;
    let is_plain = |named: &String| {
        named
            .split_once('=')
            .is_none_or(|(_, url)| url.contains("://"))
    };
    if is_elsewhere(&DATABASE[2..]) && !databases.iter().any(is_plain) {
        let options = databases.iter().map(|named| format!("{DATABASE}={named}"));
        moved.extend(options.map(|option| (&DATABASE[2..], option)));
    }
    Ok(moved)
}

/// Quotes the arguments, and finds the credentials among them.
fn arguments<'a>(
    given: impl Iterator<Item = &'a str>,
    is_open: impl Fn(&Path) -> bool,
) -> Result<(Vec<String>, Credentials)> {
    let (mut kept, mut credentials) = (Vec::new(), Credentials::new());
    let mut given = given.peekable();
    while let Some(argument) = given.next() {
        let (option, value) = match argument.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value)),
            _ => (argument, None),
        };
        if argument.starts_with("-o") && !argument.starts_with("--") {
            if argument == "-o" {
                given.next();
            }
        } else if REPLACED.contains(&option) {
            if value.is_none() {
                given.next();
            }
        } else if let Some((_, stem)) = SECRET.iter().find(|(secret, _)| *secret == option) {
            let path = value.or_else(|| given.next()).unwrap_or_default();
            let before = credentials
                .iter()
                .filter(|(name, _)| name.starts_with(stem));
            let name = format!("{stem}{}.pem", before.count() + 1);
            kept.push(format!("{option}={DIRECTORY}/{name}"));
            credentials.push((name, absolute(Path::new(path))?));
        } else if PERHAPS_SECRET.contains(&option) {
            let named = value.or_else(|| given.next()).unwrap_or_default();
            let path = absolute(Path::new(named))?;
            if is_open(&path) {
                kept.push(quote::argument(&format!("{option}={named}")));
            } else {
                let name = format!("file{}", credentials.len() + 1);
                kept.push(format!("{option}={DIRECTORY}/{name}"));
                credentials.push((name, path));
            }
        } else if option == DATABASE {
            let named = value.or_else(|| given.next()).unwrap_or_default();
            match named.split_once('=') {
                Some((name, url)) if url.starts_with("file:") => {
                    let path = absolute(Path::new(&url["file:".len()..]))?;
                    let credential = format!("postgres{}.url", credentials.len() + 1);
                    let name = quote::argument(name);
                    kept.push(format!("{DATABASE}={name}=file:{DIRECTORY}/{credential}"));
                    credentials.push((credential, path));
                }
                Some((name, url)) if url.starts_with("env:") => bail!(
                    "option {DATABASE}: the service does not have this shell's environment; write the URL of `{name}` \
                     to a file that only root may read, and name it: {name}=file:PATH"
                ),
                _ => kept.push(quote::argument(&format!("{DATABASE}={named}"))),
            }
        } else {
            kept.push(quote::argument(argument));
        }
    }
    Ok((kept, credentials))
}

/// Returns the path from the root directory on.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot resolve `{}`", path.display()))
}

/// Lists what the environment says of options that the units do not stand for.
fn variables<'a>(origins: impl Iterator<Item = &'a OptionOrigin>) -> Vec<String> {
    let from_variables = origins.filter(|origin| {
        origin.source == OptionSource::Environment
            && !REPLACED.contains(&format!("--{}", origin.name).as_str())
    });
    let named =
        from_variables.filter_map(|origin| origin.place.as_ref()?.strip_prefix("variable "));
    let named = named.chain(HONOURED);
    named
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| quote::item(&format!("{name}={value}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_units_stand_for_is_left_out() {
        let given = [
            "app.wasm",
            "--port",
            "80",
            "--bind=unix:/a",
            "-o",
            "units",
            "--workers",
            "4",
            "--name=app",
            "--env=A=b c",
            "--ssl-certfile=/etc/certificate.pem",
            "--ssl-keyfile",
            "/etc/key.pem",
            "--env-file=/etc/open",
            "--env-file",
            "/etc/closed",
        ];
        let is_open = |path: &Path| path.ends_with("open");
        let (kept, credentials) = arguments(given.into_iter(), is_open).unwrap();
        let expected = [
            "app.wasm",
            "--workers",
            "4",
            "\"--env=A=b c\"",
            "--ssl-certfile=%d/certificate1.pem",
            "--ssl-keyfile=%d/key1.pem",
            "--env-file=/etc/open",
            "--env-file=%d/file3",
        ];
        assert_eq!(kept, expected);
        let credential = |name: &str, path: &str| (name.to_owned(), PathBuf::from(path));
        let expected = [
            credential("certificate1.pem", "/etc/certificate.pem"),
            credential("key1.pem", "/etc/key.pem"),
            credential("file3", "/etc/closed"),
        ];
        assert_eq!(credentials, expected);
    }
}
