//! `Credentials` say who we are to a registry, by what `docker login` has left: names and passwords in the Docker
//! configuration, or programs that keep them elsewhere (docs.docker.com, "docker login", credential stores and
//! helpers).

use crate::sys::regular::{self, LARGEST_TEXT};
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that keeps credentials may take this long.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(30);

/// Docker Hub is called so in the configuration.
const HUB: &str = "https://index.docker.io/v1/";

/// `Credentials` show a registry who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    Password {
        user: String,
        password: String,
    },
    /// Tokens are given out for this identity.
    Identity(String),
}

/// Credentials are never written into a log.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials(…)")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Configuration {
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// A `HelperAnswer` is what a credential helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

impl Credentials {
    /// Finds the credentials for a registry; none where nobody has logged in. It may run a program that the
    /// configuration names, so it is called before rights are given up.
    pub fn find(host: &str) -> Result<Option<Credentials>> {
        let Some(path) = configuration() else {
            return Ok(None);
        };
        let text = match regular::read(&path, LARGEST_TEXT) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.with_context(|| about(&path))?,
        };
        let known: Configuration = serde_json::from_slice(&text).with_context(|| about(&path))?;
        known.of(host).with_context(|| about(&path))
    }

    /// Finds the file that holds the login to a registry itself, rather than naming a program that keeps it.
    pub fn file(host: &str) -> Option<PathBuf> {
        let path = configuration()?;
        let text = regular::read(&path, LARGEST_TEXT).ok()?;
        let known: Configuration = serde_json::from_slice(&text).ok()?;
        let keys = keys(host);
        let mut entries = known.auths.iter();
        let holds = |entry: &Entry| matches!(entry.credentials(), Ok(Some(_)));
        let found =
            entries.any(|(key, entry)| keys.iter().any(|it| is_of(key, it)) && holds(entry));
        found.then_some(path)
    }

    /// Gives the value of the Authorization field that says name and password.
    pub fn basic(&self) -> Option<String> {
        match self {
            Credentials::Password { user, password } => {
                let both = STANDARD.encode(format!("{user}:{password}"));
                Some(format!("Basic {both}"))
            }
            Credentials::Identity(_) => None,
        }
    }
}

/// Finds `config.json` of the directory that DOCKER_CONFIG names, or of ~/.docker.
fn configuration() -> Option<PathBuf> {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let directory = named("DOCKER_CONFIG").map(PathBuf::from);
    let directory = directory.or_else(|| Some(PathBuf::from(named("HOME")?).join(".docker")));
    directory.map(|directory| directory.join("config.json"))
}

fn about(path: &Path) -> String {
    format!("the Docker configuration `{}`", path.display())
}

impl Configuration {
    fn of(&self, host: &str) -> Result<Option<Credentials>> {
        let keys = keys(host);
        let helper = keys.iter().find_map(|key| self.cred_helpers.get(*key));
        for program in helper.into_iter().chain(&self.creds_store) {
            if let Some(found) = keep_asking(program, &keys)? {
                return Ok(Some(found));
            }
        }
        let mut entries = self.auths.iter();
        let found = entries.find(|(key, _)| keys.iter().any(|wanted| is_of(key, wanted)));
        found.map_or(Ok(None), |(key, entry)| {
            entry.credentials().with_context(|| format!("`{key}`"))
        })
    }
}

/// Lists the names by which a registry may stand in the configuration.
fn keys(host: &str) -> Vec<&str> {
    match host {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => vec![HUB, "docker.io"],
        host => vec![host],
    }
}

/// Says whether an entry is for this registry, whose name may be written as a URL.
fn is_of(key: &str, wanted: &str) -> bool {
    let host = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let host = host.unwrap_or(key).split('/').next();
    key == wanted || host == Some(wanted)
}

