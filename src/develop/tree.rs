//! A `Tree` has the files of a project, and knows whether one has changed. It does not know what they mean.

use crate::sys::watch::{self, Settling, Signature, Watch};
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// These directories hold what tools make, not what people write. So do those whose name begins with a dot, and
/// virtual environments.
const MADE: [&str; 7] = [
    "target",
    "node_modules",
    "__pycache__",
    "dist",
    "build",
    "site-packages",
    "vendor",
];

/// Tools write these files while they build.
const WRITTEN: [&str; 6] = [
    "Cargo.lock",
    "package-lock.json",
    "go.sum",
    "uv.lock",
    "poetry.lock",
    "yarn.lock",
];
const WRITTEN_AS: [&str; 7] = ["wasm", "pyc", "log", "tmp", "swp", "db", "sqlite"];

/// No more files are watched: this is no project, but somebody's home.
const MOST: usize = 20_000;

type Files = BTreeMap<PathBuf, Signature>;

/// `WatchedFiles` says which files count, and when.
#[derive(Debug, Default)]
pub struct WatchedFiles {
    pub roots: Vec<PathBuf>,
    /// Names, or paths beneath a root, of these patterns count although tools write them.
    pub included: Vec<String>,
    /// Names or paths of these patterns do not count.
    pub excluded: Vec<String>,
    /// These count whatever they are called; they are part of no build.
    pub named: Vec<PathBuf>,
    /// A project must be left alone for this long before it is built again.
    pub delay: Duration,
}

/// `ChangedFiles` says what has changed.
#[derive(Debug, PartialEq, Eq)]
pub struct ChangedFiles {
    /// People call one of the files so.
    pub shown: PathBuf,
    pub files: Vec<PathBuf>,
}

pub struct Tree {
    wanted: WatchedFiles,
    watch: Option<Watch>,
    files: Settling<Files>,
}

impl Tree {
    pub fn new(wanted: WatchedFiles) -> Tree {
        let watch = Watch::new().ok();
        let known = look(&wanted, watch.as_ref());
        Tree {
            files: Settling::new(known, wanted.delay),
            wanted,
            watch,
        }
    }

    /// Returns what wakes us, if the kernel does.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(Watch::descriptor)
    }

    /// Tells once of each change, when it has settled: the files that changed.
    pub fn changed(&mut self, now: Instant) -> Option<ChangedFiles> {
        if let Some(watch) = &self.watch {
            watch.drain();
        }
        let files = look(&self.wanted, self.watch.as_ref());
        let earlier = self.files.seen(files, now, |_| true)?;
        let known = self.files.known();
        let newer = known
            .iter()
            .filter(|(path, is)| earlier.get(*path) != Some(*is));
        let gone = earlier.keys().filter(|path| !known.contains_key(*path));
        let files: Vec<PathBuf> = newer.map(|(path, _)| path).chain(gone).cloned().collect();
        let first = files.first()?;
        let beneath = |root: &PathBuf| first.strip_prefix(root).ok();
        let shown = self.wanted.roots.iter().find_map(beneath);
        Some(ChangedFiles {
            shown: shown.unwrap_or(first).to_owned(),
            files,
        })
    }

    /// Says whether all of these files are among those that were named.
    pub fn names_all(&self, files: &[PathBuf]) -> bool {
        let whole = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        let named: Vec<PathBuf> = self.wanted.named.iter().map(whole).collect();
        files.iter().all(|file| named.contains(&whole(file)))
    }

    /// Says when to look again, where something is going on.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.files.settles_at()
    }
}

fn look(wanted: &WatchedFiles, watch: Option<&Watch>) -> Files {
    let mut files = Files::new();
    for root in &wanted.roots {
        wanted.collect(root, root, &mut files);
    }
    for path in &wanted.named {
        files.insert(path.clone(), watch::signature(path));
    }
    if let Some(watch) = watch {
        // Through their directories: one of a directory is enough.
        let mut directories: Vec<PathBuf> = files.keys().cloned().collect();
        directories.dedup_by(|one, other| one.parent() == other.parent());
        watch.add(&directories);
    }
    files
}

