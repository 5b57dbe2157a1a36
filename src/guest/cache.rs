//! Native code on disk, between two starts: a directory that only its owner can read and write, one
//! file for each component and engine. Decides what may be trusted; knows nothing of compiling.

use anyhow::{Context, Result, bail};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::stat::Mode;
use nix::unistd::{Uid, UnlinkatFlags, linkat, unlinkat};
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A cache directory that was found fit to be trusted with code.
#[derive(Debug)]
pub struct Cache {
    directory: File,
    path: PathBuf,
}

impl Cache {
    /// Opens the directory, making it where it is missing.
    pub fn open(path: &Path) -> Result<Cache> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make `{}`", path.display()))?;
        let directory = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits())
            .open(path)
            .with_context(|| format!("cannot open `{}`", path.display()))?;
        ours_alone(&directory.metadata()?).with_context(|| format!("`{}`", path.display()))?;
        Ok(Cache {
            directory,
            path: path.to_owned(),
        })
    }

    /// The code stored under `name`; none where there is none, or none that may be trusted.
    pub fn lookup(&self, name: &str) -> Result<Option<File>> {
        let fd = match nix::fcntl::openat(
            &self.directory,
            name,
            OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
            Mode::empty(),
        ) {
            Ok(fd) => fd,
            Err(nix::Error::ENOENT) => return Ok(None),
            Err(error) => return Err(error).with_context(|| self.shown(name)),
        };
        let file = File::from(fd);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            bail!("{} is not a file", self.shown(name));
        }
        ours_alone(&metadata).with_context(|| self.shown(name))?;
        Ok(Some(file))
    }

    /// Stores `code` under `name`, whole or not at all: it gets its name only when it is complete.
    pub fn store(&self, name: &str, code: &[u8]) -> Result<File> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(0o600)
            .custom_flags(OFlag::O_TMPFILE.bits())
            .open(&self.path)
            .with_context(|| format!("cannot write in `{}`", self.path.display()))?;
        file.write_all(code)
            .with_context(|| format!("cannot write in `{}`", self.path.display()))?;
        self.remove(name)?;
        let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
        match linkat(
            AT_FDCWD,
            nameless.as_str(),
            &self.directory,
            name,
            AtFlags::AT_SYMLINK_FOLLOW,
        ) {
            // Another start stored the same code meanwhile.
            Ok(()) | Err(nix::Error::EEXIST) => {}
            Err(error) => return Err(error).with_context(|| self.shown(name)),
        }
        match self.lookup(name)? {
            Some(stored) => Ok(stored),
            None => bail!("{} vanished", self.shown(name)),
        }
    }

    /// Removes what is stored under `name`, if anything is.
    pub fn remove(&self, name: &str) -> Result<()> {
        match unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(nix::Error::ENOENT) => Ok(()),
            Err(error) => Err(error).with_context(|| self.shown(name)),
        }
    }

    fn shown(&self, name: &str) -> String {
        format!("`{}`", self.path.join(name).display())
    }
}

/// Code that someone else could have written must not be run.
fn ours_alone(metadata: &Metadata) -> Result<()> {
    let us = Uid::effective().as_raw();
    if metadata.uid() != us {
        bail!(
            "belongs to user {}, not to user {us} who runs this",
            metadata.uid()
        );
    }
    if metadata.mode() & 0o077 != 0 {
        bail!(
            "is open to others (mode {:03o}); take their access away with `chmod go=`",
            metadata.mode() & 0o777
        );
    }
    Ok(())
}

/// Where the cache is unless the operator says otherwise: the place that systemd gives a service, or
/// the user's (XDG base directory specification).
pub fn default_directory() -> Option<PathBuf> {
    let from = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = from("CACHE_DIRECTORY")
        .or_else(|| from("XDG_CACHE_HOME"))
        .or_else(|| from("HOME").map(|home| home.join(".cache")))?;
    base.is_absolute().then(|| base.join("wasmserve"))
}

/// Whether an error means that there is just no place to write, which needs no warning.
pub fn is_absence(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::NotFound
                | ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::NotADirectory
                | ErrorKind::Unsupported
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("wasmserve-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn what_was_stored_is_found_and_only_its_owner_can_read_it() {
        let path = directory("cache-stored");
        let cache = Cache::open(&path).unwrap();
        assert!(cache.lookup("a").unwrap().is_none());
        cache.store("a", b"one").unwrap();
        cache.store("a", b"two").unwrap();
        let mut text = String::new();
        cache
            .lookup("a")
            .unwrap()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "two");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("a"))), (0o700, 0o600));
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 1);
        std::fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn what_others_could_have_written_is_refused() {
        let path = directory("cache-open");
        let cache = Cache::open(&path).unwrap();
        cache.store("a", b"code").unwrap();
        std::fs::set_permissions(path.join("a"), std::fs::Permissions::from_mode(0o620)).unwrap();
        assert!(format!("{:#}", cache.lookup("a").unwrap_err()).contains("open to others"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o770)).unwrap();
        assert!(format!("{:#}", Cache::open(&path).unwrap_err()).contains("chmod go="));
        std::fs::remove_dir_all(&path).unwrap();
    }
}
