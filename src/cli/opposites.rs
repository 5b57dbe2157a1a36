//! Of two options one may take back what the other says, `--access-log` and `--no-access-log`: what was said nearer
//! counts, on the command line before the environment.

use super::Serve;
use super::parse::SERVING;
use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ffi::OsString;

/// Returns the id that the opposite of an option has, where there is one.
pub fn opposite(id: &str) -> String {
    let positive = id.strip_prefix("no_").map(str::to_owned);
    positive.unwrap_or_else(|| format!("no_{id}"))
}

impl Serve {
    /// Returns what an option comes to by itself and its opposite, of those that hold where neither is given.
    pub fn holds(&self, option: &str) -> Option<String> {
        let holds = match option {
            "access-log" => self.logging.logs_requests(),
            "proxy-headers" => self.headers.believes_proxies(),
            "server-header" => self.headers.adds_server(),
            "date-header" => self.headers.adds_date(),
            "request-id" => self.headers.gives_ids(),
            "sandbox" => return Some(self.sandbox.mode().to_owned()),
            _ => return None,
        };
        Some(holds.to_string())
    }
}

/// Leaves out what variables say of an option whose opposite stands on the command line. A flag that a variable
/// switches off is its opposite.
pub fn nearer_only(command: Command, given: &[OsString]) -> Command {
    let serving = command
        .get_subcommands()
        .filter(|it| SERVING.contains(&it.get_name()));
    let has_variables = serving
        .chain([&command])
        .any(|it| pairs(it).any(|(_, it)| is_set(it)));
    if !has_variables {
        return command;
    }
    // Mistakes are told later, when everything is there.
    let lenient = command.clone().ignore_errors(true);
    let Ok(matches) = lenient.try_get_matches_from(given) else {
        return command;
    };
    match matches.subcommand() {
        None => without_farther(command, &matches),
        Some((name, serving)) if SERVING.contains(&name) => {
            let name = name.to_owned();
            command.mut_subcommand(name, |command| without_farther(command, serving))
        }
        Some(_) => command,
    }
}

/// Lists the options that have an opposite, each with that.
fn pairs(command: &Command) -> impl Iterator<Item = (&Arg, &Arg)> {
    command.get_arguments().filter_map(|argument| {
        let opposite = opposite(argument.get_id().as_str());
        let mut all = command.get_arguments();
        let other = all.find(|other| other.get_id().as_str() == opposite)?;
        Some((argument, other))
    })
}

fn is_set(argument: &Arg) -> bool {
    let value = argument.get_env().and_then(std::env::var_os);
    value.is_some_and(|value| !value.is_empty())
}

fn without_farther(command: Command, matches: &ArgMatches) -> Command {
    let source = |id: &str| matches.value_source(id);
    let (mut silent, mut switched) = (Vec::new(), Vec::new());
    for (argument, opposite) in pairs(&command) {
        let (id, other) = (argument.get_id().as_str(), opposite.get_id().as_str());
        let both = [argument, opposite];
        let given = [id, other].map(|id| source(id) == Some(ValueSource::CommandLine));
        let is_off = both
            .iter()
            .all(|it| matches!(it.get_action(), ArgAction::SetTrue))
            && source(id) == Some(ValueSource::EnvVariable)
            && matches.get_one::<bool>(id) == Some(&false);
        match given {
            [false, true] => silent.push(id.to_owned()),
            [false, false] if is_off && !is_set(opposite) => switched.push(other.to_owned()),
            _ => {}
        }
    }
    let names = |names: &[String], argument: &Arg| {
        names.iter().any(|name| argument.get_id().as_str() == name)
    };
    command.mut_args(|argument| {
        if names(&silent, &argument) {
            argument.env(Resettable::Reset)
        } else if names(&switched, &argument) {
            argument.default_value("true")
        } else {
            argument
        }
    })
}
