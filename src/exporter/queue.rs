//! A `Queue` has the spans that wait to be sent; further ones are counted and lost. What comes of each is counted in
//! the exporter's own slot of the scoreboard.

use super::Settings;
use super::collector::PostOutcome;
use super::message;
use crate::scoreboard::{Scoreboard, totals};
use crate::trace::Span;
use crate::{info, warning};
use bytes::Bytes;
use std::collections::VecDeque;
use std::rc::Rc;
use tokio::time::Instant;

/// This many records are taken from one worker before the next worker's.
const TURN: usize = 256;

pub struct Queue {
    scoreboard: Rc<Scoreboard>,
    settings: Settings,
    spans: VecDeque<Span>,
    /// The oldest of them came at this time.
    since: Instant,
    /// The collector did not accept the last batch.
    is_down: bool,
}

impl Queue {
    pub fn new(scoreboard: Rc<Scoreboard>, settings: &Settings) -> Queue {
        Queue {
            scoreboard,
            settings: settings.clone(),
            spans: VecDeque::new(),
            since: Instant::now(),
            is_down: false,
        }
    }

    /// Takes the spans that workers have left. Says whether there were any.
    pub fn collect(&mut self) -> bool {
        let mut record = Vec::new();
        let mut found = false;
        for slot in 0..self.scoreboard.length() {
            for _ in 0..TURN {
                if !self.scoreboard.take_record(slot, &mut record) {
                    break;
                }
                found = true;
                match Span::read(&record) {
                    Some(span) => self.push(span),
                    None => self.lose(1),
                }
            }
        }
        found
    }

    /// Takes what workers have left up to now.
    pub fn collect_all(&mut self) {
        /// No more rounds are made than this: workers may go on leaving spans.
        const ROUNDS: usize = 16;
        for _ in 0..ROUNDS {
            if !self.collect() {
                break;
            }
        }
    }

    fn push(&mut self, span: Span) {
        if self.spans.is_empty() {
            self.since = Instant::now();
        }
        self.spans.push_back(span);
        if self.spans.len() > self.settings.queue {
            // What happened last is of most use.
            self.spans.pop_front();
            self.lose(1);
        }
    }

    /// Says whether there are enough spans for a batch, or some that have waited for long enough.
    pub fn is_due(&self) -> bool {
        let enough = self.spans.len() >= self.settings.batch;
        enough || !self.spans.is_empty() && self.since.elapsed() >= self.settings.delay
    }

    /// Takes the next batch as it is sent, and says how many spans it has.
    pub fn batch(&mut self) -> Option<(Bytes, u64)> {
        let count = self.spans.len().min(self.settings.batch);
        if count == 0 {
            return None;
        }
        let spans: Vec<Span> = self.spans.drain(..count).collect();
        // The rest came later.
        self.since = Instant::now();
        Some((message::encode(&self.settings, spans), count as u64))
    }

    pub fn exported(&self, count: u64) {
        let totals = self.scoreboard.exporter().totals();
        totals.add(totals::SPANS_EXPORTED, 0, count);
    }

    pub fn lose(&self, count: u64) {
        let totals = self.scoreboard.exporter().totals();
        totals.add(totals::SPANS_DROPPED, 0, count);
    }

    pub fn lose_all(&mut self) {
        self.lose(self.spans.len() as u64);
        self.spans.clear();
    }

    /// Says once that the collector does not accept spans, and once that it does again.
    pub fn tell(&mut self, outcome: &PostOutcome) {
        let endpoint = &self.settings.endpoint;
        let why = match outcome {
            PostOutcome::Accepted { .. } if self.is_down => {
                self.is_down = false;
                return info!("Spans are exported to {endpoint} again");
            }
            PostOutcome::Accepted { .. } => return,
            PostOutcome::Again { why, .. } | PostOutcome::Refused { why } => why,
        };
        if !self.is_down {
            self.is_down = true;
            warning!(
                "spans cannot be exported to {endpoint}: {why}; up to {} are kept, and what does not fit is dropped",
                self.settings.queue
            );
        }
    }
}
