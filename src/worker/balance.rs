//! This file says whether to take the next connection or to leave it to a sibling, by pure rules over the scoreboard.

/// A `Load` has what counts of a worker's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// So many connections are open now.
    pub connections: u32,
    /// So many requests are being answered now.
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

#[cfg(test)]
mod tests {
    use super::*;

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
