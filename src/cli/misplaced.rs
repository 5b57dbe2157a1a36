//! This file answers what stands in the wrong place: words that are commands elsewhere, applications that are no
//! component yet, and options to serve with that were given to a command for a server that runs.

use super::Cli;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Error};
use std::path::Path;

/// Others have these commands, with what takes their place.
const COMMANDS: [(&[&str], &str); 6] = [
    (
        &[
            "serve",
            "run",
            "start",
            "up",
            "uvicorn",
            "gunicorn",
            "hypercorn",
            "granian",
        ],
        "serving has no command: write `wasmserve COMPONENT`",
    ),
    (
        &["restart"],
        "see `wasmserve reload` and `wasmserve restart-worker`",
    ),
    (&["kill", "quit", "down"], "see `wasmserve stop`"),
    (&["ps", "list", "ls", "info"], "see `wasmserve status`"),
    (&["help"], "see `wasmserve --help`"),
    (&["version"], "see `wasmserve --version`"),
];

/// Says what to write where a word is no component, but a command of others, or a place in a registry.
pub fn no_component(component: &Path) -> Option<String> {
    let word = component.to_str()?;
    if component.exists() {
        return None;
    }
    let command =
        of_others(word).map(|advice| format!("`{word}` is no command and no file: {advice}"));
    command.or_else(|| {
        let place = in_registry(word)?;
        Some(format!(
            "`{word}` is no file: a component in a registry is written oci://{place}"
        ))
    })
}

/// Finds what is meant to be in a registry: a URL, or what docker takes, such as `ghcr.io/team/app:1`.
fn in_registry(word: &str) -> Option<&str> {
    if word.starts_with("oci://") {
        return None;
    }
    if let Some((_, place)) = word.split_once("://") {
        return Some(place);
    }
    let (host, name) = word.split_once('/')?;
    let is_host = host.contains('.') && !host.starts_with('.');
    (is_host && name.contains([':', '@'])).then_some(word)
}

fn of_others(word: &str) -> Option<&'static str> {
    let of = |(words, _): &&(&[&str], &str)| words.contains(&word);
    COMMANDS.iter().find(of).map(|(_, advice)| *advice)
}

/// Says what is meant where a mistake is one of place. `given` is what follows the program's name.
pub fn advice(error: &Error, given: &[String]) -> Option<String> {
    match error.kind() {
        ErrorKind::ArgumentConflict => too_many_words(error, given),
        ErrorKind::UnknownArgument | ErrorKind::TooManyValues => {
            let cli = Cli::command();
            let command = cli.find_subcommand(given.first()?)?;
            steers(command).then(|| to_running(&cli, command.get_name(), error))?
        }
        _ => None,
    }
}

