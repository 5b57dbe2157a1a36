//! A full worker closes a connection for a newcomer: this file chooses which.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A client has this long to finish what it has begun before it may be closed for that: an honest one that is slow has
/// a chance on a full server too.
pub const GRACE: Duration = Duration::from_secs(1);

/// `Evictable` says why nobody loses an answer where a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evictable {
    /// The connection has been idle since then.
    Idle { since: Instant },
    /// The client has asked for nothing yet, and has been there since then.
    New { since: Instant },
    /// What has begun then is no whole request yet, or is not read any more.
    Unfinished { since: Instant },
}

impl Evictable {
    /// Says whether the connection would still be closed for the same reason.
    fn is_still(self, now: Option<Evictable>) -> bool {
        now.is_some_and(|now| now.is_idle() == self.is_idle())
    }

    pub fn is_idle(self) -> bool {
        match self {
            Evictable::Idle { .. } | Evictable::New { .. } => true,
            Evictable::Unfinished { .. } => false,
        }
    }
}

/// An `Eviction` says whether a connection is to be closed in favour of another.
#[derive(Clone, Copy, Default)]
pub enum Eviction {
    #[default]
    None,
    /// The connection is to be closed, if that still holds when it is looked at.
    Asked(Evictable),
    /// The connection ends, in its own time, for being idle.
    Told,
}

impl Eviction {
    /// Says why the connection may be closed: for `why`, if it is not closed for that already.
    pub fn allows(self, why: Option<Evictable>) -> Option<Evictable> {
        match self {
            Eviction::Asked(_) => None,
            Eviction::Told => why.filter(|why| !why.is_idle()),
            Eviction::None => why,
        }
    }

    pub fn ask(&mut self, why: Option<Evictable>) {
        if let Some(why) = self.allows(why) {
            *self = Eviction::Asked(why);
        }
    }

    /// Says, once, why the connection is to be closed, where it may still be closed for `now`.
    pub fn take(&mut self, now: Option<Evictable>) -> Option<Evictable> {
        let Eviction::Asked(why) = *self else {
            return None;
        };
        let stays = why.is_still(now);
        *self = match stays && why.is_idle() {
            true => Eviction::Told,
            false => Eviction::None,
        };
        stays.then_some(why)
    }
}

/// A `Candidate` is what the choice knows of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The key is `None` for those who cannot be told apart.
    pub who: Option<IpAddr>,
    /// The reason is `None` where the connection must stay.
    pub why: Option<Evictable>,
}

