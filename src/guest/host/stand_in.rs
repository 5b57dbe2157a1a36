//! In a replay there are no files and no databases: for each that the guest opens, something stands in the table of
//! resources, so that it has a number as it had.

use super::state::HostState;
use wasmtime::component::{Resource, ResourceTableError};

/// A `StandIn` is in the table for what is not there, which the guest has opened by this name.
struct StandIn(String);

impl HostState {
    /// Puts something in the table for what is not there.
    pub fn stand_in<T: 'static>(
        &mut self,
        name: String,
    ) -> Result<Resource<T>, ResourceTableError> {
        let rep = self.table_mut().push(StandIn(name))?.rep();
        Ok(Resource::new_own(rep))
    }

    /// Returns the name of what is not there; none where it is.
    pub fn stood_in_for<T: 'static>(&self, opened: &Resource<T>) -> Option<&str> {
        let stand_in = Resource::<StandIn>::new_borrow(opened.rep());
        self.table().get(&stand_in).ok().map(|it| it.0.as_str())
    }

    /// Takes what was opened from the table, whether it is there or not.
    pub fn close<T: Send + 'static>(&mut self, opened: Resource<T>) -> wasmtime::Result<()> {
        if self.stood_in_for(&opened).is_some() {
            let stand_in = Resource::<StandIn>::new_own(opened.rep());
            self.table_mut().delete(stand_in)?;
        } else {
            self.table_mut().delete(opened)?;
        }
        Ok(())
    }
}
