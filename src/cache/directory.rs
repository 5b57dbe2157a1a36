//! A `Cache` is a directory of code. It decides which files may be trusted, and opens and names them.

use super::name::{CodeName, SUFFIX};
use super::prune::{CachedFile, superfluous};
use crate::sys::directory;
use anyhow::{Context, Result, bail};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{Uid, UnlinkatFlags, linkat, unlinkat};
use std::fs::{DirBuilder, File, FileTimes, Metadata, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, lchown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A `Cache` is a directory that was found fit to be trusted with code.
#[derive(Debug)]
pub struct Cache {
    directory: File,
    path: PathBuf,
    /// The compiler runs as this user.
    owner: Uid,
}

/// The files have this mode: others do not get into the directory, and whoever is handed an open file may open it
/// once more.
const MODE: u32 = 0o644;

impl Cache {
    /// Opens the directory, making it where it is missing, for a compiler that runs as this user.
    pub fn make(path: &Path, owner: u32) -> Result<Cache> {
        let missing = !path.exists();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make `{}`", path.display()))?;
        if missing && owner != Uid::effective().as_raw() {
            lchown(path, Some(owner), None)
                .with_context(|| format!("cannot make `{}`", path.display()))?;
        }
        Cache::of_owner(path, Uid::from_raw(owner))
    }

    /// Opens the directory, as the user that the compiler runs as.
    pub fn open(path: &Path) -> Result<Cache> {
        Cache::of_owner(path, Uid::effective())
    }

    fn of_owner(path: &Path, owner: Uid) -> Result<Cache> {
        let directory = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits())
            .open(path)
            .with_context(|| format!("cannot open `{}`", path.display()))?;
        let about = || format!("`{}`", path.display());
        ours(&directory.metadata()?, &[owner], 0o077).with_context(about)?;
        Ok(Cache {
            directory,
            path: path.to_owned(),
            owner,
        })
    }

    /// Finds the code stored under `name`; returns `None` where there is none, or none that may be trusted. It does
    /// not look at what is in the code.
    pub fn lookup(&self, name: CodeName) -> Result<Option<File>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let opened = openat(&self.directory, &*name.to_string(), flags, Mode::empty());
        let file = match opened {
            Ok(fd) => File::from(fd),
            Err(nix::Error::ENOENT) => return Ok(None),
            Err(error) => return Err(error).with_context(|| self.shown(name)),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            bail!("{} is not a file", self.shown(name));
        }
        // A supervisor that is root gives them their names.
        let owners = [self.owner, Uid::from_raw(0)];
        ours(&metadata, &owners, 0o022).with_context(|| self.shown(name))?;
        Ok(Some(file))
    }

    /// Makes a file that has no name yet, to write code into.
    pub fn nameless(&self) -> Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .mode(MODE)
            .custom_flags(OFlag::O_TMPFILE.bits())
            .open(format!("/proc/self/fd/{}", self.directory.as_raw_fd()))
            .with_context(|| format!("cannot write in `{}`", self.path.display()))
    }

    /// Gives a name to a file that is complete, in the place of another that has it.
    pub fn keep(&self, file: &File, name: CodeName) -> Result<()> {
        self.remove(name)?;
        let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
        let (from, to) = (nameless.as_str(), name.to_string());
        match linkat(
            AT_FDCWD,
            from,
            &self.directory,
            &*to,
            AtFlags::AT_SYMLINK_FOLLOW,
        ) {
            // Another start stored the same code meanwhile.
            Ok(()) | Err(nix::Error::EEXIST) => Ok(()),
            Err(error) => Err(error).with_context(|| self.shown(name)),
        }
    }

    /// Removes what is stored under `name`, if anything is.
    pub fn remove(&self, name: CodeName) -> Result<()> {
        self.unlink(&name.to_string())
    }

    /// Notes that a file of the cache is used now.
    pub fn touch(file: &File) {
        let now = FileTimes::new().set_modified(SystemTime::now());
        // A file whose time cannot be set is given up earlier than it could be.
        let _ = file.set_times(now);
    }

    /// Removes what was not used for the longest time, until the rest takes at most `most` bytes, and says how many
    /// files were removed.
    pub fn prune(&self, most: u64) -> Result<usize> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name().into_string().unwrap_or_default();
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if name.ends_with(SUFFIX) && metadata.is_file() {
                entries.push(CachedFile {
                    name,
                    // It may have two names.
                    length: metadata.blocks() * 512 / metadata.nlink().max(1),
                    used: metadata.modified()?,
                });
            }
        }
        let names = superfluous(entries, most);
        names.iter().try_for_each(|name| self.unlink(name))?;
        Ok(names.len())
    }

    fn unlink(&self, name: &str) -> Result<()> {
        match unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(nix::Error::ENOENT) => Ok(()),
            Err(error) => {
                let path = self.path.join(name);
                Err(error).with_context(|| format!("`{}`", path.display()))
            }
        }
    }

    fn shown(&self, name: CodeName) -> String {
        format!("`{}`", self.path.join(name.to_string()).display())
    }
}

