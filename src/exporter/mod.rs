//! The exporter takes the spans that workers leave in their slots, and sends them to a collector (OTLP over HTTP). A
//! collector that is slow or away costs spans, which are counted, and no request anything.

mod collector;
mod message;
mod queue;
mod settings;

pub use settings::Settings;

use crate::scoreboard::Scoreboard;
use anyhow::{Context, Result};
use collector::{Collector, Delivery, PostOutcome};
use queue::Queue;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::{Instant, sleep, timeout_at};

/// Workers' spans are looked for this often, while there are some and while there are none.
const BUSY: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_millis(100);

/// What is left at the end may take this long to be sent.
const FLUSH: Duration = Duration::from_secs(5);

/// `Exporter` is what the process is given.
pub struct Exporter {
    pub settings: Settings,
    pub scoreboard: Rc<Scoreboard>,
    /// The lifeline comes to its end when this process is to end.
    pub lifeline: OwnedFd,
}

impl Exporter {
    /// Exports until the lifeline ends; `confine` gives up what is not needed for that.
    pub fn run(self, confine: impl FnOnce() -> Result<()>) -> Result<()> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .context("cannot start the loop of the exporter")?;
        runtime.block_on(self.export(confine))
    }

    async fn export(self, confine: impl FnOnce() -> Result<()>) -> Result<()> {
        let collector = Collector::new(&self.settings)?;
        let mut lifeline = Receiver::from_owned_fd(self.lifeline)?;
        confine()?;
        let mut queue = Queue::new(self.scoreboard, &self.settings);
        let mut work = Work::default();
        let mut ended = std::pin::pin!(async move {
            // Nobody writes to it.
            let _ = lifeline.read(&mut [0]).await;
        });
        loop {
            let pause = match queue.collect() {
                true => BUSY,
                false => IDLE,
            };
            work.next(&collector, &mut queue);
            tokio::select! {
                biased;
                () = &mut ended => break,
                outcome = work.attempt() => work.note(outcome, &mut queue),
                () = sleep(pause) => {}
            }
        }
        let deadline = Instant::now() + FLUSH;
        queue.collect_all();
        while work.begin(&collector, &mut queue) {
            match timeout_at(deadline, work.attempt()).await {
                Ok(PostOutcome::Accepted { rejected }) => {
                    work.note(PostOutcome::Accepted { rejected }, &mut queue)
                }
                _ => break,
            }
        }
        queue.lose(work.held());
        queue.lose_all();
        Ok(())
    }
}

/// `Work` has one batch at a time on its way.
#[derive(Default)]
struct Work {
    delivery: Option<Delivery>,
    attempt: Option<collector::Posting>,
}

impl Work {
    /// Sends what is due.
    fn next(&mut self, collector: &Collector, queue: &mut Queue) {
        let waits = self.delivery.as_ref().is_some_and(|it| !it.is_due());
        let due = self.delivery.is_some() || queue.is_due();
        if due && !waits {
            self.begin(collector, queue);
        }
    }

    /// Sends whatever there is. False where there is nothing.
    fn begin(&mut self, collector: &Collector, queue: &mut Queue) -> bool {
        if self.attempt.is_some() {
            return true;
        }
        if self.delivery.is_none() {
            self.delivery = queue
                .batch()
                .map(|(body, count)| Delivery::new(body, count));
        }
        self.attempt = self.delivery.as_ref().map(|it| collector.send(it));
        self.attempt.is_some()
    }

    /// Waits for the answer; for ever where nothing was sent.
    async fn attempt(&mut self) -> PostOutcome {
        match &mut self.attempt {
            Some(attempt) => attempt.await,
            None => std::future::pending().await,
        }
    }

    fn note(&mut self, outcome: PostOutcome, queue: &mut Queue) {
        self.attempt = None;
        let Some(delivery) = &mut self.delivery else {
            return;
        };
        queue.tell(&outcome);
        let count = delivery.count;
        match outcome {
            PostOutcome::Accepted { rejected } => {
                let rejected = rejected.min(count);
                queue.exported(count - rejected);
                queue.lose(rejected);
            }
            PostOutcome::Again { after, .. } if delivery.waits(after) => return,
            PostOutcome::Again { .. } | PostOutcome::Refused { .. } => queue.lose(count),
        }
        self.delivery = None;
    }

    /// Counts the spans that were not delivered.
    fn held(&self) -> u64 {
        self.delivery.as_ref().map_or(0, |delivery| delivery.count)
    }
}
