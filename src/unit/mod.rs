//! This room writes units for systemd: a service that runs one command line of wasmserve with as few rights as that
//! needs, and the socket that is kept open while the service is away.

mod command_line;
mod paths;
mod quote;
mod service;
mod socket;
mod user;

use crate::cli::{OptionOrigin, Serve, Unit};
use crate::config::Config;
use crate::sys::file;
use anyhow::{Context, Result, bail};
use command_line::CommandLine;
use std::io::{self, Write};
use std::path::Path;

/// Prints both units, or writes them where the operator wants them.
pub fn write(order: &Unit, origins: &[OptionOrigin], config: &Config) -> Result<()> {
    let component = config.component_name();
    let name = match &order.name {
        Some(name) => name.clone(),
        None if config.has_application => name_of(component),
        None => "wasmserve".to_owned(),
    };
    check_name(&name)?;
    let sockets = socket::sockets(config)?;
    let command = CommandLine::of_this_process(order, origins, &sockets, config)?;
    let units = [
        (
            format!("{name}.service"),
            service::text(&name, order, config, &command)?,
        ),
        (
            format!("{name}.socket"),
            socket::text(&name, &sockets, config),
        ),
    ];
    for (unit, text) in units {
        match &order.output {
            None => {
                let printed = write!(io::stdout(), "# /etc/systemd/system/{unit}\n{text}\n");
                printed.context("cannot print the units")?;
            }
            Some(directory) => {
                let path = directory.join(unit);
                file::write_whole(&path, text.as_bytes())?;
            }
        }
    }
    Ok(())
}

/// Lists the servers that the service has: the application's, and one for each mount, each with its options and what
/// they come to.
fn servers<'a>(
    order: &'a Unit,
    config: &'a Config,
) -> impl Iterator<Item = (&'a Serve, &'a Config)> {
    let tables = order.serve.mounts.tables.iter().map(|it| &*it.serve);
    let mounts = config.mounts.iter().map(|mount| &mount.config);
    [(&order.serve, config)]
        .into_iter()
        .chain(tables.zip(mounts))
}

/// Returns the component's file without what follows its last dot, with a hyphen for what a unit cannot be called.
fn name_of(component: &Path) -> String {
    let stem = component.file_stem().unwrap_or_default().to_string_lossy();
    stem.chars()
        .map(|c| if is_plain(c) { c } else { '-' })
        .collect()
}

/// Refuses what cannot be a unit's name. Names are those of directories too (RuntimeDirectory= and the like), so an @
/// is left out.
fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.starts_with(['.', '-']) || !name.chars().all(is_plain) {
        bail!(
            "option --name: `{name}` cannot be the name of a unit; use letters, digits, `-`, `_` and `.`"
        );
    }
    Ok(())
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_called_what_systemd_allows() {
        assert_eq!(name_of(Path::new("/srv/my app.wasm")), "my-app");
        for name in ["", "a b", "a/b", "../a", "a@b", "-a"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("my-app_2.x").is_ok());
    }
}
