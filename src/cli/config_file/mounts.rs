//! The configuration file has a table for each component that is mounted, with options of its own.

use super::{Source, argument};
use crate::cli::mounts;
use clap::{Command, Error};
use std::ffi::OsString;
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeString, DeValue};

/// The tables of mounts stand in a table of this name.
pub const TABLES: &str = "mount";

/// A `FileMount` is the table of one mount, with its options as arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FileMount {
    pub route: String,
    pub component: Option<PathBuf>,
    pub arguments: Vec<OsString>,
    /// The table begins at this line of this file.
    pub place: Option<String>,
}

impl Source<'_> {
    /// Reads the table of one mount: a component's file, or a table of options.
    pub fn mount(
        &self,
        command: &Command,
        route: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<FileMount, Error> {
        let mut mount = FileMount {
            route: route.get_ref().to_string(),
            place: Some(self.place(route)),
            ..FileMount::default()
        };
        let table = match value.get_ref() {
            DeValue::String(component) => {
                mount.component = Some(component.to_string().into());
                return Ok(mount);
            }
            DeValue::Table(table) => table,
            _ => {
                let why = format!("`mount.\"{}\"` is a table of options", mount.route);
                return Err(self.mistake(route, &why));
            }
        };
        for (key, value) in table {
            let argument =
                argument(command, key.get_ref()).map_err(|why| self.mistake(key, &why))?;
            let id = argument.get_id().as_str();
            if mounts::is_of_server(id) {
                let why = format!(
                    "`{}` is for the whole server; write it above all tables, not in `mount.\"{}\"`",
                    key.get_ref(),
                    mount.route
                );
                return Err(self.mistake(key, &why));
            }
            match (id, value.get_ref()) {
                ("component", DeValue::String(path)) => {
                    mount.component = Some(path.to_string().into());
                }
                _ => mount
                    .arguments
                    .extend(self.option(command, argument, key, value)?),
            }
        }
        Ok(mount)
    }
}
