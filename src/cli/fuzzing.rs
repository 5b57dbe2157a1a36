//! This file says, for fuzzing, what must hold for any configuration file.

use super::{Cli, config_file};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory};
use std::path::Path;

thread_local! {
    static COMMAND: (Command, ArgMatches) = {
        let command = Cli::command();
        let matches = command.clone().ignore_errors(true).get_matches_from(["wasmserve"]);
        (command, matches)
    };
}

pub fn config_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    COMMAND.with(|(command, matches)| {
        let translated = config_file::translate(command, matches, Path::new("w.toml"), text);
        let Ok(found) = translated else {
            return;
        };
        let arguments = ["wasmserve".into()]
            .into_iter()
            .chain(found.arguments.clone());
        match command.clone().try_get_matches_from(arguments) {
            Ok(matches) => {
                assert_eq!(matches.subcommand_name(), None);
                let ids = command
                    .get_arguments()
                    .map(|option| option.get_id().as_str());
                let given = ids.filter(|id| is_given(&matches, id));
                for id in given {
                    let opposite = id.strip_prefix("no_").unwrap_or(id);
                    let is_named = found.place(id).is_some() || found.place(opposite).is_some();
                    assert!(is_named, "`{id}` is set, which the file does not name");
                }
            }
            Err(error) => {
                let kind = error.kind();
                let is_of_a_value = !matches!(
                    kind,
                    ErrorKind::UnknownArgument
                        | ErrorKind::InvalidSubcommand
                        | ErrorKind::DisplayHelp
                        | ErrorKind::DisplayVersion
                );
                assert!(is_of_a_value, "{kind:?} for {:?}", found.arguments);
            }
        }
    });
}

fn is_given(matches: &ArgMatches, id: &str) -> bool {
    let is_known = matches.try_contains_id(id).is_ok();
    is_known && matches.value_source(id) == Some(ValueSource::CommandLine)
}
