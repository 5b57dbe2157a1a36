//! `Idle` decides when a server that nobody uses ends, so that whoever passed it its sockets starts it again for the
//! next connection.

use super::{Policy, ServerMode};
use crate::log::Level;
use std::time::{Duration, Instant};

/// `ConnectionCounts` say how many connections there are and were, as it is seen with a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Connections that are open now.
    pub open: u64,
    /// Connections that were ever open.
    pub total: u64,
}

/// `Idle` knows since when nobody has been connected.
#[derive(Debug, Default)]
pub struct Idle {
    since: Option<Instant>,
    total: u64,
}

impl Idle {
    /// Says for how long nobody has been connected. A connection that came and went between two beats counts.
    fn lasts(&mut self, activity: ConnectionCounts, now: Instant) -> Duration {
        let before = std::mem::replace(&mut self.total, activity.total);
        if activity.open > 0 || activity.total != before {
            self.since = None;
        }
        let since = *self.since.get_or_insert(now);
        now.saturating_duration_since(since)
    }
}

impl Policy {
    /// Ends the server where nobody has been connected for as long as the operator allows.
    pub(super) fn activity(&mut self, activity: ConnectionCounts, now: Instant) {
        let lasts = self.idle.lasts(activity, now);
        let Some(limit) = self.settings.exit_idle else {
            return;
        };
        // What is being changed is finished first.
        let rests = self.mode == ServerMode::Serving && !self.is_reloading();
        if !rests || self.upgrade.is_under_way() {
            self.idle.since = None;
        } else if lasts >= limit {
            let seconds = limit.as_secs_f64();
            self.log(Level::Info, format!("No connection for {seconds} s"));
            self.drain(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_idle_from_the_end_of_the_last_connection_on() {
        let (mut idle, start) = (Idle::default(), Instant::now());
        let at = |second| start + Duration::from_secs(second);
        let mut lasts = |open, total, second| {
            let activity = ConnectionCounts { open, total };
            idle.lasts(activity, at(second)).as_secs()
        };
        assert_eq!(lasts(0, 0, 0), 0);
        assert_eq!(lasts(0, 0, 5), 5);
        // One is open for long.
        assert_eq!(lasts(1, 1, 6), 0);
        assert_eq!(lasts(1, 1, 60), 0);
        assert_eq!(lasts(0, 1, 61), 1);
        assert_eq!(lasts(0, 1, 71), 11);
        // One came and went unseen.
        assert_eq!(lasts(0, 2, 72), 0);
        assert_eq!(lasts(0, 2, 75), 3);
    }
}
