//! The configuration file has options by their long names, which count where neither the command line nor the
//! environment says anything. It is read by making arguments of it.

mod mounts;

pub use mounts::FileMount;

use super::opposites::opposite;
use super::{elsewhere, honoured};
use crate::sys::regular::{self, LARGEST_TEXT};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Error};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// `FileArguments` are what the file says, as arguments, and the options that it sets.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FileArguments {
    pub arguments: Vec<OsString>,
    /// The file sets these, each by what it is called among the arguments, with the file and the line.
    set: Vec<(String, String)>,
    /// The file has tables of these mounts.
    pub mounts: Vec<FileMount>,
}

impl FileArguments {
    /// Returns where the file sets this option, if it does.
    pub fn place(&self, id: &str) -> Option<String> {
        let mut set = self.set.iter();
        set.find(|(set, _)| set == id)
            .map(|(_, place)| place.clone())
    }
}

/// These variables, which other servers honour too, count more than the file.
const HONOURED: [(&str, &str); 2] = [("workers", honoured::WORKERS), ("port", honoured::PORT)];

/// Reads the file that `matches` names, if it names one.
pub fn read(command: &Command, matches: &ArgMatches) -> Result<FileArguments, Error> {
    let Some(path) = matches.get_one::<PathBuf>("config_file") else {
        return Ok(FileArguments::default());
    };
    let text = regular::read_text(path, LARGEST_TEXT)
        .map_err(|error| mistake(path, None, &format!("cannot be read: {error}")))?;
    translate(command, matches, path, &text)
}

pub(super) fn translate(
    command: &Command,
    matches: &ArgMatches,
    path: &Path,
    text: &str,
) -> Result<FileArguments, Error> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        let why = match path.extension().is_some_and(|it| it == "py") {
            true => "it is a program, and the file is in TOML here: write each setting by the long name of its option",
            false => error.message(),
        };
        mistake(path, line, why)
    })?;
    let file = Source { path, text };
    let mut found = FileArguments::default();
    for (key, value) in table.get_ref() {
        if let (mounts::TABLES, DeValue::Table(tables)) = (key.get_ref().as_ref(), value.get_ref())
        {
            for (route, value) in tables {
                found.mounts.push(file.mount(command, route, value)?);
            }
            continue;
        }
        let argument = argument(command, key.get_ref()).map_err(|why| file.mistake(key, &why))?;
        if is_said_elsewhere(matches, argument) {
            continue;
        }
        found
            .arguments
            .extend(file.option(command, argument, key, value)?);
        let place = file.place(key);
        found.set.push((argument.get_id().to_string(), place));
    }
    Ok(found)
}

/// A `Source` is the file, by which mistakes are told.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn place(&self, key: &Spanned<DeString<'_>>) -> String {
        place(self.path, Some(line_of(self.text, key.span().start)))
    }

    fn mistake(&self, key: &Spanned<DeString<'_>>, why: &str) -> Error {
        mistake(self.path, Some(line_of(self.text, key.span().start)), why)
    }

    fn option(
        &self,
        command: &Command,
        argument: &Arg,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<OsString>, Error> {
        arguments(command, argument, value).map_err(|fault| match fault.at {
            Some(start) => mistake(self.path, Some(line_of(self.text, start)), &fault.why),
            None => self.mistake(key, &fault.why),
        })
    }
}

/// A `ValueError` is what is wrong with a value.
struct ValueError {
    why: String,
    /// It stands here, where that is not its option's own place.
    at: Option<usize>,
}

impl From<String> for ValueError {
    fn from(why: String) -> ValueError {
        ValueError { why, at: None }
    }
}

