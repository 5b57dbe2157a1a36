//! Puts together what the command line, the environment and the configuration file say, in this order of
//! weight.

use super::file::{self, FileArguments};
use super::{Cli, Source};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, Error, FromArgMatches};
use std::ffi::OsString;

/// An option, its value, and where it comes from.
#[derive(Debug)]
pub struct Said {
    pub name: String,
    pub values: Vec<String>,
    pub source: Source,
}

/// The whole command line, and what `wasmserve check` shows of it.
pub fn parse() -> Result<(Cli, Vec<Said>), Error> {
    let given: Vec<OsString> = std::env::args_os().collect();
    let command = Cli::command();
    let (arguments, file) = with_file(&command, given)?;
    let matches = command.clone().try_get_matches_from(arguments)?;
    let said = match matches.subcommand() {
        Some(("check", check)) => said(serving(&command), check, &file),
        _ => Vec::new(),
    };
    Ok((Cli::from_arg_matches(&matches)?, said))
}

/// The command that has the options of serving without what is only for the others.
fn serving(command: &Command) -> &Command {
    command.find_subcommand("check").unwrap_or(command)
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
        None => (file::read(command, &matches)?, 1),
        Some(("check", check)) => (file::read(serving(command), check)?, 2),
        Some(_) => return Ok((given, FileArguments::default())),
    };
    // Before what was given: of two opposites the later counts.
    let mut all = given;
    let after = after.min(all.len());
    all.splice(after..after, file.arguments.iter().cloned());
    Ok((all, file))
}

/// Whether there is anything to look for.
fn names_a_file(given: &[OsString]) -> bool {
    let option = |text: &OsString| text.as_encoded_bytes().starts_with(b"--config-file");
    std::env::var_os("WASMSERVE_CONFIG_FILE").is_some() || given.iter().any(option)
}

fn said(command: &Command, matches: &ArgMatches, file: &FileArguments) -> Vec<Said> {
    let options = command
        .get_arguments()
        .filter(|argument| !matches!(argument.get_id().as_str(), "help" | "version"));
    let said = options.map(|argument| {
        let id = argument.get_id().as_str();
        let from_file = file.set.iter().any(|set| set == id);
        let source = match matches.value_source(id) {
            _ if from_file => Source::File,
            Some(ValueSource::CommandLine) => Source::CommandLine,
            Some(ValueSource::EnvVariable) => Source::Environment,
            _ => Source::Default,
        };
        let raw = matches.get_raw(id).into_iter().flatten();
        let values = raw.map(|value| shown(id, &value.to_string_lossy()));
        Said {
            name: argument.get_long().unwrap_or(id).to_owned(),
            values: values.collect(),
            source,
        }
    });
    said.collect()
}

/// A value without what may be secret in it.
fn shown(id: &str, value: &str) -> String {
    match (id, value.split_once('='), value.split_once(':')) {
        ("env" | "config" | "header" | "request_header", Some((name, _)), _) => {
            format!("{name}=…")
        }
        ("header" | "request_header" | "keyvalue", None, Some((name, _))) => format!("{name}:…"),
        _ => value.to_owned(),
    }
}
