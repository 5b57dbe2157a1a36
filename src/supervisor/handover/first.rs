//! The executables of the first kind leave lines of words. They do not tell how their scoreboard is laid out, and
//! their workers speak otherwise.

use super::{Handover, LeftWorker, second};
use crate::scoreboard::Layout;
use crate::supervisor::policy::{Id, Inherited, InheritedState};
use anyhow::{Context, Result, bail};
use std::str::{FromStr, SplitWhitespace};
use std::time::Duration;

/// A handover of the first kind begins with this line.
pub const TITLE: &str = "wasmserve handover 1";

/// Parses everything that is left.
pub fn parse(text: &str) -> Result<Handover> {
    let mut handover = Handover::nothing();
    handover.is_first = true;
    for line in text.lines().skip(1) {
        let read = read(&mut handover, line);
        read.with_context(|| format!("cannot understand what is handed over: `{line}`"))?;
    }
    Ok(handover)
}

fn read(handover: &mut Handover, line: &str) -> Result<()> {
    let mut words = line.split_whitespace();
    match words.next() {
        Some("scoreboard") => {
            handover.scoreboard = next(&mut words)?;
            handover.layout = Layout::first(next(&mut words)?);
        }
        Some("lifeline") => handover.lifeline = (next(&mut words)?, next(&mut words)?),
        Some("listener") => {
            let listener = next(&mut words)?;
            let note: Vec<&str> = words.collect();
            let listener = second::listener(listener, &note.join(" "))?;
            handover.listeners.push(listener);
        }
        Some("wanted") => handover.wanted = next(&mut words)?,
        Some("served") => {
            let mut words = line.splitn(4, ' ').skip(1);
            let mut word = || words.next().context("a word is missing");
            handover.served = word()?.parse()?;
            handover.code = word()?.parse()?;
            handover.code_info = second::code_info(word()?);
        }
        Some("worker") => handover.workers.push(worker(&mut words)?),
        _ => bail!("unknown"),
    }
    Ok(())
}

/// Reads a worker. One that is still starting would say in its own way that it is ready: nobody waits for it.
fn worker(words: &mut SplitWhitespace<'_>) -> Result<LeftWorker> {
    let (id, pid) = (Id(next(words)?), next(words)?);
    let (index, generation) = (next(words)?, next(words)?);
    let (slot, _receiver) = (next(words)?, next::<i32>(words)?);
    let state = words.next();
    let time = Duration::from_millis(next(words)?);
    let state = match state {
        Some("starting") => InheritedState::Leaving {
            left: Duration::ZERO,
        },
        Some("ready") => InheritedState::Ready { age: time },
        Some("leaving") => InheritedState::Leaving { left: time },
        _ => bail!("unknown standing"),
    };
    let worker = Inherited {
        id,
        pid,
        index,
        generation,
        state,
    };
    Ok(LeftWorker {
        worker,
        slot,
        receiver: None,
    })
}

fn next<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    words: &mut SplitWhitespace<'_>,
) -> Result<T> {
    Ok(words.next().context("a word is missing")?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_first_executables_leave_is_understood() {
        let text = "wasmserve handover 1\nscoreboard 4 64\nlifeline 5 6\nlistener 7 https 2049:7\nwanted 2\n\
            served 2 9 0.2 memories=1\nworker 3 4000 1 2 5 17 ready 1234\nworker 4 4001 0 2 6 18 starting 10\n";
        let handover = parse(text).unwrap();
        assert_eq!(handover.layout, Layout::first(64));
        assert_eq!(
            handover.listeners,
            [second::listener(7, "https 2049:7").unwrap()]
        );
        assert_eq!((handover.wanted, handover.served, handover.code), (2, 2, 9));
        assert_eq!(handover.code_info, None);
        let standings: Vec<InheritedState> =
            handover.workers.iter().map(|it| it.worker.state).collect();
        let (age, left) = (Duration::from_millis(1234), Duration::ZERO);
        assert_eq!(
            standings,
            [
                InheritedState::Ready { age },
                InheritedState::Leaving { left }
            ]
        );
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for line in [
            "worker 1 2",
            "listener x",
            "something else",
            "scoreboard 4 -1",
            "worker 1 2 3 4 5 6 ready -1",
        ] {
            assert!(parse(&format!("{TITLE}\n{line}\n")).is_err(), "{line}");
        }
    }
}