/// Finds the option of this name, or which one was perhaps meant.
fn argument<'a>(command: &'a Command, key: &str) -> Result<&'a Arg, String> {
    let known = |argument: &&Arg| name(argument).is_some();
    let options = || command.get_arguments().filter(known);
    if let Some(argument) = options().find(|argument| name(argument) == Some(key)) {
        return Ok(argument);
    }
    // A configuration of gunicorn's is a program, whose names have underscores.
    if let Some(advice) = elsewhere::advice(&format!("--{}", key.replace('_', "-"))) {
        return Err(format!("`{key}` is another server's: {advice}"));
    }
    let near = options()
        .filter_map(name)
        .map(|name| (elsewhere::likeness(name, key), name))
        .max_by(|one, other| one.0.total_cmp(&other.0));
    Err(match near {
        Some((likeness, name)) if likeness > elsewhere::SIMILAR => {
            format!("`{key}` is not an option; did you mean `{name}`?")
        }
        _ => format!("`{key}` is not an option; `wasmserve --help` lists them"),
    })
}

/// Returns what an option is called in the file.
fn name(argument: &Arg) -> Option<&str> {
    match (argument.get_id().as_str(), argument.get_long()) {
        ("component", _) => Some("component"),
        ("config_file" | "help" | "version", _) => None,
        (_, long) => long,
    }
}

/// Says whether the command line or the environment sets the option, or its opposite.
fn is_said_elsewhere(matches: &ArgMatches, argument: &Arg) -> bool {
    let id = argument.get_id().as_str();
    let said = |id: &str| {
        let known = matches.try_contains_id(id).is_ok();
        let source = known.then(|| matches.value_source(id)).flatten();
        matches!(
            source,
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        )
    };
    // That `--no-sandbox` is not set says nothing of what `--sandbox` is.
    let opposite = opposite(id);
    let off = matches.try_get_one(&opposite).ok().flatten() == Some(&false);
    let says_nothing = off && !matches!(argument.get_action(), ArgAction::SetTrue);
    let honoured = HONOURED.iter().any(|(name, variable)| {
        *name == id && std::env::var_os(variable).is_some_and(|value| !value.is_empty())
    });
    said(id) || (said(&opposite) && !says_nothing) || honoured
}

fn arguments(
    command: &Command,
    argument: &Arg,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<OsString>, ValueError> {
    let name = name(argument).unwrap_or_default();
    if matches!(argument.get_action(), ArgAction::SetTrue) {
        return Ok(flag(command, name, value.get_ref())?);
    }
    let texts = match value.get_ref() {
        DeValue::Array(values) if repeats(argument) => {
            let texts = values.iter().map(|value| item(name, value));
            texts.collect::<Result<Vec<_>, _>>()?
        }
        DeValue::Table(table) if matches!(name, "env" | "config") => pairs(name, table)?,
        DeValue::Array(_) => return Err(format!("`{name}` takes one value, not a list").into()),
        value => vec![text(name, value)?],
    };
    let option = |text: String| match argument.get_long() {
        Some(long) => format!("--{long}={text}").into(),
        None => component(command, text).into(),
    };
    Ok(texts.into_iter().map(option).collect())
}

/// Makes an argument of the component's path, also where a command or an option has that name.
pub(super) fn component(command: &Command, path: String) -> String {
    let is_command = command.find_subcommand(&path).is_some() || path == "help";
    match is_command || path.starts_with('-') {
        true => format!("./{path}"),
        false => path,
    }
}

fn repeats(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
}

fn flag(command: &Command, name: &str, value: &DeValue<'_>) -> Result<Vec<OsString>, String> {
    match value {
        DeValue::Boolean(true) => Ok(vec![format!("--{name}").into()]),
        DeValue::Boolean(false) => {
            let opposite = format!("no-{name}");
            let exists = |argument: &Arg| argument.get_long() == Some(&opposite);
            let exists = command.get_arguments().any(exists);
            Ok(exists
                .then(|| format!("--{opposite}").into())
                .into_iter()
                .collect())
        }
        _ => Err(format!("`{name}` is true or false")),
    }
}

fn text(name: &str, value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        _ => Err(format!("`{name}` takes a text or a number")),
    }
}

