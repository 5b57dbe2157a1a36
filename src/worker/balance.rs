//! This file says whether to take the next connection or to leave it to a sibling, by pure rules over the scoreboard.

use std::time::Duration;

/// A `Load` has what counts of a worker's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// This many connections are open now.
    pub connections: u32,
    /// This many requests are being answered now.
    pub in_flight: u32,
}

/// Says whether a worker with load `mine` lets this sibling go first. One connection in sixteen of difference does not
/// count; a worker that is answering leaves new work to one that is not.
pub fn leaves(mine: Load, sibling: Load) -> bool {
    let slack = sibling.connections / 16;
    let fewer = sibling.connections.saturating_add(slack) < mine.connections;
    let idle =
        mine.in_flight > 0 && sibling.in_flight == 0 && sibling.connections <= mine.connections;
    fewer || idle
}

/// Says whether a worker with load `mine` has so much more than this sibling that it waits for the sibling to take the
/// next connection.
pub fn waits_for(mine: Load, sibling: Load) -> bool {
    sibling.connections + sibling.connections / 8 + 2 < mine.connections
}

/// A connection that was open for no longer than this is a short one.
const SHORT: Duration = Duration::from_millis(50);

/// This many short connections in a row are needed before the next one is expected to be short too.
const EXPECTED_AFTER: u32 = 32;

/// This many connections may be opened without one being closed before that expectation is given up: a burst of
/// connections that stay is spread over all workers.
const MOST_UNCLOSED: u32 = 24;

/// `Lifetimes` remembers how long this worker's latest connections were open, to tell clients that connect for each
/// request from clients that stay.
#[derive(Debug, Default)]
pub struct Lifetimes {
    /// This many connections were short, one after the other.
    short: u32,
    /// This many connections were opened since one was closed.
    unclosed: u32,
}

impl Lifetimes {
    pub fn opened(&mut self) {
        self.unclosed = self.unclosed.saturating_add(1);
    }

    pub fn closed(&mut self, lifetime: Duration) {
        self.unclosed = 0;
        self.short = match lifetime <= SHORT {
            true => self.short.saturating_add(1).min(2 * EXPECTED_AFTER),
            false => self.short / 2,
        };
    }

    /// Says whether the next connection is expected to be a short one.
    pub fn are_short(&self) -> bool {
        self.short >= EXPECTED_AFTER && self.unclosed <= MOST_UNCLOSED
    }
}

/// Says whether a worker is one too many for short connections, given how many workers come before it. More workers
/// than processors do not serve them any faster: they only take the processors from each other, a connection at a time.
pub fn is_in_reserve(workers_before: usize, processors: usize) -> bool {
    workers_before >= processors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_short_while_they_are_closed_as_fast_as_they_come() {
        let mut lifetimes = Lifetimes::default();
        assert!(!lifetimes.are_short());
        for _ in 0..EXPECTED_AFTER {
            lifetimes.opened();
            assert!(!lifetimes.are_short());
            lifetimes.closed(SHORT);
        }
        assert!(lifetimes.are_short());
    }

    #[test]
    fn a_burst_that_stays_is_told_from_short_connections_while_it_comes() {
        let mut lifetimes = Lifetimes::default();
        for _ in 0..1000 {
            lifetimes.opened();
            lifetimes.closed(Duration::ZERO);
        }
        let short = (0..200).take_while(|_| {
            lifetimes.opened();
            lifetimes.are_short()
        });
        assert_eq!(short.count(), MOST_UNCLOSED as usize);
    }

    #[test]
    fn connections_that_stay_are_told_soon_when_they_end() {
        let mut lifetimes = Lifetimes::default();
        for _ in 0..1000 {
            lifetimes.closed(Duration::ZERO);
        }
        lifetimes.closed(SHORT * 2);
        assert!(lifetimes.are_short(), "one of many does not count");
        lifetimes.closed(SHORT * 2);
        assert!(!lifetimes.are_short());
    }

    #[test]
    fn no_more_workers_than_processors_take_short_connections() {
        let in_reserve = |processors| {
            (0..4)
                .filter(|before| is_in_reserve(*before, processors))
                .count()
        };
        assert_eq!([1, 2, 4, 64].map(in_reserve), [3, 2, 0, 0]);
    }

    fn load(connections: u32, in_flight: u32) -> Load {
        Load {
            connections,
            in_flight,
        }
    }

    #[test]
    fn the_next_connection_goes_to_who_has_fewer() {
        assert!(leaves(load(2, 0), load(1, 0)));
        assert!(!leaves(load(1, 0), load(1, 0)));
        assert!(!leaves(load(1, 0), load(5, 0)));
    }

    #[test]
    fn small_differences_among_many_are_let_be() {
        assert!(!leaves(load(42, 0), load(40, 0)));
        assert!(leaves(load(43, 0), load(40, 0)));
    }

    #[test]
    fn only_a_large_difference_is_worth_a_wait() {
        assert!(!waits_for(load(2, 0), load(0, 0)));
        assert!(waits_for(load(3, 0), load(0, 0)));
        assert!(!waits_for(load(47, 0), load(40, 0)));
        assert!(waits_for(load(48, 0), load(40, 0)));
    }

    #[test]
    fn a_worker_that_is_answering_leaves_it_to_one_that_is_not() {
        assert!(leaves(load(3, 1), load(3, 0)));
        assert!(!leaves(load(3, 1), load(4, 0)));
        assert!(!leaves(load(3, 1), load(3, 1)));
    }

    /// What a sibling says about itself may be anything.
    #[test]
    fn no_number_is_too_large() {
        assert!(!leaves(load(u32::MAX, 0), load(u32::MAX, u32::MAX)));
        assert!(leaves(load(u32::MAX, 1), load(0, 0)));
    }

    #[test]
    fn a_burst_ends_up_even_whoever_asks_first() {
        let mut counts = [0_u32; 4];
        for connection in 0..200_usize {
            let may = |worker: usize| {
                let others = (0..4).filter(|other| *other != worker);
                let mut others = others.map(|other| load(counts[other], 0));
                !others.any(|other| leaves(load(counts[worker], 0), other))
            };
            let taker = (0..4)
                .map(|offset| (connection * 7 + offset) % 4)
                .find(|worker| may(*worker));
            counts[taker.unwrap()] += 1;
        }
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(f64::from(*most) <= 1.25 * f64::from(*least), "{counts:?}");
    }
}
