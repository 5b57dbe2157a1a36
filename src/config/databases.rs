//! This file resolves which databases the guest may use. A connection URL holds a password: no error repeats it.

use super::{option, units};
use crate::cli;
use crate::guest::{DatabaseUrl, PostgresSettings, SqliteSettings};
use crate::sys::regular::{self, LARGEST_TEXT};
use crate::sys::watch::directory_of;
use anyhow::{Context, Result, bail};
use std::env::VarError;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub fn postgres(asked: &cli::Databases) -> Result<PostgresSettings> {
    let (connections, answer) = limits(asked)?;
    Ok(PostgresSettings {
        databases: named("--postgres", &asked.postgres, database)?,
        connections,
        answer,
    })
}

pub fn sqlite(asked: &cli::Databases) -> Result<SqliteSettings> {
    let (connections, answer) = limits(asked)?;
    Ok(SqliteSettings {
        databases: named("--sqlite", &asked.sqlite, file)?,
        connections,
        answer,
    })
}

/// Resolves the databases of one option, each of which has a name of its own.
fn named<T>(
    name: &str,
    asked: &[String],
    resolve: fn(&str) -> Result<(String, T)>,
) -> Result<Vec<(String, T)>> {
    let mut databases: Vec<(String, T)> = Vec::new();
    for text in asked {
        let database = option(name, text, resolve)?;
        if databases.iter().any(|(known, _)| *known == database.0) {
            bail!(
                "option {name}: there are two databases `{}`; name each once",
                database.0
            );
        }
        databases.push(database);
    }
    Ok(databases)
}

/// Resolves what holds for each database: connections of a worker, and the time of a statement.
fn limits(asked: &cli::Databases) -> Result<(usize, Duration)> {
    let count = |text: &str| units::positive(text).map(|count| count as usize);
    let most = &asked.limit_sql_connections;
    Ok((
        option("--limit-sql-connections", most, count)?,
        option("--timeout-sql", &asked.timeout_sql, units::some_time)?,
    ))
}

fn file(text: &str) -> Result<(String, PathBuf)> {
    let named = text.split_once('=').filter(|(name, _)| is_name(name));
    let Some((name, path)) = named else {
        bail!(
            "`{text}` is not NAME=PATH; write it like app=data/app.db, with a name of letters, digits, `-`, `_` and `.`"
        );
    };
    if let Some(other) = path.split([' ', ',', '\n']).skip(1).find(|it| is_named(it)) {
        bail!("`{name}` is followed by `{other}`; give each database by itself");
    }
    let path = PathBuf::from(path);
    if path.as_os_str().is_empty() || path.is_dir() {
        bail!(
            "`{}` is not a file; name one, it is made if it is not there",
            path.display()
        );
    }
    let directory = directory_of(&path);
    if !directory.is_dir() {
        bail!("there is no directory `{}`; make it", directory.display());
    }
    Ok((name.to_owned(), path))
}

/// Lists the files that databases' URLs are read from.
pub fn url_files(asked: &cli::Databases) -> impl Iterator<Item = &Path> {
    let urls = asked.postgres.iter();
    let urls = urls.filter_map(|text| text.split_once('=')?.1.strip_prefix("file:"));
    urls.map(Path::new)
}

fn database(text: &str) -> Result<(String, DatabaseUrl)> {
    let named = text.split_once('=').filter(|(name, _)| is_name(name));
    let Some((name, url)) = named else {
        bail!(
            "it is not NAME=URL; write it like app=postgres://USER:PASSWORD@HOST/DATABASE, with a name of letters, \
             digits, `-`, `_` and `.`"
        );
    };
    let address = match url.split_once(':') {
        Some(("file" | "env", more)) if more.contains("://") => {
            bail!("`{name}` is followed by a URL; give each database by itself")
        }
        Some(("file", path)) => {
            let about = || format!("the URL of `{name}` cannot be read from `{path}`");
            let text = regular::read_text(Path::new(path), LARGEST_TEXT).with_context(about)?;
            DatabaseUrl::parse(text.trim())
        }
        Some(("env", variable)) => match std::env::var(variable) {
            Ok(url) => DatabaseUrl::parse(&url),
            Err(VarError::NotPresent) => bail!("`{variable}` is not set in the environment"),
            Err(VarError::NotUnicode(_)) => bail!("`{variable}` is not UTF-8 in the environment"),
        },
        _ => DatabaseUrl::parse(url),
    };
    Ok((
        name.to_owned(),
        address.with_context(|| format!("database `{name}`"))?,
    ))
}

