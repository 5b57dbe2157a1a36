//! A `ComponentStore` is the directory of what was pulled: each component under its digest, and for each reference a link to the
//! component that it meant when the registry was asked last. Nothing is used whose digest is not its name.

use super::digest::{Digest, Digester};
use super::reference::{Reference, TagOrDigest};
use crate::cache::{CachedFile, superfluous};
use crate::sys::file;
use crate::warning;
use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::geteuid;
use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions};
use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The names of components, links and what is on its way end so.
const COMPONENT: &str = ".wasm";
const PARTIAL: &str = ".part";

/// A name of a file may have 255 bytes.
const LONGEST: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentStore {
    directory: PathBuf,
}

impl ComponentStore {
    /// Makes the store that is in this cache.
    pub fn within(cache: &Path) -> ComponentStore {
        ComponentStore {
            directory: cache.join("registry"),
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Gives the path that a component has once it was pulled: a link, by which people find which it is.
    pub fn path(&self, reference: &Reference) -> PathBuf {
        let name = reference.name.replace('/', "+");
        let version = match &reference.version {
            TagOrDigest::Tag(tag) => format!(":{tag}"),
            TagOrDigest::Digest(digest) => format!("@{digest}"),
        };
        let name = format!("{}+{name}{version}", reference.host);
        let name = match name.len() > LONGEST {
            true => Digest::of(name.as_bytes()).hex(),
            false => name,
        };
        self.directory.join(name + COMPONENT)
    }

    /// Makes the directory, which nobody else may enter.
    pub fn make(&self) -> Result<()> {
        let about = || {
            format!(
                "cannot keep what is pulled in `{}`",
                self.directory.display()
            )
        };
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory);
        made.with_context(|| about() + "; name another directory with --cache-dir")?;
        let found = fs::symlink_metadata(&self.directory).with_context(about)?;
        if !found.is_dir() || found.uid() != geteuid().as_raw() || found.mode() & 0o077 != 0 {
            bail!(
                "{}: it belongs to somebody else, or others may enter it",
                about()
            );
        }
        Ok(())
    }

    /// Says whether the component of a reference is here, whole.
    pub fn holds(&self, reference: &Reference) -> bool {
        let target = fs::read_link(self.path(reference)).ok();
        let digest = target.and_then(|target| of_name(target.to_str()?));
        digest.is_some_and(|digest| self.has(digest))
    }

    /// Says whether this component is here. One that is damaged is removed.
    pub fn has(&self, digest: Digest) -> bool {
        let path = self.component(digest);
        let read = || {
            let file = File::open(&path)?;
            let mut digester = Digester::new();
            digester.read(&file)?;
            // When it was written stays as it is: `--reload` looks at that.
            let now = FileTimes::new().set_accessed(SystemTime::now());
            // Where this fails it is pruned earlier than it could be.
            let _ = file.set_times(now);
            std::io::Result::Ok(digester.finish())
        };
        match read() {
            Ok(found) if found == digest => true,
            Ok(_) => {
                warning!("`{}` is damaged, and pulled again", path.display());
                let _ = fs::remove_file(&path);
                false
            }
            Err(_) => false,
        }
    }

    fn component(&self, digest: Digest) -> PathBuf {
        self.directory
            .join(format!("sha256-{}{COMPONENT}", digest.hex()))
    }

    /// Opens what is on its way: what came of it before, where nobody else is at it.
    pub fn partial(&self, digest: Digest) -> Result<Partial> {
        let path = self
            .directory
            .join(format!("sha256-{}{PARTIAL}", digest.hex()));
        let shared = open(&path).and_then(|file| {
            let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock);
            locked.map_err(|(_, error)| error.into())
        });
        let (path, file) = match shared {
            Ok(file) => (path, file),
            // Another server pulls the same: each for itself.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                let path = path.with_extension(format!("{}{PARTIAL}", std::process::id()));
                let file = Flock::lock(open(&path)?, FlockArg::LockExclusive);
                (path, file.map_err(|(_, error)| error)?)
            }
            Err(error) => return Err(error).with_context(|| format!("`{}`", path.display())),
        };
        let mut digester = Digester::new();
        let length = digester
            .read(&*file)
            .with_context(|| format!("`{}`", path.display()))?;
        Ok(Partial {
            path,
            file,
            digester,
            length,
        })
    }

    /// Gives a component that is whole its name.
    pub fn keep(&self, partial: Partial, digest: Digest) -> Result<()> {
        let path = self.component(digest);
        partial.file.sync_data()?;
        let named = fs::rename(&partial.path, &path);
        named.with_context(|| format!("`{}`", path.display()))
    }

    /// Has a reference mean this component from here on. Whoever looks meanwhile finds the one or the other.
    pub fn point(&self, reference: &Reference, digest: Digest) -> Result<()> {
        let (path, target) = (self.path(reference), self.component(digest));
        let target = target.file_name().context("it has no name")?;
        if fs::read_link(&path).is_ok_and(|now| now == Path::new(target)) {
            return Ok(());
        }
        let next = self
            .directory
            .join(format!("link.{}{PARTIAL}", std::process::id()));
        let pointed = file::point(&path, Path::new(target), &next);
        pointed.with_context(|| format!("`{}`", path.display()))
    }

    /// Removes what was not used for the longest time, beyond this many bytes, and what nobody is at any more; but not
    /// this component.
    pub fn prune(&self, most: u64, kept: Digest) {
        let (kept, mut entries) = (self.component(kept), Vec::new());
        let old = SystemTime::now().checked_sub(Duration::from_secs(24 * 3600));
        let Ok(listed) = fs::read_dir(&self.directory) else {
            return;
        };
        for entry in listed.flatten() {
            let Ok(found) = fs::symlink_metadata(entry.path()) else {
                continue;
            };
            let (name, used) = (entry.file_name().into_string(), found.accessed());
            let (Ok(name), Ok(used)) = (name, used) else {
                continue;
            };
            let is_left = name.ends_with(PARTIAL) && found.modified().ok() < old;
            let leads_nowhere = found.is_symlink() && !entry.path().exists();
            if is_left || leads_nowhere {
                let _ = fs::remove_file(entry.path());
            } else if found.is_file() && name.ends_with(COMPONENT) && entry.path() != kept {
                let length = found.len();
                entries.push(CachedFile { name, length, used });
            }
        }
        for name in superfluous(entries, most) {
            let _ = fs::remove_file(self.directory.join(name));
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
}

fn of_name(name: &str) -> Option<Digest> {
    let hex = name.strip_prefix("sha256-")?.strip_suffix(COMPONENT)?;
    format!("sha256:{hex}").parse().ok()
}

/// A `Partial` is a component that is on its way. It stays when we do not, and is gone on with.
pub struct Partial {
    path: PathBuf,
    file: Flock<File>,
    digester: Digester,
    pub length: u64,
}

impl Partial {
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            // What cannot become whole leaves the room to others.
            if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
                let _ = self.file.set_len(0);
            }
            return Err(error).with_context(|| format!("cannot write `{}`", self.path.display()));
        }
        self.digester.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Begins again.
    pub fn clear(&mut self) -> Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.digester = Digester::new();
        self.length = 0;
        Ok(())
    }

    pub fn digest(&self) -> Digest {
        self.digester.clone().finish()
    }

    /// Removes it, so that nobody goes on with it.
    pub fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(name: &str) -> ComponentStore {
        let cache = std::env::temp_dir().join(format!("wasmserve-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&cache);
        let store = ComponentStore::within(&cache);
        store.make().unwrap();
        store
    }

    fn end(store: &ComponentStore) {
        fs::remove_dir_all(store.directory.parent().unwrap()).unwrap();
    }

    fn put(store: &ComponentStore, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let mut partial = store.partial(digest).unwrap();
        partial.write(bytes).unwrap();
        assert_eq!(partial.digest(), digest);
        store.keep(partial, digest).unwrap();
        digest
    }

    #[test]
    fn what_was_begun_is_gone_on_with_and_what_is_damaged_is_not_used() {
        let (store, reference) = (store("store"), "oci://h/a:1".parse().unwrap());
        let digest = Digest::of(b"one two");
        store.partial(digest).unwrap().write(b"one").unwrap();
        let mut partial = store.partial(digest).unwrap();
        assert_eq!(partial.length, 3);
        assert_ne!(store.partial(digest).unwrap().length, 3, "two are at it");
        partial.write(b" two").unwrap();
        assert_eq!(partial.digest(), digest);
        store.keep(partial, digest).unwrap();
        assert!(!store.holds(&reference));
        store.point(&reference, digest).unwrap();
        assert!(store.holds(&reference));
        assert_eq!(fs::read(store.path(&reference)).unwrap(), b"one two");
        fs::write(store.component(digest), b"one twX").unwrap();
        assert!(!store.holds(&reference));
        assert!(!store.component(digest).exists());
        end(&store);
    }

    #[test]
    fn a_tag_moves_and_the_bound_holds() {
        let (store, reference) = (store("pruned"), "oci://h/a:1".parse().unwrap());
        let old = put(&store, b"old");
        store.point(&reference, old).unwrap();
        let new = put(&store, b"newer");
        store.point(&reference, new).unwrap();
        assert_eq!(fs::read(store.path(&reference)).unwrap(), b"newer");
        let other = "oci://h/b:1".parse().unwrap();
        store.point(&other, old).unwrap();
        let third = put(&store, b"third");
        store.point(&"oci://h/c:1".parse().unwrap(), third).unwrap();
        store.prune(1, new);
        assert!(store.holds(&reference));
        let rest = [old, third].into_iter().filter(|it| store.has(*it)).count();
        assert_eq!(rest, 1, "the one that was used last stays");
        end(&store);
    }
}
