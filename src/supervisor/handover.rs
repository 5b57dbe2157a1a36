//! What one executable leaves to the next, in words: numbers of descriptors, and where each worker
//! stands. Reading and writing it is all that is done here.

use super::policy::{Id, Inherited, Standing};
use anyhow::{Context, Result, bail};
use std::fmt;
use std::os::fd::RawFd;
use std::str::{FromStr, SplitWhitespace};
use std::time::Duration;

/// The first line; another number is another language.
const TITLE: &str = "wasmserve handover 1";

/// Everything that is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Will {
    pub scoreboard: RawFd,
    pub slots: usize,
    /// The end of the lifeline that workers watch, and the one that is held.
    pub lifeline: (RawFd, RawFd),
    /// The sockets, each with what those who make them note about it.
    pub listeners: Vec<(RawFd, String)>,
    /// The version that is served: its number, its code, and what its compiler noted.
    pub served: u32,
    pub code: RawFd,
    pub note: String,
    /// How many workers there should be.
    pub wanted: usize,
    pub workers: Vec<Bequest>,
}

/// One worker that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bequest {
    pub worker: Inherited,
    pub slot: usize,
    pub receiver: RawFd,
}

impl fmt::Display for Will {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}")?;
        writeln!(f, "scoreboard {} {}", self.scoreboard, self.slots)?;
        writeln!(f, "lifeline {} {}", self.lifeline.0, self.lifeline.1)?;
        for (listener, note) in &self.listeners {
            writeln!(f, "listener {listener} {note}")?;
        }
        writeln!(f, "wanted {}", self.wanted)?;
        // The note is the last word: it may be several.
        writeln!(f, "served {} {} {}", self.served, self.code, self.note)?;
        for bequest in &self.workers {
            writeln!(f, "worker {bequest}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Bequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inherited {
            id,
            pid,
            seat,
            generation,
            standing,
        } = &self.worker;
        let (Bequest { slot, receiver, .. }, id) = (self, id.0);
        write!(
            f,
            "{id} {pid} {seat} {generation} {slot} {receiver} {standing}"
        )
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::Starting { age } => write!(f, "starting {}", age.as_millis()),
            Standing::Ready { age } => write!(f, "ready {}", age.as_millis()),
            Standing::Leaving { left } => write!(f, "leaving {}", left.as_millis()),
        }
    }
}

impl FromStr for Will {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Will> {
        let mut lines = text.lines();
        if lines.next() != Some(TITLE) {
            bail!("the running executable hands over in another way than this one");
        }
        let mut will = Will::default();
        for line in lines {
            let read = will.read(line);
            read.with_context(|| format!("cannot understand what is handed over: `{line}`"))?;
        }
        Ok(will)
    }
}

impl Will {
    /// All descriptors that are left.
    pub fn descriptors(&self) -> Vec<RawFd> {
        let workers = self.workers.iter().map(|bequest| bequest.receiver);
        let listeners = self.listeners.iter().map(|(fd, _)| *fd);
        [self.scoreboard, self.lifeline.0, self.lifeline.1, self.code]
            .into_iter()
            .chain(listeners)
            .chain(workers)
            .collect()
    }

    fn read(&mut self, line: &str) -> Result<()> {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("scoreboard") => {
                (self.scoreboard, self.slots) = (next(&mut words)?, next(&mut words)?);
            }
            Some("lifeline") => self.lifeline = (next(&mut words)?, next(&mut words)?),
            Some("listener") => {
                let listener = next(&mut words)?;
                let note: Vec<&str> = words.collect();
                self.listeners.push((listener, note.join(" ")));
            }
            Some("wanted") => self.wanted = next(&mut words)?,
            Some("served") => {
                let mut words = line.splitn(4, ' ').skip(1);
                let mut word = || words.next().context("a word is missing");
                self.served = word()?.parse()?;
                self.code = word()?.parse()?;
                word()?.clone_into(&mut self.note);
            }
            Some("worker") => self.workers.push(bequest(&mut words)?),
            _ => bail!("unknown"),
        }
        Ok(())
    }
}

fn bequest(words: &mut SplitWhitespace<'_>) -> Result<Bequest> {
    let (id, pid) = (Id(next(words)?), next(words)?);
    let (seat, generation) = (next(words)?, next(words)?);
    let (slot, receiver) = (next(words)?, next(words)?);
    let standing = words.next();
    let time = Duration::from_millis(next(words)?);
    let standing = match standing {
        Some("starting") => Standing::Starting { age: time },
        Some("ready") => Standing::Ready { age: time },
        Some("leaving") => Standing::Leaving { left: time },
        _ => bail!("unknown standing"),
    };
    let worker = Inherited {
        id,
        pid,
        seat,
        generation,
        standing,
    };
    Ok(Bequest {
        worker,
        slot,
        receiver,
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

    fn will() -> Will {
        let worker = |id, standing| Bequest {
            worker: Inherited {
                id: Id(id),
                pid: 4000,
                seat: 1,
                generation: 2,
                standing,
            },
            slot: 5,
            receiver: 17,
        };
        let time = Duration::from_millis(1234);
        Will {
            scoreboard: 4,
            slots: 64,
            lifeline: (5, 6),
            listeners: vec![(7, "http".to_owned()), (8, "https 2049:7".to_owned())],
            served: 2,
            code: 9,
            note: "0.2 memories=1 tables=3".to_owned(),
            wanted: 2,
            workers: vec![
                worker(3, Standing::Ready { age: time }),
                worker(4, Standing::Starting { age: time }),
                worker(5, Standing::Leaving { left: time }),
            ],
        }
    }

    #[test]
    fn what_is_handed_over_arrives() {
        assert_eq!(will().to_string().parse::<Will>().unwrap(), will());
        let bare = Will {
            note: String::new(),
            ..Will::default()
        };
        assert_eq!(bare.to_string().parse::<Will>().unwrap(), bare);
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for text in [
            "",
            "wasmserve handover 2\n",
            "wasmserve handover 1\nworker 1 2\n",
            "wasmserve handover 1\nlistener x\n",
            "wasmserve handover 1\nsomething else\n",
        ] {
            assert!(text.parse::<Will>().is_err(), "{text:?}");
        }
    }
}
