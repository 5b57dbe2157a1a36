//! This file says whom the service runs as, and what of the files that are there that user may use.

use super::quote;
use crate::cli::Serve;
use crate::config::Config;
use std::fmt::Write;
use std::path::Path;

/// A file is read with this right, and a directory is gone through, read and written to with these
/// (path_resolution(7)).
pub const FILE: u32 = 0o4;
pub const THROUGH: u32 = 0o1;
pub const DIRECTORY: u32 = 0o5;
pub const WRITTEN: u32 = 0o7;

/// A `ServiceUser` is whom the service runs as: who was named, or somebody whom systemd makes up.
pub struct ServiceUser<'a> {
    config: &'a Config,
    serve: &'a Serve,
}

impl ServiceUser<'_> {
    pub fn of<'a>(serve: &'a Serve, config: &'a Config) -> ServiceUser<'a> {
        ServiceUser { config, serve }
    }

    /// Says whether what is there can be used so. What is not there, or cannot be looked at, may be.
    pub fn may(&self, path: &Path, need: u32) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Ok(metadata) = path.metadata() else {
            return true;
        };
        match &self.config.worker.sandbox.run_as {
            Some(run_as) => run_as.may(&metadata, need),
            None => metadata.mode() & need == need,
        }
    }

    /// Says whether a path can be followed to its end, and what is there be used so.
    pub fn reaches(&self, path: &Path, need: u32) -> bool {
        let mut above = path.ancestors().skip(1);
        above.all(|directory| self.may(directory, THROUGH)) && self.may(path, need)
    }

    /// Writes as whom the service runs.
    pub fn write(&self, text: &mut String) {
        let asked = &self.serve.sandbox;
        if asked.user.is_none() {
            text.push_str("DynamicUser=yes\n");
        }
        for (setting, name) in [("User", &asked.user), ("Group", &asked.group)] {
            if let Some(name) = name {
                let _ = writeln!(text, "{setting}={}", quote::value(name));
            }
        }
    }
}
