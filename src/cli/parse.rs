//! This file puts together what the command line, the environment and the configuration file say, in this order of
//! weight.

mod short;

use super::config_file::{self, FileArguments};
use super::{Cli, OptionSource, elsewhere, misplaced, mounts, not_utf8, opposites};
use clap::builder::{BoolishValueParser, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory, Error, FromArgMatches};
use std::ffi::OsString;

/// An `OptionOrigin` is an option, its value, and where that comes from.
#[derive(Debug)]
pub struct OptionOrigin {
    pub name: String,
    pub values: Vec<String>,
    pub source: OptionSource,
    /// This variable, or this line of the file, says it.
    pub place: Option<String>,
}

impl OptionOrigin {
    /// Tells a mistake in an option as one of where the option is set.
    pub fn blame(all: &[OptionOrigin], error: anyhow::Error) -> anyhow::Error {
        let text = format!("{error:#}");
        let told = text.strip_prefix("option --").and_then(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-')?;
            let origin = all.iter().find(|origin| origin.name == rest[..end])?;
            Some(format!("{}: {text}", origin.place.as_ref()?))
        });
        match told {
            Some(told) => anyhow::anyhow!(told),
            None => error,
        }
    }
}

/// Reads the whole command line, and what `wasmserve check` shows of it.
pub fn parse() -> Result<(Cli, Vec<OptionOrigin>), Error> {
    let given: Vec<OsString> = std::env::args_os().collect();
    let command = opposites::nearer_only(lenient_variables(Cli::command()), &given);
    let (arguments, file) = with_file(&command, given.clone())?;
    let command = match file.mounts.is_empty() {
        true => command,
        false => mounts::without_application(command),
    };
    let matches = command
        .clone()
        .try_get_matches_from(arguments)
        .map_err(|error| short::in_place_of(error, &given))?;
    let origins = match matches.subcommand() {
        Some((name, serving)) if SERVING.contains(&name) => {
            origins(named(&command, name), serving, &file)
        }
        None => origins(&command, &matches, &file),
        Some(_) => Vec::new(),
    };
    let mut cli = Cli::from_arg_matches(&matches)?;
    if let Some(serve) = cli.serving() {
        if serve.component.is_none() {
            mounts::refuse_unowned(&origins)?;
        }
        mounts::complete(&command, serve, file.mounts)?;
    }
    Ok((cli, origins))
}

/// Has an empty variable count as not set, and a flag set by what means yes elsewhere too.
fn lenient_variables(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let Some(variable) = argument.get_env() else {
            return argument;
        };
        if std::env::var_os(variable).is_some_and(|value| value.is_empty()) {
            return argument.env(Resettable::Reset);
        }
        match argument.get_action() {
            ArgAction::SetTrue => argument.value_parser(BoolishValueParser::new()),
            _ => argument,
        }
    });
    let names: Vec<String> = command
        .get_subcommands()
        .map(|subcommand| subcommand.get_name().to_owned())
        .collect();
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, lenient_variables)
    })
}

/// Tells a mistake on the command line in one line, without the usage, with what else it could be.
pub fn told(error: &Error) -> String {
    if error.kind() == ErrorKind::InvalidUtf8 {
        return not_utf8::told(&std::env::args_os().collect::<Vec<_>>());
    }
    let named = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(name)) => name.as_str(),
        _ => "",
    };
    // With what it takes: `--workers <WORKERS>`.
    let named = named.split([' ', '=']).next().unwrap_or_default();
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(advice) = elsewhere::advice(named)
    {
        return format!("option {named} is another server's: {advice}");
    }
    let given: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|given| given.to_string_lossy().into_owned())
        .collect();
    if let Some(advice) = misplaced::advice(error, &given) {
        return advice;
    }
    let text = error.to_string();
    let lines = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"));
    let said: Vec<&str> = lines
        .filter(|line| !line.is_empty() && is_worth_saying(line, named))
        .collect();
    let said = said.join("; ").replace(":; ", ": ");
    let said = said.trim_start_matches("error: ").to_owned();
    match variable_of(named) {
        Some(variable) if error.kind() != ErrorKind::UnknownArgument => {
            format!("variable {variable}: {said}")
        }
        _ => said,
    }
}

/// Says whether a line of a mistake helps: options are no values here, and what they are taken for must be near.
fn is_worth_saying(line: &str, named: &str) -> bool {
    if line.starts_with("For more information") {
        return false;
    }
    let Some(tip) = line
        .strip_prefix("tip: ")
        .filter(|_| named.starts_with('-'))
    else {
        return true;
    };
    // `a similar argument exists: '--workers'`, or `'build --app' exists`.
    let meant = tip
        .split('\'')
        .nth(1)
        .and_then(|meant| meant.split(' ').next_back());
    let is_near = |meant: &str| {
        let (meant, named) = (meant.trim_start_matches('-'), named.trim_start_matches('-'));
        elsewhere::likeness(meant, named) > elsewhere::SIMILAR
    };
    !tip.starts_with("to pass ") && meant.is_none_or(is_near)
}

/// Finds the variable that says what `--option` is, where the command line does not.
fn variable_of(named: &str) -> Option<String> {
    let given = std::env::args_os().any(|given| {
        let given = given.to_string_lossy().into_owned();
        given == named || given.starts_with(&format!("{named}="))
    });
    let command = Cli::command();
    let argument = command
        .get_arguments()
        .find(|argument| argument.get_long() == named.strip_prefix("--"))?;
    let variable = argument.get_env()?;
    (!given && std::env::var_os(variable).is_some_and(|value| !value.is_empty()))
        .then(|| variable.to_string_lossy().into_owned())
}