/// Reads one of several values, which has a place of its own.
fn item(name: &str, value: &Spanned<DeValue<'_>>) -> Result<String, ValueError> {
    text(name, value.get_ref()).map_err(|why| ValueError {
        why,
        at: Some(value.span().start),
    })
}

fn pairs(name: &str, table: &DeTable<'_>) -> Result<Vec<String>, ValueError> {
    let pair = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
        let value = item(&format!("{name}.{}", key.get_ref()), value)?;
        Ok(format!("{}={value}", key.get_ref()))
    };
    table.iter().map(pair).collect()
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text[..at].matches('\n').count()
}

fn mistake(path: &Path, line: Option<usize>, why: &str) -> Error {
    let text = format!("{}: {why}", place(path, line));
    Error::raw(ErrorKind::InvalidValue, text)
}

fn place(path: &Path, line: Option<usize>) -> String {
    let line = line.map_or(String::new(), |line| format!(" line {line}"));
    format!("configuration file `{}`{line}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    fn translated(given: &[&str], text: &str) -> Result<Vec<String>, String> {
        let command = Cli::command();
        let given = ["wasmserve", "app.wasm"].iter().chain(given);
        let matches = command.clone().get_matches_from(given);
        let found = translate(&command, &matches, Path::new("w.toml"), text);
        let text = |argument: &OsString| argument.to_str().unwrap().to_owned();
        found
            .map(|found| found.arguments.iter().map(text).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn options_become_arguments() {
        let text = "max-memory = \"1GiB\"\nlimit-queue = 5\nreload = true\nproxy-headers = false\n\
                    bind = [\"unix:/a\", \"127.0.0.1:1\"]\n[env]\nA = \"b\"\nC = 1\n";
        let mut found = translated(&[], text).unwrap();
        found.sort();
        assert_eq!(
            found,
            [
                "--bind=unix:/a",
                "--bind=127.0.0.1:1",
                "--env=A=b",
                "--env=C=1",
                "--limit-queue=5",
                "--max-memory=1GiB",
                "--no-proxy-headers",
                "--reload",
            ]
            .map(str::to_owned)
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
        );
    }

    #[test]
    fn the_command_line_counts_more() {
        let none: [String; 0] = [];
        assert_eq!(
            translated(&["--limit-queue", "7"], "limit-queue = 5").unwrap(),
            none
        );
        let flags = translated(&["--no-proxy-headers"], "proxy-headers = true");
        assert_eq!(flags.unwrap(), none);
    }

    /// Guards against `component = "--no-sandbox"`, which was an option.
    #[test]
    fn a_component_is_no_option_and_no_command() {
        for name in ["--no-sandbox", "-h", "build", "help"] {
            let command = Cli::command();
            let matches = command.clone().ignore_errors(true);
            let matches = matches.get_matches_from(["wasmserve"]);
            let text = format!("component = \"{name}\"");
            let found = translate(&command, &matches, Path::new("w.toml"), &text);
            assert_eq!(found.unwrap().arguments, [format!("./{name}").as_str()]);
        }
    }

    #[test]
    fn mistakes_name_the_line_and_what_was_meant() {
        for (text, said) in [
            (
                "\nlimit-que = 5",
                "line 2: `limit-que` is not an option; did you mean `limit-queue`?",
            ),
            ("reload = 1", "line 1: `reload` is true or false"),
            ("max-memory = [1]", "line 1: `max-memory` takes one value"),
            ("a = ", "line 1: "),
            (
                "[env]\nA = \"1\"\nB = true",
                "line 3: `env.B` takes a text or a number",
            ),
            ("bind = [\n\"a\",\n[]]", "line 3: `bind` takes a text"),
            ("keyfile = \"x\"", "another server's: write --ssl-keyfile"),
            ("worker_class = \"x\"", "`worker_class` is another server's"),
            (
                "blocking = 1",
                "is not an option; `wasmserve --help` lists them",
            ),
            ("config-file = \"x\"", "is not an option"),
        ] {
            let error = translated(&[], text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