impl Entry {
    fn credentials(&self) -> Result<Option<Credentials>> {
        if let Some(token) = self
            .identitytoken
            .as_ref()
            .filter(|token| !token.is_empty())
        {
            return Ok(Some(Credentials::Identity(token.clone())));
        }
        if let (Some(user), Some(password)) = (&self.username, &self.password) {
            let (user, password) = (user.clone(), password.clone());
            return Ok(Some(Credentials::Password { user, password }));
        }
        let Some(auth) = self.auth.as_ref().filter(|auth| !auth.is_empty()) else {
            return Ok(None);
        };
        let bytes = STANDARD.decode(auth).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.context("its `auth` is not base64")?;
        let (user, password) = text.split_once(':').context("its `auth` has no password")?;
        Ok(Some(Credentials::Password {
            user: user.to_owned(),
            // Some who write it end it like this.
            password: password.trim_end_matches('\0').to_owned(),
        }))
    }
}

fn keep_asking(program: &str, keys: &[&str]) -> Result<Option<Credentials>> {
    for key in keys {
        if let Some(found) = asked(program, key)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Asks a program for what it keeps of this registry.
fn asked(program: &str, key: &str) -> Result<Option<Credentials>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if program.is_empty() || !program.chars().all(plain) {
        bail!(
            "`{}` is no name of a credential helper",
            program.escape_default()
        );
    }
    let name = format!("docker-credential-{program}");
    let started = Command::new(&name)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = started.with_context(|| format!("cannot run `{name}`"))?;
    if let Some(mut input) = child.stdin.take() {
        // One that ends without reading it says so by its status.
        let _ = input.write_all(key.as_bytes());
    }
    let succeeded = ended(&mut child).with_context(|| format!("`{name}`"))?;
    let mut said = Vec::new();
    let output = child.stdout.take().context("it has no output")?;
    output.take(LARGEST_TEXT).read_to_end(&mut said)?;
    if !succeeded {
        // It has none, by the protocol of these programs.
        if String::from_utf8_lossy(&said).contains("not found") {
            return Ok(None);
        }
        let said = String::from_utf8_lossy(&said);
        bail!("`{name}` failed: {}", said.trim().escape_default());
    }
    let kept: HelperAnswer = serde_json::from_slice(&said)
        .map_err(|_| anyhow::anyhow!("`{name}` did not answer as such programs do"))?;
    Ok(Some(match kept.username.as_str() {
        "<token>" => Credentials::Identity(kept.secret),
        _ => Credentials::Password {
            user: kept.username,
            password: kept.secret,
        },
    }))
}

/// Says whether the program succeeded, within its time. What it says is less than a pipe takes.
fn ended(child: &mut Child) -> Result<bool> {
    let deadline = Instant::now() + PROGRAM_TIMEOUT;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            bail!("it did not answer within {} s", PROGRAM_TIMEOUT.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, host: &str) -> Result<Option<Credentials>> {
        serde_json::from_str::<Configuration>(text)?.of(host)
    }

    fn password(user: &str, password: &str) -> Option<Credentials> {
        let (user, password) = (user.to_owned(), password.to_owned());
        Some(Credentials::Password { user, password })
    }

    #[test]
    fn what_docker_login_leaves_is_found_for_its_registry_alone() {
        let text = r#"{"auths": {"localhost:5000": {"auth": "bWU6cGFzczp3b3Jk"}, "https://ghcr.io/v2/": {"username": "u",
            "password": "p"}, "https://index.docker.io/v1/": {"identitytoken": "t"}, "empty.io": {}}}"#;
        assert_eq!(
            of(text, "localhost:5000").unwrap(),
            password("me", "pass:word")
        );
        assert_eq!(of(text, "ghcr.io").unwrap(), password("u", "p"));
        let identity = Some(Credentials::Identity("t".to_owned()));
        assert_eq!(of(text, "docker.io").unwrap(), identity);
        for other in [
            "localhost",
            "localhost:5001",
            "empty.io",
            "ghcr.io.evil.org",
        ] {
            assert_eq!(of(text, other).unwrap(), None, "{other}");
        }
        assert_eq!(of("{}", "ghcr.io").unwrap(), None);
        assert!(of(r#"{"auths": {"a.io": {"auth": "%"}}}"#, "a.io").is_err());
    }

    #[test]
    fn no_path_is_run_as_a_helper() {
        let text = r#"{"credHelpers": {"a.io": "../../bin/sh"}}"#;
        let said = format!("{:#}", of(text, "a.io").unwrap_err());
        assert!(said.contains("no name of a credential helper"), "{said}");
    }
}