/// These commands have the options of serving.
pub(super) const SERVING: [&str; 2] = ["check", "unit"];

fn named<'a>(command: &'a Command, name: &str) -> &'a Command {
    command.find_subcommand(name).unwrap_or(command)
}

fn with_file(
    command: &Command,
    given: Vec<OsString>,
) -> Result<(Vec<OsString>, FileArguments), Error> {
    if !names_a_file(&given) {
        return Ok((given, FileArguments::default()));
    }
    // Only to find the file: mistakes are told later, when everything is there.
    let lenient = command
        .clone()
        .ignore_errors(true)
        .try_get_matches_from(&given);
    let Ok(matches) = lenient else {
        return Ok((given, FileArguments::default()));
    };
    let (file, after) = match matches.subcommand() {
        None => (config_file::read(command, &matches)?, 1),
        Some((name, serving)) if SERVING.contains(&name) => {
            (config_file::read(named(command, name), serving)?, 2)
        }
        Some(_) => return Ok((given, FileArguments::default())),
    };
    // Before what was given: of two opposites the later counts.
    let mut all = given;
    let after = after.min(all.len());
    all.splice(after..after, file.arguments.iter().cloned());
    Ok((all, file))
}

/// Says whether there is anything to look for.
fn names_a_file(given: &[OsString]) -> bool {
    let option = |text: &OsString| text.as_encoded_bytes().starts_with(b"--config-file");
    std::env::var_os("WASMSERVE_CONFIG_FILE").is_some() || given.iter().any(option)
}

fn origins(command: &Command, matches: &ArgMatches, file: &FileArguments) -> Vec<OptionOrigin> {
    let options = command
        .get_arguments()
        .filter(|argument| !matches!(argument.get_id().as_str(), "help" | "version"));
    let all = options.map(|argument| {
        let id = argument.get_id().as_str();
        let from_file = file.place(id).is_some();
        let source = match matches.value_source(id) {
            _ if from_file => OptionSource::File,
            Some(ValueSource::CommandLine) => OptionSource::CommandLine,
            Some(ValueSource::EnvVariable) => OptionSource::Environment,
            _ => OptionSource::Default,
        };
        let place = match source {
            OptionSource::Environment => argument
                .get_env()
                .map(|variable| format!("variable {}", variable.to_string_lossy())),
            OptionSource::File => file.place(id),
            OptionSource::CommandLine | OptionSource::Default => None,
        };
        let raw = matches.get_raw(id).into_iter().flatten();
        let values = raw.map(|value| shown(id, &value.to_string_lossy()));
        OptionOrigin {
            name: argument.get_long().unwrap_or(id).to_owned(),
            values: values.collect(),
            source,
            place,
        }
    });
    all.collect()
}

/// Shows a value without what may be secret in it: what comes after its name, or after the scheme of a URL.
fn shown(id: &str, value: &str) -> String {
    let name = |separators: &[char]| value.find(separators).map(|end| &value[..=end]);
    let name = match id {
        "env" | "config" => name(&['=']),
        "header" | "keyvalue" | "request_header" => name(&['=', ':']),
        // A URL whose name was forgotten has a password before its first equals sign.
        "postgres" => {
            let name = name(&['=', ':', '/', '@']);
            Some(name.filter(|name| name.ends_with('=')).unwrap_or(""))
        }
        _ => None,
    };
    name.map_or(value.to_owned(), |name| format!("{name}…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_suggests_only_what_is_near() {
        for (given, expected) in [
            (
                "--wrokers",
                "unexpected argument '--wrokers' found; tip: a similar argument exists: '--workers'",
            ),
            ("--foo", "unexpected argument '--foo' found"),
            ("-Z", "unexpected argument '-Z' found"),
            (
                "--lomit-heap-x",
                "unexpected argument '--lomit-heap-x' found",
            ),
            (
                "--blocking-threads",
                "option --blocking-threads is another server's: ",
            ),
            (
                "--port",
                "a value is required for '--port <PORT>' but none was supplied",
            ),
        ] {
            let error = Cli::command().try_get_matches_from(["wasmserve", "a.wasm", given]);
            let said = told(&error.unwrap_err());
            match expected.ends_with(' ') {
                true => assert!(said.starts_with(expected), "{said}"),
                false => assert_eq!(said, expected),
            }
        }
    }

    #[test]
    fn of_what_may_be_secret_only_the_name_is_shown() {
        for (id, value, expected) in [
            (
                "postgres",
                "app=postgres://u:pw@db/app?sslmode=require",
                "app=…",
            ),
            ("postgres", "app=env:URL", "app=…"),
            ("postgres", "postgres://u:pw@db/app?sslmode=require", "…"),
            ("postgres", "u:pw@db=app", "…"),
            ("postgres", "pw", "…"),
            ("keyvalue", "redis://u:p=w@db", "redis:…"),
            ("keyvalue", "sqlite:a.db", "sqlite:…"),
            ("header", "Authorization: Basic cHc=", "Authorization:…"),
            ("request_header", "X-Key=a:b", "X-Key=…"),
            ("env", "NAME=a:b", "NAME=…"),
            ("env", "NAME", "NAME"),
            ("port", "80", "80"),
        ] {
            assert_eq!(shown(id, value), expected);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = Cli::command().try_get_matches_from(["wasmserve", "restart-worker"]);
        let said = told(&error.unwrap_err());
        let expected = "the following required arguments were not provided: <WORKER_PID>";
        assert_eq!(said, expected);
    }
}