impl WatchedFiles {
    fn collect(&self, root: &Path, directory: &Path, files: &mut Files) {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if files.len() >= MOST || matches_any(&self.excluded, root, &path) {
                continue;
            }
            let is_included = matches_any(&self.included, root, &path);
            if !is_included && (name.starts_with('.') || name.ends_with('~')) {
                continue;
            }
            if kind.is_dir() {
                let is_made = MADE.contains(&&*name) || path.join("pyvenv.cfg").exists();
                if is_included || !is_made {
                    self.collect(root, &path, files);
                }
            } else if is_included || !is_written(&path, &name) {
                files.insert(path.clone(), watch::signature(&path));
            }
        }
    }
}

/// Says whether a file's name, or its path beneath the root, is of one of the patterns.
fn matches_any(patterns: &[String], root: &Path, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beneath = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
    patterns.iter().any(|pattern| {
        let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
        is_like(pattern.as_bytes(), name.as_bytes())
            || is_like(pattern.as_bytes(), beneath.as_bytes())
    })
}

/// `*` is any text, `?` any byte (glob(7), without sets).
fn is_like(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|at| is_like(rest, &text[at..])),
        ([b'?', rest @ ..], [_, after @ ..]) => is_like(rest, after),
        ([one, rest @ ..], [other, after @ ..]) => one == other && is_like(rest, after),
        _ => false,
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
        let settled = Duration::from_millis(150);
        let mut tree = Tree::new(WatchedFiles {
            roots: vec![scratch.path().to_owned()],
            delay: settled,
            ..WatchedFiles::default()
        });
        let start = Instant::now();
        assert_eq!(tree.changed(start), None);
        std::fs::write(scratch.path().join("target/made"), "1").unwrap();
        std::fs::write(scratch.path().join("app.wasm"), "1").unwrap();
        assert_eq!(tree.changed(start), None);
        assert_eq!(tree.wakes_at(), None);
        std::fs::write(scratch.path().join("main.rs"), "12").unwrap();
        assert_eq!(tree.changed(start), None);
        assert_eq!(tree.wakes_at(), Some(start + settled));
        let later = start + settled;
        let changed = tree.changed(later).unwrap();
        assert_eq!(changed.shown, PathBuf::from("main.rs"));
        assert_eq!(changed.files, [scratch.path().join("main.rs")]);
        assert_eq!(tree.changed(later), None);
    }

    #[test]
    fn what_was_named_is_told_of_whatever_it_is_called() {
        let scratch = Scratch::new().unwrap();
        let variables = scratch.path().join(".env");
        std::fs::write(&variables, "A=1").unwrap();
        let mut tree = Tree::new(WatchedFiles {
            roots: vec![scratch.path().to_owned()],
            named: vec![variables.clone()],
            ..WatchedFiles::default()
        });
        let start = Instant::now();
        std::fs::write(&variables, "A=12").unwrap();
        let changed = tree.changed(start).or_else(|| tree.changed(start)).unwrap();
        assert_eq!(changed.files, [variables]);
        assert!(tree.names_all(&changed.files));
        assert!(!tree.names_all(&[scratch.path().join("main.rs")]));
    }

    #[test]
    fn patterns_include_what_tools_write_and_exclude_what_people_write() {
        let scratch = Scratch::new().unwrap();
        std::fs::create_dir(scratch.path().join("frontend")).unwrap();
        for file in [
            "main.py",
            "notes.md",
            "test.db",
            "other.db",
            "frontend/a.py",
        ] {
            std::fs::write(scratch.path().join(file), "1").unwrap();
        }
        let tree = Tree::new(WatchedFiles {
            roots: vec![scratch.path().to_owned()],
            included: vec!["test.*".into()],
            excluded: vec!["*.md".into(), "frontend/".into()],
            ..WatchedFiles::default()
        });
        let names = tree
            .files
            .known()
            .keys()
            .filter_map(|path| path.file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["main.py", "test.db"]);
        assert!(is_like(b"a*c?", b"abbcd") && !is_like(b"a*c?", b"abbc"));
    }
}
