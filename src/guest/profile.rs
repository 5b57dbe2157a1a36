//! A profile says where guests spend their time: which functions run when the epoch thread interrupts them. It is
//! written once, for the Firefox profiler.

use crate::info;
use crate::sys::file;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wasmtime::component::Component;
use wasmtime::{AsContext, GuestProfiler};

/// A guest is interrupted so often, at most: a function that runs for less is seen now and then.
const INTERVAL: Duration = Duration::from_micros(500);

/// `ProfileSettings` says for how long guests are looked at, and where the profile of each worker is kept.
#[derive(Clone, Debug)]
pub struct ProfileSettings {
    pub time: Duration,
    pub directory: PathBuf,
}

/// A `Profile` is being made.
#[derive(Clone)]
pub struct Profile(Arc<Mutex<Option<GuestProfiler>>>);

/// An `Unwritten` profile has a file, and does not begin before there can be threads.
pub struct Unwritten {
    profile: Profile,
    time: Duration,
    path: PathBuf,
    file: File,
}

impl Unwritten {
    /// Opens the file, while that can be done.
    pub fn open(settings: &ProfileSettings, component: &Component) -> Result<Unwritten> {
        let name = format!("profile-{}.json", std::process::id());
        let path = settings.directory.join(name);
        let file = file::make_own(&path);
        let file = file.with_context(|| format!("cannot write `{}`", path.display()))?;
        let engine = component.engine();
        let profiler =
            GuestProfiler::new_component(engine, "guest", INTERVAL, component.clone(), [])
                .map_err(anyhow::Error::from)
                .context("the component cannot be profiled")?;
        Ok(Unwritten {
            profile: Profile(Arc::new(Mutex::new(Some(profiler)))),
            time: settings.time,
            path,
            file,
        })
    }

    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Writes the profile when its time is over.
    pub fn finish_in_time(self) -> Result<()> {
        let thread = std::thread::Builder::new().name("profile".to_owned());
        let finish = move || {
            std::thread::sleep(self.time);
            let profiler = self.profile.lock().take();
            let (path, mut file) = (self.path.display(), self.file);
            let mut text = Vec::new();
            let written = profiler.map_or(Ok(()), |it| it.finish(&mut text));
            match written
                .map_err(anyhow::Error::from)
                .and_then(|()| Ok(file.write_all(&text)?))
            {
                Ok(()) => info!("The profile of this worker's guests is in `{path}`"),
                Err(why) => crate::error!("the profile cannot be written to `{path}`: {why:#}"),
            }
        };
        thread
            .spawn(finish)
            .context("cannot start the thread that writes the profile")?;
        Ok(())
    }
}

impl Profile {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<GuestProfiler>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes which functions are running, and says whether the profile goes on.
    pub fn sample(&self, store: impl AsContext) -> bool {
        match &mut *self.lock() {
            Some(profiler) => {
                profiler.sample(store, INTERVAL);
                true
            }
            None => false,
        }
    }
}
