//! This file decides which files `wasmserve dev` follows: those of the project, and those that the options to serve
//! with name.

use super::tree::WatchedFiles;
use crate::cli::Dev;
use crate::config::duration;
use crate::exit::{Exit, Status};
use anyhow::{Result, anyhow};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// Finds the files that a change of counts.
pub fn wanted(dev: &Dev, root: PathBuf) -> Result<WatchedFiles> {
    let watch = &dev.watch;
    if let Some(missing) = watch.reload_dir.iter().find(|path| !path.is_dir()) {
        let error = anyhow!(
            "option --reload-dir: `{}` is no directory",
            missing.display()
        );
        return Err(error).exits(Status::Usage);
    }
    let delay = duration("--reload-delay", &watch.reload_delay);
    Ok(WatchedFiles {
        roots: match watch.reload_dir.is_empty() {
            true => vec![root],
            false => watch.reload_dir.clone(),
        },
        included: watch.reload_include.clone(),
        excluded: watch.reload_exclude.clone(),
        named: named(&dev.options),
        delay: delay.exits(Status::Usage)?,
    })
}

/// Finds the files that are read with the options: the server reads them again when it reloads.
fn named(options: &[OsString]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        for name in ["--env-file", "--config-file"] {
            let rest = option.as_bytes().strip_prefix(name.as_bytes());
            let value = match rest {
                Some([]) => options.clone().next().cloned(),
                Some([b'=', value @ ..]) => Some(OsString::from_vec(value.to_vec())),
                _ => None,
            };
            found.extend(value.and_then(|value| std::path::absolute(value).ok()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_options_name_are_found() {
        let options =
            "--env A=b --env-file /a/.env --config-file=/b.toml --env-files /c --env-file";
        let options: Vec<OsString> = options.split(' ').map(OsString::from).collect();
        assert_eq!(named(&options), ["/a/.env", "/b.toml"].map(PathBuf::from));
    }
}
