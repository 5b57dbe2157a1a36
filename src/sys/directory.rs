//! This file finds directories that the environment names: the one that this program was started in, by the name by
//! which the shell knew it, and the one for caches of the user.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// A `StartDirectory` is entered again by its name: where a link of that name was pointed elsewhere meanwhile, as
/// deployments by release do, this is another directory then.
#[derive(Clone, Debug)]
pub struct StartDirectory(PathBuf);

impl StartDirectory {
    /// Finds the current directory: as the shell names it (PWD, which may lead over symbolic links) where that is it.
    pub fn current() -> StartDirectory {
        let named = env::var_os("PWD").map(PathBuf::from);
        let named = named.filter(|path| path.is_absolute() && is_current(path));
        let named = named.or_else(|| env::current_dir().ok());
        // One that was removed has no name, and is the current directory for ever.
        StartDirectory(named.unwrap_or_else(|| PathBuf::from(".")))
    }

    /// Makes it the current directory, as it is now.
    pub fn enter(&self) -> io::Result<()> {
        env::set_current_dir(&self.0)
    }

    /// Gives the full name of a file that was named from here.
    pub fn file(&self, path: &Path) -> PathBuf {
        self.0.join(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// Returns where the caches of the user are (XDG base directory specification); none where nothing says so.
pub fn of_user_caches() -> Option<PathBuf> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let base = named("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(Path::new(&named("HOME")?).join(".cache")))?;
    base.is_absolute().then_some(base)
}

fn is_current(path: &Path) -> bool {
    let identity = |path: &Path| {
        fs::metadata(path)
            .map(|found| (found.dev(), found.ino()))
            .ok()
    };
    let current = identity(Path::new("."));
    current.is_some() && identity(path) == current
}
