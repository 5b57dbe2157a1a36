//! These options say which components are served beside the application, and where. What one of them is given stands
//! in a table of the configuration file.

use super::config_file::FileMount;
use super::parse::SERVING;
use super::{
    Addresses, Admin, Canary, Capabilities, Clients, Databases, Instances, Logging, OptionOrigin,
    OptionSource, Outbound, Registry, Sandbox, Serve, Tls, Tracing, WebSockets, config_file,
};
use crate::channel::canonical_mount;
use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{Arg, Args, Command, Error, FromArgMatches, Id};
use std::ffi::OsString;

#[derive(Clone, Debug, Args)]
pub struct Mounts {
    /// Serve this component too, in processes of its own, under this path, or for this host: /api=api.wasm or
    /// admin.example.com/=admin.wasm; can be repeated
    #[arg(
        long,
        value_name = "WHERE=COMPONENT",
        env = "WASMSERVE_MOUNT",
        help_heading = "Processes"
    )]
    pub mount: Vec<String>,

    /// These are all that are mounted, once the command line and the file are known.
    #[arg(skip)]
    pub tables: Vec<Mounted>,
}

/// A `Mounted` component is served beside the application, with options of its own.
#[derive(Clone, Debug)]
pub struct Mounted {
    /// The component answers there.
    pub route: String,
    pub serve: Box<Serve>,
    /// This line of the file says so; none where the command line does.
    pub place: Option<String>,
}

/// These options are about the whole server, and those of the groups in [`is_of_server`].
const OF_THE_SERVER: [&str; 18] = [
    "cache_dir",
    "cache_size",
    "date_header",
    "forwarded_allow_ips",
    "header",
    "mount",
    "no_date_header",
    "no_proxy_headers",
    "no_request_id",
    "no_server_header",
    "pid",
    "proxy_headers",
    "reload",
    "request_id",
    "root_path",
    "server_header",
    "shutdown_delay",
    "timeout_graceful_shutdown",
];

/// Says whether the option with this id is none that a component has for itself.
pub fn is_of_server(id: &str) -> bool {
    let groups = [
        Addresses::augment_args(Command::new("")),
        Admin::augment_args(Command::new("")),
        Clients::augment_args(Command::new("")),
        Logging::augment_args(Command::new("")),
        Registry::augment_args(Command::new("")),
        Sandbox::augment_args(Command::new("")),
        Tls::augment_args(Command::new("")),
        Tracing::augment_args(Command::new("")),
    ];
    let mut options = groups.iter().flat_map(Command::get_arguments);
    OF_THE_SERVER.contains(&id) || options.any(|option| option.get_id() == id)
}

/// These options are about an application, and those of the groups in [`refuse_unowned`].
const OF_AN_APPLICATION: [&str; 5] = [
    "client-header",
    "limit-compile-time",
    "request-header",
    "timeout-idle-body",
    "timeout-request",
];

/// These options are about what is compressed: answers of an application, or files.
const OF_CONTENT: [&str; 2] = ["compress", "compress-min-size"];

