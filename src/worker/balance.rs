//! Whether to take the next connection or to leave it to a sibling. A pure rule over the scoreboard.

/// What counts of a worker's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Connections open now.
    pub connections: u32,
    /// Requests being answered now.
    pub in_flight: u32,
}

/// Whether a worker with load `mine` takes a connection while `siblings` could. One connection in
/// eight of difference is not worth a wait; a worker that is answering leaves new work to one that
/// is not.
pub fn takes(mine: Load, siblings: impl Iterator<Item = Load>) -> bool {
    siblings.into_iter().all(|sibling| {
        let slack = sibling.connections / 8;
        let fewer = sibling.connections + slack < mine.connections;
        let idle =
            mine.in_flight > 0 && sibling.in_flight == 0 && sibling.connections <= mine.connections;
        !fewer && !idle
    })
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
    fn a_worker_alone_takes_everything() {
        assert!(takes(load(500, 500), std::iter::empty()));
    }

    #[test]
    fn the_next_connection_goes_to_who_has_fewest() {
        assert!(!takes(load(2, 0), [load(1, 0), load(5, 0)].into_iter()));
        assert!(takes(load(1, 0), [load(1, 0), load(5, 0)].into_iter()));
    }

    #[test]
    fn small_differences_among_many_are_let_be() {
        assert!(takes(load(45, 0), [load(40, 0)].into_iter()));
        assert!(!takes(load(46, 0), [load(40, 0)].into_iter()));
    }

    #[test]
    fn a_worker_that_is_answering_leaves_it_to_one_that_is_not() {
        assert!(!takes(load(3, 1), [load(3, 0)].into_iter()));
        assert!(takes(load(3, 1), [load(4, 0)].into_iter()));
        assert!(takes(load(3, 1), [load(3, 1)].into_iter()));
    }

    #[test]
    fn a_burst_ends_up_even_whoever_asks_first() {
        let mut counts = [0_u32; 4];
        for connection in 0..200_usize {
            let eager = (0..4)
                .map(|offset| (connection * 7 + offset) % 4)
                .find(|worker| {
                    let others = (0..4).filter(|other| other != worker);
                    takes(
                        load(counts[*worker], 0),
                        others.map(|other| load(counts[other], 0)),
                    )
                });
            counts[eager.unwrap()] += 1;
        }
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(f64::from(*most) <= 1.25 * f64::from(*least), "{counts:?}");
    }
}