/// Refuses code that someone else could have written.
fn ours(metadata: &Metadata, owners: &[Uid], refused: u32) -> Result<()> {
    let owner = Uid::from_raw(metadata.uid());
    if !owners.contains(&owner) {
        bail!(
            "belongs to user {owner}, not to user {} who runs this",
            owners[0]
        );
    }
    if metadata.mode() & refused != 0 {
        bail!(
            "is open to others (mode {:03o}); take their access away with `chmod go=`",
            metadata.mode() & 0o777
        );
    }
    Ok(())
}

/// Finds where the cache is unless the operator says otherwise: the place that systemd gives a service, or the user's
/// (XDG base directory specification).
pub fn default_directory() -> Option<PathBuf> {
    let of_service = std::env::var_os("CACHE_DIRECTORY").filter(|value| !value.is_empty());
    let base = match of_service.map(PathBuf::from) {
        Some(base) => base.is_absolute().then_some(base)?,
        None => directory::of_user_caches()?,
    };
    Some(base.join("wasmserve"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("wasmserve-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        path
    }

    fn own(path: &Path) -> Result<Cache> {
        Cache::make(path, Uid::effective().as_raw())
    }

    fn name(engine: u64) -> CodeName {
        let component = [0; 32];
        CodeName { component, engine }
    }

    fn store(cache: &Cache, engine: u64, content: &[u8]) {
        let mut file = cache.nameless().unwrap();
        file.write_all(content).unwrap();
        cache.keep(&file, name(engine)).unwrap();
    }

    #[test]
    fn what_was_stored_is_found_and_only_its_owner_can_reach_it() {
        let path = directory("cache-stored");
        let cache = own(&path).unwrap();
        assert!(cache.lookup(name(1)).unwrap().is_none());
        store(&cache, 1, b"one");
        store(&cache, 1, b"two");
        let mut text = String::new();
        let found = cache.lookup(name(1)).unwrap();
        found.unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "two");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(name(1).to_string())) & 0o022, 0);
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 1);
        std::fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn what_others_could_have_written_is_refused() {
        let path = directory("cache-open");
        let cache = own(&path).unwrap();
        store(&cache, 1, b"code");
        let file = path.join(name(1).to_string());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o620)).unwrap();
        assert!(format!("{:#}", cache.lookup(name(1)).unwrap_err()).contains("open to others"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o770)).unwrap();
        assert!(format!("{:#}", own(&path).unwrap_err()).contains("chmod go="));
        std::fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn what_was_used_last_is_kept_within_the_bound() {
        let path = directory("cache-pruned");
        let cache = own(&path).unwrap();
        for engine in 1..=3 {
            store(&cache, engine, &[1; 64 << 10]);
            let file = cache.lookup(name(engine)).unwrap().unwrap();
            let used = SystemTime::UNIX_EPOCH + Duration::from_secs(engine);
            file.set_times(FileTimes::new().set_modified(used)).unwrap();
        }
        Cache::touch(&cache.lookup(name(1)).unwrap().unwrap());
        assert_eq!(cache.prune(1 << 20).unwrap(), 0);
        assert_eq!(cache.prune(140 << 10).unwrap(), 1);
        assert!(cache.lookup(name(2)).unwrap().is_none());
        assert_eq!(cache.prune(1).unwrap(), 1);
        assert!(cache.lookup(name(1)).unwrap().is_some());
        std::fs::remove_dir_all(&path).unwrap();
    }
}