/// Chooses the connection to be closed: the one that has been idle for longest; where none is idle, of those that have
/// not finished a request's head the oldest one of the client that has most connections.
pub fn choose(candidates: &[Candidate], now: Instant) -> Option<usize> {
    let is_over = |since: Instant| now.saturating_duration_since(since) >= GRACE;
    let each = candidates.iter().enumerate();
    let idle = each.clone().filter_map(|(index, candidate)| {
        let since = match candidate.why? {
            Evictable::Idle { since } => since,
            Evictable::New { since } if is_over(since) => since,
            Evictable::New { .. } | Evictable::Unfinished { .. } => return None,
        };
        Some((since, index))
    });
    if let Some((_, index)) = idle.min_by_key(|(since, _)| *since) {
        return Some(index);
    }
    let mut connections: HashMap<IpAddr, usize> = HashMap::new();
    for who in candidates.iter().filter_map(|candidate| candidate.who) {
        *connections.entry(who).or_default() += 1;
    }
    let unfinished = each.filter_map(|(index, candidate)| match candidate.why? {
        Evictable::New { since } | Evictable::Unfinished { since } => {
            // Of those who cannot be told apart each counts as a client.
            let count = candidate.who.map_or(1, |who| connections[&who]);
            Some((Reverse(count), since, index))
        }
        Evictable::Idle { .. } => None,
    });
    // Its time is waited for, so that nobody has to go for those who come anew all the time.
    let (_, since, index) = unfinished.min_by_key(|(count, since, _)| (*count, *since))?;
    is_over(since).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::super::state::ConnectionState;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn candidate(client: u8, why: Evictable) -> Candidate {
        Candidate {
            who: Some([192, 0, 2, client].into()),
            why: Some(why),
        }
    }

    #[test]
    fn who_is_idle_goes_before_who_is_slow_and_the_idlest_first() {
        let start = Instant::now();
        let candidates = [
            candidate(1, Evictable::Unfinished { since: start }),
            candidate(1, Evictable::Unfinished { since: start }),
            candidate(
                2,
                Evictable::Idle {
                    since: start + 4 * SECOND,
                },
            ),
            candidate(
                3,
                Evictable::Idle {
                    since: start + 3 * SECOND,
                },
            ),
        ];
        let now = start + 4 * SECOND;
        assert_eq!(choose(&candidates, now), Some(3));
        assert_eq!(choose(&candidates[..3], now), Some(2));
        assert_eq!(choose(&candidates[..2], now), Some(0));
        assert_eq!(choose(&[], now), None);
    }

    #[test]
    fn of_unfinished_heads_the_oldest_of_who_has_most_connections_goes() {
        let start = Instant::now();
        let at = |seconds: u32| Evictable::Unfinished {
            since: start + seconds * SECOND,
        };
        let busy = Candidate {
            why: None,
            ..candidate(2, at(0))
        };
        let unknown = Candidate {
            who: None,
            ..candidate(0, at(0))
        };
        let now = start + 60 * SECOND;
        let slow = candidate(1, at(1));
        let few = [slow, unknown, unknown, candidate(2, at(3)), busy];
        assert_eq!(choose(&few, now), Some(3), "its other one counts");
        assert_eq!(choose(&few[..3], now), Some(1), "by age alone");
        let many = [slow, candidate(2, at(9)), candidate(2, at(8))];
        assert_eq!(choose(&many, now), Some(2));
        assert_eq!(choose(&[busy, busy], now), None);
    }

    #[test]
    fn a_newcomer_has_its_time() {
        let start = Instant::now();
        for why in [
            Evictable::New { since: start },
            Evictable::Unfinished { since: start },
        ] {
            let candidates = [candidate(1, why)];
            assert_eq!(choose(&candidates, start + GRACE / 2), None);
            assert_eq!(choose(&candidates, start + GRACE), Some(0));
        }
        // Nobody else goes in the meantime, who has fewer connections.
        let since = start + 60 * SECOND;
        let crowd = candidate(2, Evictable::Unfinished { since });
        let slow = candidate(1, Evictable::Unfinished { since: start });
        assert_eq!(choose(&[slow, crowd, crowd], since), None);
        assert_eq!(choose(&[slow, crowd, crowd], since + GRACE), Some(1));
        // Who was answered needs none.
        let idle = [candidate(1, Evictable::Idle { since: start })];
        assert_eq!(choose(&idle, start), Some(0));
    }

    #[test]
    fn a_connection_that_is_evicted_is_closed_once_and_only_where_it_stays_idle() {
        let start = Instant::now();
        let mut state = ConnectionState::new(start);
        let new = Evictable::New { since: start };
        assert_eq!(state.evictable(), Some(new));
        state.evict();
        assert_eq!(state.evictable(), None);
        assert_eq!(state.take_evicted(), Some(new));
        assert_eq!((state.take_evicted(), state.evictable()), (None, None));
        let head = Evictable::Unfinished { since: start };
        let mut state = ConnectionState::new(start);
        state.evict();
        state.received(false, true, || start + SECOND);
        assert_eq!(state.take_evicted(), None);
        // Its time runs from the beginning.
        assert_eq!(state.evictable(), Some(head));
        state.evict();
        state.request_began();
        assert_eq!((state.take_evicted(), state.evictable()), (None, None));
        state.evict();
        state.request_ended(start);
        assert_eq!(state.take_evicted(), None);
        let idle = Evictable::Idle { since: start };
        assert_eq!(state.evictable(), Some(idle));
        // What begins anew has a time of its own.
        let since = start + SECOND;
        state.received(false, true, || since);
        let head = Evictable::Unfinished { since };
        assert_eq!(state.evictable(), Some(head));
    }

    #[test]
    fn half_a_header_block_and_the_rest_of_a_body_are_evicted() {
        let start = Instant::now();
        let mut state = ConnectionState::new(start);
        state.follow_frames(usize::MAX, false, start);
        state.received_frames(&mut [super::super::stream::PREFACE, &[0]].concat());
        state.evict();
        let head = Evictable::Unfinished { since: start };
        assert_eq!(state.take_evicted(), Some(head));
        let mut state = ConnectionState::new(start);
        state.received(true, true, || start);
        state.request_began();
        state.request_ended(start);
        state.received(true, false, || start + SECOND);
        assert_eq!(state.evictable(), Some(head));
    }
}