/// Refuses what is given to nobody, as there is no application.
pub fn refuse_unowned(given: &[OptionOrigin]) -> Result<(), Error> {
    let groups = [
        Canary::augment_args(Command::new("")),
        Capabilities::augment_args(Command::new("")),
        Databases::augment_args(Command::new("")),
        Instances::augment_args(Command::new("")),
        Outbound::augment_args(Command::new("")),
        WebSockets::augment_args(Command::new("")),
    ];
    let of_groups = groups.iter().flat_map(Command::get_arguments);
    let names = of_groups.filter_map(Arg::get_long);
    let is_given = |option: &OptionOrigin| !matches!(option.source, OptionSource::Default);
    let has_files = |option: &OptionOrigin| option.name == "static" && is_given(option);
    let of_content = match given.iter().any(has_files) {
        true => &[][..],
        false => &OF_CONTENT,
    };
    let of_content = of_content.iter().copied();
    let names: Vec<&str> = names.chain(OF_AN_APPLICATION).chain(of_content).collect();
    let is_unowned = |option: &&OptionOrigin| {
        // The workers that have the addresses take memory, too.
        let is_of_application =
            option.name != "max-worker-memory" && names.contains(&&*option.name);
        is_of_application && is_given(option)
    };
    let Some(OptionOrigin { name, place, .. }) = given.iter().find(is_unowned) else {
        return Ok(());
    };
    let place = place.as_ref();
    let place = place.map_or(String::new(), |place| format!("{place}: "));
    let why = format!(
        "{place}option --{name}: there is no application that it could be for, only what is mounted; write it into \
         the table of a mount in the file of --config-file, or name an application"
    );
    Err(Error::raw(ErrorKind::InvalidValue, why))
}

/// Lets a command line name no application, as the file has what is to be served.
pub fn without_application(command: Command) -> Command {
    let optional = |command: Command| {
        command.mut_arg("component", |component| {
            component
                .required(false)
                .required_unless_present(Resettable::<Id>::Reset)
        })
    };
    SERVING
        .into_iter()
        .fold(optional(command), |command, name| {
            command.mut_subcommand(name, optional)
        })
}

/// Puts together what the command line and the file say of each mount.
pub fn complete(command: &Command, serve: &mut Serve, file: Vec<FileMount>) -> Result<(), Error> {
    let mut tables: Vec<FileMount> = Vec::new();
    for text in &serve.mounts.mount {
        let named = text
            .split_once('=')
            .filter(|(_, component)| !component.is_empty());
        let Some((route, component)) = named else {
            let why = format!(
                "option --mount: `{text}` says not what is mounted; write it like /api=api.wasm"
            );
            return Err(Error::raw(ErrorKind::InvalidValue, why));
        };
        tables.push(FileMount {
            route: route.to_owned(),
            component: Some(component.into()),
            ..FileMount::default()
        });
    }
    for table in file {
        let place = canonical_mount(&table.route);
        let same = |known: &&mut FileMount| canonical_mount(&known.route) == place;
        match tables.iter_mut().find(same) {
            // The command line counts more.
            Some(known) => {
                known.arguments = table.arguments;
                known.place = table.place;
            }
            None => tables.push(table),
        }
    }
    let command = without_variables(command);
    let tables = tables.into_iter().map(|table| table.mounted(&command));
    serve.mounts.tables = tables.collect::<Result<_, _>>()?;
    Ok(())
}

/// Leaves out what variables say, which is about the application. No command of a name is asked for.
pub fn without_variables(command: &Command) -> Command {
    let command = command.clone();
    command.mut_args(|argument| argument.env(Resettable::Reset))
}

impl FileMount {
    fn mounted(self, command: &Command) -> Result<Mounted, Error> {
        let at = || match &self.place {
            Some(place) => format!("{place}: "),
            None => String::new(),
        };
        let Some(component) = &self.component else {
            let why = format!(
                "{}`mount.\"{}\"` names no component; give it one: component = \"FILE\"",
                at(),
                self.route
            );
            return Err(Error::raw(ErrorKind::InvalidValue, why));
        };
        let component = config_file::component(command, component.display().to_string());
        let given = [OsString::from("wasmserve"), component.into()];
        let matches = command
            .clone()
            .try_get_matches_from(given.into_iter().chain(self.arguments.iter().cloned()));
        let serve = matches.and_then(|matches| Serve::from_arg_matches(&matches));
        let serve = serve.map_err(|error| {
            let why = format!("{}mount `{}`: {}", at(), self.route, super::told(&error));
            Error::raw(ErrorKind::InvalidValue, why)
        })?;
        Ok(Mounted {
            route: self.route,
            serve: Box::new(serve),
            place: self.place,
        })
    }
}
