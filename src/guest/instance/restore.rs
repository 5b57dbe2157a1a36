//! An instance is restored between two requests: its memories, its handles, its globals, and the standard streams that
//! it has open.

use super::serial::{Instance, trapped};
use crate::debug;
use crate::guest::failure::Failure;
use crate::guest::host::standing_resources::{Left, ResourceOrigin};
use crate::guest::host::state::HostState;
use crate::guest::snapshot::{
    IdleMemory, ResetHandle, StandingHandle, handles_in_use, order_places,
};
use anyhow::{Context as _, Result, ensure};
use std::io;

/// `RestoreState` says how far an instance is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreState {
    /// The instance is as it was when it was made, or as the last request left it where that is wanted.
    Ready,
    /// The memories are as they were when the instance was made, and the globals are not.
    MemoriesReset,
}

/// A `StandIn` says whether an instance is to be restored before it answers, where others are used again as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct StandIn {
    is_due: bool,
    /// It was restored this often for that.
    count: u64,
}

impl Instance {
    /// Has the instance be restored before it answers again, as if it were a new one, and says whether it can be: no more
    /// often than this.
    pub fn stand_in(&mut self, most: u64) -> bool {
        if self.stands_in.count >= most || !self.can_reset() {
            return false;
        }
        self.release_locks();
        self.stands_in.is_due = true;
        self.stands_in.count += 1;
        self.answered = 0;
        true
    }

    /// Says whether the instance is to be restored in the place of a new one, which is begun now.
    pub fn begins_to_stand_in(&mut self) -> bool {
        std::mem::take(&mut self.stands_in.is_due)
    }

    /// Says whether the instance can be restored.
    pub fn can_reset(&mut self) -> bool {
        let Some(handle) = &self.reset_handle else {
            return false;
        };
        let begun_with = handle.standing_handles().len();
        let handles = self.handles_in_use(begun_with);
        if let Err(error) = &handles {
            debug!("the next request has an instance made for it: {error:#}");
        }
        self.handles = *handles.as_ref().unwrap_or(&0);
        handles.is_ok()
    }

    /// Counts the handles that the last request has had at a time, at most. Fails where any is left but those that the
    /// instance has begun with.
    fn handles_in_use(&mut self, begun_with: usize) -> Result<u32> {
        // Nothing may be called while a task could still run.
        ensure!(self.is_idle, "something of the last request goes on");
        let closed = self.close_standing_since(ResourceOrigin::Request)?;
        self.answered_in_order &= closed.is_empty();
        let left = self.store.data_mut().left_standing().unwrap_or_default();
        ensure!(left.len() == begun_with, "it has closed what it began with");
        let handles = handles_in_use(self.store.data_mut().table_mut(), begun_with);
        let handles = handles.context("the guest has not given up its handles")?;
        Ok(handles + order_places(&mut self.store)?)
    }

    /// Gives back the locks on databases that the last request has left. Nothing else of that request remains.
    pub fn release_locks(&mut self) {
        self.store.data_mut().release_locks();
    }

    /// Restores the memories and the handles; the globals follow before the instance runs again.
    pub fn reset(&mut self) -> io::Result<()> {
        if let (Some(reset_handle), RestoreState::Ready) = (&self.reset_handle, self.condition) {
            reset_handle.reset(&mut self.store)?;
            self.store.data().memory().reset(self.initial_memory);
            self.reset_handle_numbers()?;
        }
        Ok(())
    }

    /// Restores the memories and the handles, and gives the pages that were written to back to the kernel.
    pub fn release_memory(&mut self) -> io::Result<()> {
        if let Some(reset_handle) = &self.reset_handle {
            reset_handle.release_memory(&mut self.store)?;
            self.store.data().memory().reset(self.initial_memory);
            self.reset_handle_numbers()?;
        }
        Ok(())
    }

    fn reset_handle_numbers(&mut self) -> io::Result<()> {
        if let (Some(reset_handle), RestoreState::Ready) = (&mut self.reset_handle, self.condition)
        {
            let answered = std::mem::take(&mut self.answered_in_order);
            let ordered =
                reset_handle.reset_handle_numbers(&mut self.store, self.handles, answered);
            ordered.map_err(io::Error::other)?;
            self.condition = RestoreState::MemoriesReset;
        }
        Ok(())
    }

    /// Gives what puts the instance's memory away while it waits, where it has an image to compare it with.
    pub fn idle_memory(&self) -> Option<IdleMemory> {
        self.reset_handle.as_ref().map(ResetHandle::idle_memory)
    }

    /// Gives the instance new state on the host's side, as if it had just been made.
    pub fn begin_anew(&mut self, state: HostState) {
        state.memory().set_used(self.initial_memory);
        let open = self.reset_handle.as_ref();
        let open = open
            .map(|handle| handle.standing_handles())
            .unwrap_or_default();
        *self.store.data_mut() = state;
        self.store.set_epoch_deadline(1);
        // A resource that has no place is one that the guest cannot use.
        let _ = self.store.data_mut().open_standing(open);
    }

    /// Closes the standing resources that are open since then, and gives them in the order of their places. Fails where
    /// anything else is open.
    pub(super) fn close_standing_since(
        &mut self,
        since: ResourceOrigin,
    ) -> Result<Vec<StandingHandle>> {
        let left = self.store.data_mut().left_standing();
        let left = left.context("the guest has not given up its handles")?;
        let mut closed = Vec::new();
        for resource in left.iter().filter(|left| left.origin == since) {
            closed.push(self.close_one(*resource)?);
        }
        Ok(closed)
    }

    /// Closes a resource. Which handle is its own is a guess, until it is seen that this one has gone.
    fn close_one(&mut self, left: Left) -> Result<StandingHandle> {
        let Left {
            place, resource, ..
        } = left;
        let handle = self.reset_handle.as_ref();
        let handle = handle.context("its instances are not restored")?;
        let handle = handle.close(&mut self.store, place, resource)?;
        let now = self.store.data_mut().left_standing().unwrap_or_default();
        ensure!(!now.contains(&left), "another resource was closed");
        Ok(StandingHandle { resource, handle })
    }

    /// Restores the rest of an instance whose memories are restored.
    pub(super) async fn restore(&mut self) -> Result<(), Failure> {
        if let Some(reset_handle) = &self.reset_handle {
            let restored = reset_handle.restore(&mut self.store).await;
            restored.map_err(|error| trapped(error, &mut self.store))?;
        }
        self.condition = RestoreState::Ready;
        Ok(())
    }
}