/// Two words stand where one component is served: the second is taken for a command.
fn too_many_words(error: &Error, given: &[String]) -> Option<String> {
    let Some(ContextValue::String(second)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let known = Cli::command();
    if known.find_subcommand(second).is_some() {
        return None;
    }
    let first = given.iter().find(|word| !word.starts_with('-'))?;
    Some(match of_others(first) {
        Some(advice) => format!("`{first}` is no command: {advice}"),
        None => format!(
            "`{second}` is one word too many: one component is served, others beside it by --mount, and options begin \
             with --"
        ),
    })
}

/// Says whether a command is for a server that runs.
fn steers(command: &Command) -> bool {
    command
        .get_arguments()
        .any(|argument| argument.get_long() == Some("socket"))
}

fn to_running(cli: &Command, command: &str, error: &Error) -> Option<String> {
    let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let named = named.split([' ', '=']).next().unwrap_or_default();
    let is_of_serving = named.strip_prefix("--").is_some_and(|long| {
        let mut options = cli.get_arguments();
        options.any(|option| option.get_long() == Some(long))
    });
    Some(match (command, named) {
        (_, "--admin") => format!(
            "option --admin: `wasmserve {command}` finds the server by itself, by its process (--pid), or by a socket of \
             --admin unix:PATH (--socket PATH)"
        ),
        ("scale", "--workers" | "-w") => {
            "option --workers: the number stands alone here: `wasmserve scale 4`".to_owned()
        }
        ("reload", "--canary") => canary(),
        ("reload", share) if share.ends_with('%') => canary(),
        _ if is_of_serving => format!(
            "option {named} is one to serve with, and `wasmserve {command}` does not take it: give it when the server is \
             started, or in the file of --config-file, which a reload reads again"
        ),
        (_, word) if !word.starts_with('-') => format!(
            "`{word}` is one word too many: `wasmserve {command}` finds the only server that runs, and another by --pid \
             or --socket"
        ),
        _ => return None,
    })
}

fn canary() -> String {
    "option --canary: it takes no value here: the share is what the server was started with (--canary 10%), and 10% where \
     it names none"
        .to_owned()
}

/// Finds what to build first where something is named that is an application, and not a component.
pub fn to_build(component: &Path) -> Option<String> {
    /// A folder that has one of these can be built.
    const PROJECTS: [&str; 10] = [
        "main.py",
        "app.py",
        "app/main.py",
        "pyproject.toml",
        "package.json",
        "Cargo.toml",
        "go.mod",
        "go.work",
        "main.go",
        "main.c",
    ];
    const SOURCES: [&str; 9] = ["py", "js", "mjs", "ts", "jsx", "tsx", "go", "rs", "c"];
    let text = component.to_str()?;
    if component.is_dir() {
        let is_project = PROJECTS.iter().any(|file| component.join(file).is_file());
        return is_project.then(|| text.to_owned());
    }
    if component.exists() {
        let extension = component.extension()?.to_str()?;
        return SOURCES.contains(&extension).then(|| text.to_owned());
    }
    let (module, object) = text.split_once(':')?;
    // As hypercorn takes it.
    if module.ends_with(".py") {
        return Some(module.to_owned());
    }
    let is_name = |name: &str| {
        let legal = |c: char| c.is_alphanumeric() || c == '_';
        !name.is_empty()
            && name
                .split('.')
                .all(|part| !part.is_empty() && part.chars().all(legal))
    };
    (is_name(module) && is_name(object)).then(|| format!("{}.py", module.replace('.', "/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(given: &str) -> Option<String> {
        let given: Vec<String> = given.split(' ').map(str::to_owned).collect();
        let program = ["wasmserve".to_owned()];
        let parsed = Cli::command().try_get_matches_from(program.iter().chain(&given));
        advice(&parsed.unwrap_err(), &given)
    }

    #[test]
    fn what_stands_in_the_wrong_place_is_told_where_it_belongs() {
        for (given, part) in [
            ("reload --canary 10%", "--canary: it takes no value here"),
            ("reload --canary=10%", "--canary: it takes no value here"),
            ("reload --admin 127.0.0.1:9000", "--socket PATH"),
            ("status --admin=127.0.0.1:9000", "--socket PATH"),
            (
                "reload --canary-time 5s",
                "--canary-time is one to serve with",
            ),
            ("scale --workers 4", "`wasmserve scale 4`"),
            ("stop app", "by --pid or --socket"),
            ("serve app.wasm", "write `wasmserve COMPONENT`"),
            ("gunicorn -w 4 main:app", "write `wasmserve COMPONENT`"),
            ("app.wasm 8000", "`8000` is one word too many"),
        ] {
            let said = said(given);
            let found = said.as_deref().is_some_and(|said| said.contains(part));
            assert!(found, "{given}: {said:?}");
        }
        for given in ["reload --wrokers", "app.wasm --foo", "build --canary"] {
            assert_eq!(said(given), None, "{given}");
        }
    }

    #[test]
    fn a_word_that_is_a_command_elsewhere_is_no_missing_file() {
        let said = no_component(Path::new("restart")).unwrap();
        assert!(said.contains("wasmserve reload"), "{said}");
        for (word, place) in [
            ("ghcr.io/team/app:1", "oci://ghcr.io/team/app:1"),
            ("docker://ghcr.io/team/app:1", "oci://ghcr.io/team/app:1"),
            ("OCI://a.b/c@sha256:0", "oci://a.b/c@sha256:0"),
        ] {
            let said = no_component(Path::new(word));
            assert!(said.is_some_and(|said| said.ends_with(place)), "{word}");
        }
        for file in [
            "app.wasm",
            "./a/b:1",
            "../a:1",
            "a.b/app.wasm",
            "oci://a.b/c:1",
        ] {
            assert_eq!(no_component(Path::new(file)), None, "{file}");
        }
        let known = Cli::command();
        for word in COMMANDS.iter().flat_map(|(words, _)| *words) {
            assert!(known.find_subcommand(word).is_none(), "{word} is a command");
        }
    }

    #[test]
    fn an_application_is_told_from_a_missing_file() {
        assert_eq!(to_build(Path::new("main:app")).as_deref(), Some("main.py"));
        assert_eq!(
            to_build(Path::new("app.main:app")).as_deref(),
            Some("app/main.py")
        );
        let by_file = to_build(Path::new("src/main.py:app"));
        assert_eq!(by_file.as_deref(), Some("src/main.py"));
        for other in ["no/such.wasm", "a/b:c", "/etc/passwd", "/tmp", ":", "a:"] {
            assert_eq!(to_build(Path::new(other)), None, "{other}");
        }
    }
}
