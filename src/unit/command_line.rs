//! This file makes the command line of the service: the one that was given, less what its sockets say already.

use super::quote;
use super::socket::Socket;
use crate::cli::{OptionOrigin, OptionSource, honoured};
use crate::sys::exec;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// A `CommandLine` is what the service runs, and with what.
pub struct CommandLine {
    /// The unit has this for the executable and its arguments.
    pub exec: String,
    /// These variables say options now, with their values.
    pub variables: Vec<(String, String)>,
    /// Only root may read these files, each with the name that the service finds it by.
    pub credentials: Vec<(String, PathBuf)>,
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

/// Files of this option belong to root alone as a rule.
const SECRET: &str = "--ssl-keyfile";

/// The URL of a database has a password.
const DATABASE: &str = "--postgres";

/// The service gets these variables too, which other servers honour.
const HONOURED: [&str; 2] = [honoured::WORKERS, honoured::PROXIES];

impl CommandLine {
    /// Takes what this process was given, for the service.
    pub fn of_this_process(origins: &[OptionOrigin], sockets: &[Socket]) -> Result<CommandLine> {
        let executable = exec::own_path().context("cannot find this executable")?;
        let mut given = std::env::args_os().skip(1).map(|argument| {
            let text = argument.into_string();
            text.map_err(|name| anyhow::anyhow!("`{}` is no text", name.display()))
        });
        let given: Vec<String> = given.by_ref().collect::<Result<_>>()?;
        // The first `unit` is the command: no option may stand before it.
        let given = given.iter().skip(1).map(String::as_str);
        let (arguments, credentials) = arguments(given)?;
        let named = sockets.iter().filter_map(Socket::argument);
        let mut exec = quote::argument(&executable.display().to_string());
        for argument in arguments.into_iter().chain(named.flatten()) {
            exec.push(' ');
            exec.push_str(&argument);
        }
        Ok(CommandLine {
            exec,
            variables: variables(origins),
            credentials,
        })
    }
}

/// `Credentials` are names, each with the file that it is read from.
type Credentials = Vec<(String, PathBuf)>;

/// Quotes the arguments, and finds the credentials among them.
fn arguments<'a>(given: impl Iterator<Item = &'a str>) -> Result<(Vec<String>, Credentials)> {
    let (mut kept, mut credentials) = (Vec::new(), Vec::new());
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
        } else if option == SECRET {
            let path = value.or_else(|| given.next()).unwrap_or_default();
            let name = format!("key{}.pem", credentials.len() + 1);
            // The directory of the service's credentials (systemd.unit(5), specifiers).
            kept.push(format!("{SECRET}=%d/{name}"));
            credentials.push((name, absolute(Path::new(path))?));
        } else if option == DATABASE {
            let named = value.or_else(|| given.next()).unwrap_or_default();
            match named.split_once('=') {
                Some((name, url)) if url.starts_with("file:") => {
                    let path = absolute(Path::new(&url["file:".len()..]))?;
                    let credential = format!("postgres{}.url", credentials.len() + 1);
                    let name = quote::argument(name);
                    kept.push(format!("{DATABASE}={name}=file:%d/{credential}"));
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
fn variables(origins: &[OptionOrigin]) -> Vec<(String, String)> {
    let from_variables = origins.iter().filter(|origin| {
        origin.source == OptionSource::Environment
            && !REPLACED.contains(&format!("--{}", origin.name).as_str())
    });
    let named =
        from_variables.filter_map(|origin| origin.place.as_ref()?.strip_prefix("variable "));
    let named = named.chain(HONOURED);
    named
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
        .filter(|(_, value)| !value.is_empty())
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
            "--ssl-keyfile",
            "/etc/key.pem",
        ];
        let (kept, credentials) = arguments(given.into_iter()).unwrap();
        let expected = [
            "app.wasm",
            "--workers",
            "4",
            "\"--env=A=b c\"",
            "--ssl-keyfile=%d/key1.pem",
        ];
        assert_eq!(kept, expected);
        let key = ("key1.pem".to_owned(), PathBuf::from("/etc/key.pem"));
        assert_eq!(credentials, [key]);
    }
}
