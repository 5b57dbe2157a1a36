//! The server of each mount has a scoreboard of its own, which the supervisor keeps from the first server of a mount to
//! the last, so that others can read it.

use crate::scoreboard::{Layout, Scoreboard, ServerState};
use crate::sys::clock;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// `MountScoreboards` are those of what is mounted, by the names of the mounts.
#[derive(Default)]
pub struct MountScoreboards {
    by_name: BTreeMap<String, (Rc<OwnedFd>, Layout)>,
    /// There was one more, one fewer or another this often, the last time at this time of `sys::clock`.
    changes: (u32, u64),
}

impl MountScoreboards {
    /// Gives those of mounts that are running, or have been.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &(Rc<OwnedFd>, Layout))> {
        self.by_name.iter()
    }

    /// Returns how often there was a change, and when the last was.
    pub fn changes(&self) -> (u32, u64) {
        self.changes
    }

    fn note_change(&mut self) {
        self.changes = (self.changes.0 + 1, clock::now_ms());
    }

    /// Returns the scoreboard of a mount that has this many workers at most.
    pub fn of(&mut self, name: &str, slots: usize) -> io::Result<(Rc<OwnedFd>, Layout)> {
        let layout = Layout::own(slots);
        match self.by_name.get(name) {
            Some((memory, known)) if *known == layout => Ok((memory.clone(), layout)),
            _ => {
                let memory = Rc::new(Scoreboard::blank(&layout)?);
                let made = (memory.clone(), layout.clone());
                self.by_name.insert(name.to_owned(), made);
                self.note_change();
                Ok((memory, layout))
            }
        }
    }

    /// Notes that the server of this mount has ended until it is asked. It is told as ending where that fails.
    pub fn note_idle(&self, name: &str) {
        let of_mount = self
            .by_name
            .get(name)
            .and_then(|(memory, layout)| Scoreboard::adopt(memory.try_clone().ok()?, layout).ok());
        if let Some(scoreboard) = of_mount {
            scoreboard.table().enter(ServerState::Idle);
        }
    }

    /// Keeps those of these mounts alone.
    pub fn keep(&mut self, is_mounted: impl Fn(&String) -> bool) {
        let before = self.by_name.len();
        self.by_name.retain(|name, _| is_mounted(name));
        if before != self.by_name.len() {
            self.note_change();
        }
    }
}
