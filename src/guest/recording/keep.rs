//! Recordings are kept in a directory: one for each failure that differs, and no more than the operator wants.

use super::cause::Cause;
use super::file::Recording;
use super::given::Given;
use super::start::Start;
use crate::sys::locked_directory::{self, LockedDirectory};
use crate::{error, warning};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Recordings are found by these ends of their names.
const BEGIN: &str = "failure-";
const END: &str = ".recording";

/// `Settings` say where recordings are kept, how many, and with what.
#[derive(Clone, Debug)]
pub struct Settings {
    pub directory: PathBuf,
    pub most: usize,
    /// The values of fields that are secret are kept too.
    pub secrets: bool,
    /// The operator calls the component this.
    pub component: PathBuf,
}

/// `Recordings` belongs to one process.
#[derive(Debug)]
pub struct Recordings {
    pub settings: Settings,
    pub given: Given,
    /// The application was given this when it was primed.
    pub start: Option<Start>,
    /// It was said that there are enough of them.
    full: AtomicBool,
}

impl Recordings {
    /// Prepares to record what instances are given that begin with this, if the operator wants it.
    pub fn open(
        settings: Option<Settings>,
        given: Given,
        start: Option<Start>,
    ) -> Option<Arc<Recordings>> {
        let settings = settings?;
        let directory = &settings.directory;
        if let Err(error) = locked_directory::check_writable(directory) {
            let directory = directory.display();
            warning!(
                "failing requests cannot be recorded in `{directory}`: {error}; let the user of the workers write there"
            );
        }
        Some(Arc::new(Recordings {
            settings,
            given,
            start,
            full: AtomicBool::new(false),
        }))
    }

    /// Keeps a recording of what has failed by this cause, unless there is one already.
    pub fn keep(&self, cause: &Cause, recording: impl FnOnce() -> Option<Recording>) {
        let component = &self.given.component;
        let name = format!(
            "{BEGIN}{}-{}{END}",
            &component[..component.len().min(12)],
            cause.signature
        );
        let path = self.settings.directory.join(&name);
        // Many requests may fail alike.
        if path.exists() {
            return;
        }
        match self.write(&name, recording) {
            Ok(Written::Yes { without }) => {
                let path = path.display();
                let without = match &without[..] {
                    [] => String::new(),
                    names => format!(" (it has no answers of {})", names.join(" and ")),
                };
                error!("a failing request is recorded in {path}{without}; see `wasmserve replay`");
            }
            Ok(Written::TooLong) => warning!(
                "a failing request is not recorded: its bodies, files and values have more than 4 MiB, or it has asked \
                 the host more than 100000 times"
            ),
            Ok(Written::Full) if !self.full.swap(true, Relaxed) => {
                let Settings {
                    directory, most, ..
                } = &self.settings;
                let directory = directory.display();
                warning!(
                    "a failing request is not recorded: there are {most} recordings in `{directory}`; remove some, or \
                     give a larger --record-count"
                );
            }
            Ok(Written::Full | Written::No) => {}
            Err(why) => warning!("a failing request cannot be recorded: {why:#}"),
        }
    }

    fn write(&self, name: &str, recording: impl FnOnce() -> Option<Recording>) -> Result<Written> {
        let place = &self.settings.directory;
        let about = || format!("`{}`", place.display());
        // Workers do so one after the other, and who comes second finds what the first has written.
        let Some(directory) = LockedDirectory::lock(place).with_context(about)? else {
            return Ok(Written::No);
        };
        let kept = directory.names().with_context(about)?;
        let recordings = kept
            .iter()
            .filter(|name| name.starts_with(BEGIN) && name.ends_with(END));
        if kept.iter().any(|kept| kept == name) {
            return Ok(Written::No);
        }
        if recordings.count() >= self.settings.most {
            return Ok(Written::Full);
        }
        self.full.store(false, Relaxed);
        let Some(recording) = recording() else {
            return Ok(Written::TooLong);
        };
        let written = directory.write_new(name, &recording.bytes()?);
        written.with_context(about)?;
        let without = recording.used;
        Ok(Written::Yes { without })
    }
}

/// `Written` says what has come of keeping a recording.
enum Written {
    /// The guest has used this, whose answers are not in it.
    Yes {
        without: Vec<String>,
    },
    /// There is one of this failure, or another process writes one now.
    No,
    /// There are as many as the operator wants.
    Full,
    TooLong,
}
