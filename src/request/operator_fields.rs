//! This file decides when the fields are added that the operator has the application see. They are nothing for what is
//! mounted beside it, which has fields of its own: where there are mounts, they are added once it is known whose the
//! request is.

use super::header_policy::Arrival;
use super::{Origin, Requests};
use http::HeaderMap;

impl Requests {
    /// Decides who asks, and adds the fields where there are no mounts.
    pub(super) fn receive(&self, origin: &Origin, headers: &mut HeaderMap) -> Arrival {
        let policy = &self.settings.header_policy;
        match &self.mounts {
            None => policy.receive(origin, headers, &self.ids),
            Some(_) => policy.identify(origin, headers, &self.ids),
        }
    }

    /// Adds the fields to a request that turned out to be no mount's.
    pub(super) fn add_fields_late(&self, headers: &mut HeaderMap, arrival: &Arrival) {
        if self.mounts.is_some() {
            self.settings.header_policy.add(headers, arrival.client);
        }
    }
}
