//! How a request ends is noted: by a failure, by an answer of the guest's own, or as its time is up. What has failed is
//! kept.

use super::answered::{self, Answered, BodyDigest, Progress};
use super::asked::{Answer, WrittenAnswer};
use super::body::{Frames, Shared};
use super::cause::Cause;
use super::file::Recording;
use super::journal::{Event, Journal};
use super::keep::Recordings;
use super::recorder::{Recorder, Records};
use super::request::WrittenHead;
use crate::guest::failure::Failure;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, MutexGuard, PoisonError};
use wasmtime_wasi_http::WasiBody;

/// An `Ending` is how a request has failed.
enum Ending<'a> {
    Failed(&'a Failure),
    Answered(&'a Answered),
    TimedOut,
}

impl Recorder {
    /// Notes a line that the guest has written to standard error.
    pub fn hear(&self, line: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.note(line);
    }

    /// Lists what the guest has written to standard error.
    pub fn said(&self) -> Vec<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.lines()
    }

    /// Notes the guest's answer where that is a failure or a replay's, and has its body watched.
    pub fn answers(self: &Arc<Recorder>, response: &mut http::Response<WasiBody>) {
        let status = response.status();
        if self.is_replayed() || answered::is_failure(status) {
            self.progress().begin(status);
            let body = std::mem::take(response.body_mut());
            *response.body_mut() = answered::digested(body, self);
        }
    }

    /// Notes that the guest's answer has no more of a body.
    pub fn body_ended(&self, body: Option<BodyDigest>) {
        self.progress().end_body(body);
        self.keep_answer();
    }

    /// Notes that the guest has come to its end.
    pub fn guest_ended(&self) {
        self.progress().end_guest();
        self.keep_answer();
    }

    /// Returns the guest's answer as far as it has come.
    pub fn own_answer(&self) -> Option<Answered> {
        self.progress().answered().cloned()
    }

    /// Keeps what the request was given, as it has failed in this way.
    pub fn keep(&self, failure: &Failure) {
        // What comes from outside of the guest does not come again.
        let outside = matches!(
            failure,
            Failure::NoRoom | Failure::TimedOut | Failure::Lost(_)
        );
        if !outside {
            self.keep_ending(&Ending::Failed(failure));
        }
    }

    /// Keeps what the request was given, as whoever reads its answer says that it has failed: its time is up, or its
    /// body does not end as it should.
    pub fn fails(&self, failure: &Failure) {
        match failure {
            Failure::TimedOut => self.keep_ending(&Ending::TimedOut),
            // A replay has nobody who would be sent the head.
            Failure::IllegalHead(_) => {}
            other => self.keep(other),
        }
    }

    fn keep_answer(&self) {
        let answered = self.progress().whole().cloned();
        if let Some(answered) = answered {
            self.keep_ending(&Ending::Answered(&answered));
        }
    }

    fn keep_ending(&self, ending: &Ending<'_>) {
        let Some(records) = &self.records else {
            return;
        };
        if records.kept.swap(true, Relaxed) {
            return;
        }
        let head = records.head.written(records.recordings.settings.secrets);
        let cause = match ending {
            Ending::Failed(failure) => Cause::of(failure),
            Ending::Answered(answered) => Cause::answer(answered, &self.said(), &head),
            Ending::TimedOut => Cause::time_out(self.awaited().as_deref(), &head),
        };
        let written = || self.recording(records, ending, &cause, head);
        records.recordings.keep(&cause, written);
    }

    /// Names the request or the call of the guest's whose answer it waits for.
    fn awaited(&self) -> Option<String> {
        self.awaited_server().or_else(|| self.host_waits().clone())
    }

    fn awaited_server(&self) -> Option<String> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let awaited = |answer: &Answer| matches!(answer, Answer::Awaited);
        let index = answers.iter().position(awaited)?;
        drop(answers);
        match &*self.journal() {
            Journal::Written(events) => {
                let asked = events.iter().filter_map(|event| match event {
                    Event::Ask(asked) => Some(asked.clone()),
                    _ => None,
                });
                asked.into_iter().nth(index)
            }
            Journal::Overflown | Journal::Read { .. } => None,
        }
    }

    /// Puts a recording together; `None` where there is too much of it.
    fn recording(
        &self,
        records: &Records,
        ending: &Ending<'_>,
        cause: &Cause,
        request: WrittenHead,
    ) -> Option<Recording> {
        let none = Shared::default();
        let frames = self.frames.as_ref().unwrap_or(&none);
        let frames: MutexGuard<'_, Frames> = frames.lock().unwrap_or_else(PoisonError::into_inner);
        let journal = self.journal();
        let Journal::Written(events) = &*journal else {
            return None;
        };
        if frames.overflown {
            return None;
        }
        let Recordings {
            settings,
            given,
            start,
            ..
        } = &*records.recordings;
        let is_time_up = matches!(ending, Ending::TimedOut);
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = answers.iter();
        let answers = answers.map(|answer| answer.written(settings.secrets, is_time_up));
        let answers = answers.collect::<Option<Vec<WrittenAnswer>>>()?;
        let waits = is_time_up && self.waits.load(Relaxed);
        let host_waits = self.host_waits().clone().filter(|_| is_time_up);
        let took = || records.began.elapsed().as_millis();
        Some(Recording {
            wasmserve: env!("CARGO_PKG_VERSION").to_owned(),
            component: given.component.clone(),
            name: settings.component.display().to_string(),
            given: given.clone(),
            start: start.clone(),
            failure: cause.failure.clone(),
            signature: cause.signature.clone(),
            backtrace: cause.backtrace.clone(),
            answered: match ending {
                Ending::Answered(answered) => Some((*answered).clone()),
                Ending::Failed(_) | Ending::TimedOut => None,
            },
            time_out: is_time_up.then(|| took().try_into().unwrap_or(u64::MAX)),
            said: self.said(),
            request,
            bodiless: records.bodiless,
            seed: self.seed_in_words(),
            used: self.used(),
            events: events
                .iter()
                .cloned()
                .chain(waits.then_some(Event::Waits))
                .chain(host_waits.map(Event::HostWaits))
                .collect(),
            pieces: frames.pieces(is_time_up),
            answers,
            body: frames.bytes(),
        })
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