/// Says whether this is NAME=…, as another database begins.
fn is_named(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| is_name(name))
}

/// A name is never mistaken for a URL, nor a URL for a name.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn resolved(arguments: &[&str]) -> Result<PostgresSettings> {
        let arguments = ["wasmserve", "app.wasm"].iter().chain(arguments);
        postgres(&Cli::parse_from(arguments).serve.databases)
    }

    #[test]
    fn a_database_is_named_once_and_its_password_is_in_no_error() {
        let settings = resolved(&[
            "--postgres",
            "app=postgres://u:pw@db/app",
            "--postgres",
            "other=postgres://u:pw@db/other?sslmode=require",
        ])
        .unwrap();
        let names: Vec<&str> = settings
            .databases
            .iter()
            .map(|(it, _)| it.as_str())
            .collect();
        assert_eq!(names, ["app", "other"]);
        assert_eq!(settings.connections, 10);
        for (arguments, said) in [
            (&["postgres://u:pw@db/app?a=b"][..], "it is not NAME=URL"),
            (&["app"], "it is not NAME=URL"),
            (
                &["app=mysql://u:pw@db"],
                "database `app`: it is not the URL",
            ),
            (
                &["app=env:NOT_SET_ANYWHERE"],
                "`NOT_SET_ANYWHERE` is not set",
            ),
            (
                &["app=file:/not/there"],
                "`app` cannot be read from `/not/there`",
            ),
            (
                &["app=postgres://u:p@a/b other=postgres://u:pw@a/c"],
                "database `app`: it is more than one URL",
            ),
            (
                &["app=file:/not/there other=postgres://u:pw@a/c"],
                "`app` is followed by a URL",
            ),
            (
                &["app=env:NOT_SET,other=postgres://u:pw@a/c"],
                "`app` is followed by a URL",
            ),
            (
                &["app=postgres://u:pw@a/b", "app=postgres://u:pw@a/c"],
                "two databases `app`",
            ),
        ] {
            let options = arguments.iter().flat_map(|it| ["--postgres", it]);
            let error = format!("{:#}", resolved(&options.collect::<Vec<_>>()).unwrap_err());
            assert!(
                error.starts_with("option --postgres: ") && error.contains(said),
                "{error}"
            );
            assert!(!error.contains("pw"), "{error}");
        }
    }

    #[test]
    fn a_file_is_named_once_in_a_directory_that_is_there() {
        let resolved = |options: &[&str]| {
            let options = options.iter().flat_map(|it| ["--sqlite", it]);
            let arguments = ["wasmserve", "app.wasm"].into_iter().chain(options);
            sqlite(&Cli::parse_from(arguments).serve.databases)
        };
        let settings = resolved(&["app=/tmp/a.db", "other=a.db", "c=/tmp/a b.db"]).unwrap();
        assert_eq!(
            settings.databases[0],
            ("app".to_owned(), PathBuf::from("/tmp/a.db"))
        );
        for (options, said) in [
            (&["/tmp/a.db"][..], "is not NAME=PATH"),
            (&["app=/tmp"], "is not a file"),
            (
                &["app=/not/there/a.db"],
                "there is no directory `/not/there`",
            ),
            (&["app=a.db", "app=b.db"], "two databases `app`"),
            (
                &["app=a.db other=b.db"],
                "`app` is followed by `other=b.db`",
            ),
            (&["app=a.db,other=b.db"], "give each database by itself"),
        ] {
            let error = format!("{:#}", resolved(options).unwrap_err());
            assert!(
                error.starts_with("option --sqlite: ") && error.contains(said),
                "{error}"
            );
        }
    }

    #[test]
    fn a_url_is_read_from_a_file() {
        let path = std::env::temp_dir().join(format!("wasmserve-url-{}", std::process::id()));
        std::fs::write(&path, "postgres://u:pw@db/app\n").unwrap();
        let option = format!("app=file:{}", path.display());
        let read = resolved(&["--postgres", &option]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read.unwrap().databases.len(), 1);
    }
}
