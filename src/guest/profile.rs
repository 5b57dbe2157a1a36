//! A profile says where guests spend their time: which functions run when the epoch thread interrupts them. It is
//! written when its time is over, for the Firefox profiler.

use crate::sys::{file, limits};
use crate::{info, warning};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use wasmtime::component::Component;
use wasmtime::{AsContext, GuestProfiler};

/// A guest is interrupted this often, at most: a function that runs for less is seen now and then.
const INTERVAL: Duration = Duration::from_micros(500);

/// `ProfileSettings` says for how long guests are looked at from the start of a worker, and where the profile of each
/// is kept.
#[derive(Clone, Debug)]
pub struct ProfileSettings {
    /// Profiles are made for this long; none where they are made by command alone.
    pub time: Option<Duration>,
    pub directory: PathBuf,
    /// The operator has named the directory: workers may write there for as long as they serve.
    pub by_command: bool,
}

/// A `Profile` is being made, or none is.
#[derive(Clone, Default)]
pub struct Profile(Arc<Mutex<Option<GuestProfiler>>>);

/// `Profiles` of one worker's guests are made from its start on, or by command.
pub struct Profiles {
    profile: Profile,
    settings: Option<ProfileSettings>,
    component: Component,
    unwritten: Mutex<Option<Unwritten>>,
    /// This profile was made by command last: the number of the command, and whether it went well.
    made: Arc<Mutex<Option<(u32, bool)>>>,
}

impl Profiles {
    /// Begins the one from the start on, where that is wanted.
    pub fn new(settings: Option<ProfileSettings>, component: &Component) -> Result<Profiles> {
        let profile = Profile::default();
        let unwritten = settings.as_ref().and_then(|settings| {
            let time = settings.time?;
            Some(Unwritten::begin(&profile, time, settings, component))
        });
        Ok(Profiles {
            unwritten: Mutex::new(unwritten.transpose()?),
            profile,
            settings,
            component: component.clone(),
            made: Arc::default(),
        })
    }

    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Has the one that was begun written in time: there may be threads now.
    pub fn start(&self) -> Result<()> {
        let unwritten = lock(&self.unwritten).take();
        unwritten.map_or(Ok(()), |it| it.finish_in_time(|_| ()))
    }

    /// Makes a profile by the command of this number, for this long.
    pub fn make(&self, number: u32, time: Duration) {
        let settings = self.settings.as_ref().filter(|it| it.by_command);
        let made = self.made.clone();
        let begun = settings
            .context("there is no --profile-dir")
            .and_then(|it| Unwritten::begin(&self.profile, time, it, &self.component))
            .and_then(|it| it.finish_in_time(move |well| *lock(&made) = Some((number, well))));
        if let Err(why) = begun {
            warning!("a profile cannot be made: {why:#}");
            *lock(&self.made) = Some((number, false));
        }
    }

    /// Returns the number of the command that was carried out last, and whether it went well.
    pub fn made(&self) -> Option<(u32, bool)> {
        *lock(&self.made)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An `Unwritten` profile is begun, and written when its time is over.
struct Unwritten {
    profile: Profile,
    time: Duration,
    path: PathBuf,
    /// Where no file can be made later, this one is there from the beginning.
    file: Option<File>,
}

impl Unwritten {
    fn begin(
        profile: &Profile,
        time: Duration,
        settings: &ProfileSettings,
        component: &Component,
    ) -> Result<Unwritten> {
        if profile.lock().is_some() {
            bail!("another profile is being made");
        }
        let name = format!("profile-{}.json", std::process::id());
        let path = settings.directory.join(name);
        let file = (!settings.by_command).then(|| file::make_own(&path));
        let file = file.transpose();
        let file = file.with_context(|| format!("cannot write `{}`", path.display()))?;
        let engine = component.engine();
        let profiler =
            GuestProfiler::new_component(engine, "guest", INTERVAL, component.clone(), [])
                .map_err(anyhow::Error::from)
                .context("the component cannot be profiled")?;
        *profile.lock() = Some(profiler);
        Ok(Unwritten {
            profile: profile.clone(),
            time,
            path,
            file,
        })
    }

    /// Writes the profile when its time is over, and says then whether that went well.
    pub fn finish_in_time(self, told: impl FnOnce(bool) + Send + 'static) -> Result<()> {
        let finish = move || {
            std::thread::sleep(self.time);
            let profiler = self.profile.lock().take();
            let path = self.path.display();
            let mut text = Vec::new();
            let written = profiler.map_or(Ok(()), |it| it.finish(&mut text));
            let written = written
                .map_err(anyhow::Error::from)
                .and_then(|()| Ok(write(self.file, &self.path, &text)?));
            let is_written = written.is_ok();
            match written {
                Ok(()) => info!("The profile of this worker's guests is in `{path}`"),
                Err(why) => crate::error!("the profile cannot be written to `{path}`: {why:#}"),
            }
            told(is_written);
        };
        limits::spawn("profile", finish)
            .context("cannot start the thread that writes the profile")?;
        Ok(())
    }
}

/// Writes a profile: without a file that is open, one appears whole, and until then there is the one that was there.
fn write(file: Option<File>, path: &Path, text: &[u8]) -> io::Result<()> {
    match file {
        Some(mut file) => file.write_all(text),
        None => file::put_in_place(path, 0o600, |mut file| file.write_all(text)),
    }
}

impl Profile {
    fn lock(&self) -> MutexGuard<'_, Option<GuestProfiler>> {
        lock(&self.0)
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
