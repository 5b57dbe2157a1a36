//! The files of a project, and whether one has changed. Knows nothing of what they mean.

use crate::sys::watch::{self, Watch};
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How long a project must be left alone before it is built again.
const SETTLED: Duration = Duration::from_millis(150);

/// Directories that hold what tools make, not what people write. So do those whose name begins with a
/// dot, and virtual environments.
const MADE: [&str; 7] = [
    "target",
    "node_modules",
    "__pycache__",
    "dist",
    "build",
    "site-packages",
    "vendor",
];

/// Files that tools write while they build.
const WRITTEN: [&str; 6] = [
    "Cargo.lock",
    "package-lock.json",
    "go.sum",
    "uv.lock",
    "poetry.lock",
    "yarn.lock",
];
const WRITTEN_AS: [&str; 7] = ["wasm", "pyc", "log", "tmp", "swp", "db", "sqlite"];

/// More are not watched: this is no project, but somebody's home.
const MOST: usize = 20_000;

type Files = BTreeMap<PathBuf, Option<(u64, u64, u64, SystemTime)>>;

pub struct Tree {
    root: PathBuf,
    watch: Option<Watch>,
    known: Files,
    fresh: Option<(Files, Instant)>,
}

impl Tree {
    pub fn new(root: &Path) -> Tree {
        let mut tree = Tree {
            root: root.to_owned(),
            watch: Watch::new().ok(),
            known: Files::new(),
            fresh: None,
        };
        tree.known = tree.look();
        tree
    }

    /// Who wakes us, if the kernel does.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(Watch::descriptor)
    }

    /// Tells once of each change, when it has settled: the first file that changed.
    pub fn changed(&mut self, now: Instant) -> Option<PathBuf> {
        if let Some(watch) = &self.watch {
            watch.drain();
        }
        let files = self.look();
        if files == self.known {
            self.fresh = None;
            return None;
        }
        let since = match &self.fresh {
            Some((seen, since)) if *seen == files => *since,
            _ => now,
        };
        if now.saturating_duration_since(since) < SETTLED {
            self.fresh = Some((files, since));
            return None;
        }
        self.fresh = None;
        let earlier = std::mem::replace(&mut self.known, files);
        let mut newer = self
            .known
            .iter()
            .filter(|(path, is)| earlier.get(*path) != Some(*is));
        let mut gone = earlier
            .keys()
            .filter(|path| !self.known.contains_key(*path));
        let path = newer.next().map(|(path, _)| path).or_else(|| gone.next())?;
        Some(path.strip_prefix(&self.root).unwrap_or(path).to_owned())
    }

    /// When to look again, where something is going on.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.fresh.as_ref().map(|(_, since)| *since + SETTLED)
    }

    fn look(&self) -> Files {
        let mut files = Files::new();
        collect(&self.root, &mut files);
        if let Some(watch) = &self.watch {
            // Through their directories: one of a directory is enough.
            let mut directories: Vec<PathBuf> = files.keys().cloned().collect();
            directories.dedup_by(|one, other| one.parent() == other.parent());
            watch.add(&directories);
        }
        files
    }
}

fn collect(directory: &Path, files: &mut Files) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if name.starts_with('.') || name.ends_with('~') || files.len() >= MOST {
            continue;
        }
        if kind.is_dir() {
            if !MADE.contains(&&*name) && !path.join("pyvenv.cfg").exists() {
                collect(&path, files);
            }
        } else if !is_written(&path, &name) {
            files.insert(path.clone(), watch::signature(&path));
        }
    }
}

fn is_written(path: &Path, name: &str) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    WRITTEN.contains(&name) || extension.is_some_and(|extension| WRITTEN_AS.contains(&extension))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Scratch;

    #[test]
    fn what_people_write_is_told_of_when_it_has_settled() {
        let scratch = Scratch::new().unwrap();
        std::fs::create_dir(scratch.path().join("target")).unwrap();
        std::fs::write(scratch.path().join("main.rs"), "1").unwrap();
        let mut tree = Tree::new(scratch.path());
        let start = Instant::now();
        assert_eq!(tree.changed(start), None);
        std::fs::write(scratch.path().join("target/made"), "1").unwrap();
        std::fs::write(scratch.path().join("app.wasm"), "1").unwrap();
        assert_eq!(tree.changed(start), None);
        assert_eq!(tree.wakes_at(), None);
        std::fs::write(scratch.path().join("main.rs"), "12").unwrap();
        assert_eq!(tree.changed(start), None);
        assert_eq!(tree.wakes_at(), Some(start + SETTLED));
        let later = start + SETTLED;
        assert_eq!(tree.changed(later), Some(PathBuf::from("main.rs")));
        assert_eq!(tree.changed(later), None);
    }
}
