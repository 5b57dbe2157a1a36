//! SQLite handles its lock directory through five functions of `wasi:filesystem`, which are replaced in both versions of
//! WASI. This file says what they make of a lock directory.

use super::beneath::{Beneath, Obstacle};
use super::file_lock::{FileKind, FileLock, LockMode};
use super::{DatabaseLocks, LockDirectory, has_open, p2 as older, p3 as newer};
use crate::guest::host::about_guests;
use crate::guest::host::state::HostState;
use crate::log;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wasmtime::component::{Accessor, Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types as p2;

/// A guest waits for this long for a lock before it is told that somebody has it. SQLite in a guest then sleeps for as
/// long as its build knows how to, which may be a second at a time, until its own time is over.
const WAIT: Duration = Duration::from_millis(200);

/// Two attempts have a pause of the first length between them at first, and of the second at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(8)];

/// A lock directory that is younger may be held by a program that locks in no other way.
const YOUNG: Duration = Duration::from_secs(1);

/// An `Outcome` says what the wish for a lock directory leads to.
pub(super) enum Outcome {
    /// The directory has nothing to do with a database.
    None,
    Locked,
    Busy,
}

/// `Stateful` reaches the state of an instance, wherever it stands.
pub(super) trait Stateful {
    fn with<R>(&mut self, act: impl FnOnce(&mut HostState) -> R) -> R;
}

impl Stateful for &mut HostState {
    fn with<R>(&mut self, act: impl FnOnce(&mut HostState) -> R) -> R {
        act(self)
    }
}

impl Stateful for &Accessor<HostState> {
    fn with<R>(&mut self, act: impl FnOnce(&mut HostState) -> R) -> R {
        Accessor::with(self, |mut access| act(access.data_mut()))
    }
}

pub(super) type Fd = Resource<Descriptor>;

/// Takes the lock that this directory stands for.
pub(super) async fn lock(mut state: impl Stateful, fd: &Fd, path: &str) -> Outcome {
    let Some(place) = state.with(|state| LockDirectory::of(state.table(), fd, path)) else {
        return Outcome::None;
    };
    let local = state.with(|state| state.local().clone());
    let Some(mut beneath) = Beneath::new(place.directory.clone(), local) else {
        return Outcome::None;
    };
    let Some((file, mode)) = open(&mut beneath, &place).await else {
        return Outcome::None;
    };
    let concerned = match FileKind::of(&file) {
        Ok(FileKind::Database) => true,
        Ok(FileKind::Empty) => state.with(|state| has_open(state.table_mut(), &file)),
        Ok(FileKind::Other) | Err(_) => false,
    };
    if !concerned {
        return Outcome::None;
    }
    let refused = state.with(|state| {
        let (locks, table) = state.database_locks();
        locks.watch(table, fd);
        // Its other connection cannot give it back while this one waits.
        let own = mode == LockMode::Exclusive && locks.holds(&place);
        own || locks.is_full()
    });
    if refused {
        return Outcome::Busy;
    }
    let lock = match wait(&file, mode).await {
        Ok(Some(lock)) => lock,
        Ok(None) => return Outcome::Busy,
        // This file system has no locks.
        Err(_) => return Outcome::None,
    };
    if !clear(&mut beneath, &place, mode).await {
        return Outcome::Busy;
    }
    state.with(|state| state.database_locks().0.add(place, lock));
    Outcome::Locked
}

/// Opens the database of a lock directory. What may only be read is locked as readers lock it.
async fn open(beneath: &mut Beneath, place: &LockDirectory) -> Option<(Arc<File>, LockMode)> {
    let read = p2::DescriptorFlags::READ;
    let both = read | p2::DescriptorFlags::WRITE;
    if let Some(file) = beneath.open(place.database(), both).await {
        return Some((file, LockMode::Exclusive));
    }
    let file = beneath.open(place.database(), read).await?;
    Some((file, LockMode::Shared))
}

async fn wait(file: &Arc<File>, mode: LockMode) -> std::io::Result<Option<FileLock>> {
    let [mut pause, longest] = PAUSES;
    let end = Instant::now() + WAIT;
    loop {
        let lock = FileLock::attempt(file.clone(), mode)?;
        if lock.is_some() || Instant::now() >= end {
            return Ok(lock);
        }
        sleep(pause).await;
        pause = longest.min(pause * 2);
    }
}

/// Removes a lock directory that an earlier program left behind, and says whether the way is clear.
async fn clear(beneath: &mut Beneath, place: &LockDirectory, mode: LockMode) -> bool {
    let made = match beneath.look(&place.path).await {
        Obstacle::Nothing => return true,
        Obstacle::Directory(made) => made,
        Obstacle::Other => return false,
    };
    let age = made.and_then(|made| made.elapsed().ok());
    if age.is_some_and(|age| age < YOUNG) {
        return false;
    }
    if mode == LockMode::Shared {
        return true;
    }
    let cleared = beneath.remove(&place.path).await;
    if cleared {
        let path = log::escape(&place.path);
        about_guests::tell!(
            "removed the directory `{path}`: an SQLite database was locked by it, and nobody held the lock"
        );
    }
    cleared
}

/// Says whether the instance holds the lock that this directory stands for.
pub(super) fn holds(mut state: impl Stateful, fd: &Fd, path: &str) -> bool {
    on_place(&mut state, fd, path, |locks, place| locks.holds(place))
}

pub(super) fn give_back(mut state: impl Stateful, fd: &Fd, path: &str) -> bool {
    on_place(&mut state, fd, path, DatabaseLocks::give_back)
}

fn on_place(
    state: &mut impl Stateful,
    fd: &Fd,
    path: &str,
    act: impl FnOnce(&mut DatabaseLocks, &LockDirectory) -> bool,
) -> bool {
    state.with(|state| {
        let (locks, table): (_, &mut ResourceTable) = state.database_locks();
        !locks.held.is_empty()
            && LockDirectory::of(table, fd, path).is_some_and(|place| act(locks, &place))
    })
}

/// Puts these functions in the place of those that only know directories.
pub fn add_to_linker(linker: &mut Linker<HostState>, concurrent: bool) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    older::add_to_linker(linker)?;
    if concurrent {
        newer::add_to_linker(linker)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}
