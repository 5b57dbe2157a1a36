//! A `Recorder` belongs to one request in one instance. While guests serve it notes what they are given; where a
//! recording is replayed it gives the same again.

use super::answered::Progress;
use super::asked::{Answer, WrittenAnswer};
use super::body::{self, Frames, Shared};
use super::budget::Budget;
use super::file::Recording;
use super::host_answer::HostAnswer;
use super::journal::{Call, Event, Journal, OtherWay};
use super::keep::Recordings;
use super::masked;
use super::request::Head;
use super::said::Said;
use anyhow::Result;
use bytes::Bytes;
use http_body::Body as _;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;
use wasmtime_wasi_http::{Error, WasiBody};

/// A guest has `Used` something whose answers are not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    Directories = 1,
    Sockets = 4,
}

/// `Asked` says who answers a request that the guest sends.
pub enum Asked {
    /// The server answers now, which is noted under this number if there is one.
    Now(Option<usize>),
    /// The server has answered this when the request was recorded, or nothing.
    Then(Option<Result<http::Response<WasiBody>, Error>>),
}

/// Random numbers are drawn for one of these purposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Secure = 0,
    Insecure = 1,
    InsecureSeed = 2,
}

impl Used {
    const ALL: [(Used, &str); 2] = [
        (Used::Directories, "directories by `wasi:filesystem` 0.3"),
        (Used::Sockets, "sockets"),
    ];
}

/// A `Recorder` is used by one thread, but the engine requires locks.
pub struct Recorder {
    pub(super) seed: OnceLock<[u8; 32]>,
    /// Random numbers were drawn that are to be secure.
    pub(super) has_drawn: AtomicBool,
    pub(super) journal: Mutex<Journal>,
    /// None where the request has no body.
    pub(super) frames: Option<Shared>,
    pub(super) used: AtomicU8,
    pub(super) used_after: OnceLock<usize>,
    /// What other servers have answered; none where the request is replayed.
    pub(super) answers: Mutex<Vec<Answer>>,
    /// What other servers answer again, in the order in which they are asked.
    pub(super) again: Mutex<VecDeque<WrittenAnswer>>,
    /// Many requests need none.
    pub(super) budget: OnceLock<Budget>,
    /// What the guest writes to standard error.
    pub(super) said: Mutex<Said>,
    /// The guest's own answer, as far as it has come.
    pub(super) progress: Mutex<Progress>,
    /// The guest waits for several things now.
    pub(super) waits: AtomicBool,
    /// The guest waits for the host's answer to this now.
    pub(super) host_waits: Mutex<Option<String>>,
    /// The guest waits in the replay for what has not come then.
    pub(super) in_vain: Notify,
    /// The guest had these directories when the request was recorded that is replayed.
    pub(super) directories: Vec<String>,
    /// The values of fields that are secret are kept too.
    pub(super) secrets: bool,
    pub(super) is_replayed: bool,
    /// What is to be kept should the request fail; none where it is replayed, or no request.
    pub(super) records: Option<Records>,
}

/// `Records` is what a recording is made of, beside what the guest was given.
pub(super) struct Records {
    pub(super) recordings: Arc<Recordings>,
    pub(super) head: Head,
    pub(super) bodiless: bool,
    pub(super) began: Instant,
    pub(super) kept: AtomicBool,
}

impl Recorder {
    /// Begins to record a request.
    pub fn begin(
        recordings: &Arc<Recordings>,
        request: &mut http::Request<WasiBody>,
    ) -> Arc<Recorder> {
        let budget = OnceLock::new();
        let mut frames = None;
        let bodiless = request.body().is_end_stream();
        if !bodiless {
            let budget: &Budget = budget.get_or_init(Budget::default);
            let watched = Arc::new(Mutex::new(Frames::within(budget)));
            let body = std::mem::take(request.body_mut());
            *request.body_mut() = body::watched(body, watched.clone());
            frames = Some(watched);
        }
        let recorder = Arc::new(Recorder {
            frames,
            budget,
            secrets: recordings.settings.secrets,
            records: Some(Records {
                recordings: recordings.clone(),
                head: Head::of(request),
                bodiless,
                began: Instant::now(),
                kept: AtomicBool::new(false),
            }),
            ..Recorder::with(Journal::Written(Vec::new()))
        });
        request.extensions_mut().insert(recorder.clone());
        recorder
    }

    /// Begins to replay a request, and makes it.
    pub fn replay(
        recording: &Recording,
        traced: bool,
    ) -> Result<(Arc<Recorder>, http::Request<WasiBody>)> {
        let frames = Arc::new(Mutex::new(recording.frames()?));
        let mut request = recording.request.request(frames)?;
        if recording.bodiless {
            *request.body_mut() = WasiBody::default();
        }
        let recorder = Recorder {
            seed: OnceLock::from(recording.seed()?),
            again: Mutex::new(recording.answers.clone().into()),
            directories: recording.given.directories.clone(),
            is_replayed: true,
            ..Recorder::with(Journal::read(recording.events.clone(), traced))
        };
        let recorder = Arc::new(recorder);
        request.extensions_mut().insert(recorder.clone());
        Ok((recorder, request))
    }

    /// Makes a recorder that has noted nothing but this.
    pub(super) fn with(journal: Journal) -> Recorder {
        Recorder {
            seed: OnceLock::new(),
            has_drawn: AtomicBool::new(false),
            journal: Mutex::new(journal),
            frames: None,
            used: AtomicU8::new(0),
            used_after: OnceLock::new(),
            answers: Mutex::default(),
            again: Mutex::default(),
            budget: OnceLock::new(),
            said: Mutex::default(),
            progress: Mutex::default(),
            waits: AtomicBool::new(false),
            host_waits: Mutex::default(),
            in_vain: Notify::new(),
            directories: Vec::new(),
            secrets: false,
            is_replayed: false,
            records: None,
        }
    }

    /// Derives the seed for one purpose, which says nothing of the others.
    pub fn derived(&self, purpose: Purpose) -> [u8; 32] {
        let seed = self.seed.get_or_init(rand::random);
        *blake3::keyed_hash(seed, &[purpose as u8]).as_bytes()
    }

    /// Notes that random numbers are drawn for this purpose.
    pub fn draws(&self, purpose: Purpose) {
        if purpose == Purpose::Secure {
            self.has_drawn.store(true, Relaxed);
        }
    }

    /// Says whether random numbers were drawn that are to be secure.
    pub fn has_drawn(&self) -> bool {
        self.has_drawn.load(Relaxed)
    }

    /// Writes the seed down.
    pub(super) fn seed_in_words(&self) -> String {
        Recording::hex(self.seed.get().unwrap_or(&[0; 32]))
    }

    /// Returns what `wasi:random/insecure-seed` says.
    pub fn insecure_seed(&self) -> u128 {
        let seed = self.derived(Purpose::InsecureSeed);
        let half = seed.iter().take(16);
        half.fold(0, |all, byte| all << 8 | u128::from(*byte))
    }

    /// Gives the recorded answer to a call, or has it made and notes it.
    pub fn answer(&self, call: Call, make: impl FnOnce() -> Event) -> Event {
        if let Some(event) = self.recorded(call) {
            return event;
        }
        let event = make();
        self.note(event.clone());
        event
    }

    /// Gives the recorded answer to a call, where there is one.
    pub fn recorded(&self, call: Call) -> Option<Event> {
        self.journal().recorded(call)
    }

    /// Notes an answer that was not recorded.
    pub fn note(&self, event: Event) {
        self.journal().note(event, self.budget());
    }

    /// Notes that the guest uses something whose answers are not recorded.
    pub fn uses(&self, used: Used) {
        let before = self.used.fetch_or(used as u8, Relaxed);
        if before == 0 {
            let calls = self.journal().given();
            let _ = self.used_after.set(calls);
        }
    }

    /// Names what the guest has used whose answers are not recorded.
    pub fn used(&self) -> Vec<String> {
        let used = self.used.load(Relaxed);
        let names = Used::ALL.iter();
        let names = names.filter(|(bit, _)| used & *bit as u8 != 0);
        names.map(|(_, name)| (*name).to_owned()).collect()
    }

    /// Returns how many calls had been answered when the guest first used something whose answers are not recorded.
    pub fn used_after(&self) -> Option<usize> {
        self.used_after.get().copied()
    }

    /// Says who answers a request that the guest sends, which is called this.
    pub fn ask(&self, asked: String) -> Asked {
        let asked = self.named(asked);
        if !self.is_replayed {
            self.note(Event::Ask(asked));
            let is_kept = matches!(*self.journal(), Journal::Written(_));
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            if is_kept {
                answers.push(Answer::default());
            } else {
                answers.clear();
            }
            return Asked::Now(answers.len().checked_sub(1));
        }
        let recorded = self.recorded(Call::Ask(asked));
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = recorded.and_then(|_| again.pop_front());
        match answer.map(|answer| answer.again()) {
            Some(Ok(answer)) => Asked::Then(answer),
            // Nobody is asked while a request is replayed.
            Some(Err(_)) | None => Asked::Then(Some(Err(Error::HttpRequestDenied))),
        }
    }

    /// Names a request as a recording does, which may leave out its secrets.
    fn named(&self, asked: String) -> String {
        let plain = match self.is_replayed {
            false => self.secrets,
            true => matches!(self.journal().next(), Some(Event::Ask(it)) if *it == asked),
        };
        if plain {
            return asked;
        }
        match asked.split_once(' ') {
            Some((method, target)) => format!("{method} {}", masked::target(target)),
            None => asked,
        }
    }

    /// Notes whether the guest waits for several things now, which it still does when its time is up.
    pub fn waits(&self, waits: bool) {
        self.waits.store(waits, Relaxed);
    }

    /// Waits for what has not come when the request was recorded, and does not come now.
    pub async fn wait_in_vain(&self) -> ! {
        self.in_vain.notify_one();
        std::future::pending().await
    }

    /// Resolves when the guest waits for what has not come when the request was recorded.
    pub async fn waited_in_vain(&self) {
        self.in_vain.notified().await;
    }

    /// Says whether the request is replayed.
    pub fn is_replayed(&self) -> bool {
        self.is_replayed
    }

    /// Notes that the host is asked this and may take its time.
    pub fn ask_host(&self, called: &str) {
        *self.host_waits() = Some(called.to_owned());
    }

    /// Gives what the host answered to what is called this, if it was asked that; waits in vain where the guest did.
    pub async fn host_answer_in_time(&self, called: &str) -> Option<HostAnswer> {
        let waits = matches!(self.journal().next(), Some(Event::HostWaits(it)) if it == called);
        let answer = self.host_answer(called);
        match waits {
            true => self.wait_in_vain().await,
            false => answer,
        }
    }

    /// Gives what the host answered to what is called this, if it was asked that.
    pub fn host_answer(&self, called: &str) -> Option<HostAnswer> {
        match self.recorded(Call::Host(called.to_owned())) {
            Some(Event::Host(answer)) => Some(*answer),
            Some(_) => None,
            None => {
                let (called, words) = (called.to_owned(), "refused".to_owned());
                let refused = HostAnswer::new(called, words, Bytes::new());
                self.note(Event::Host(Box::new(refused)));
                None
            }
        }
    }

    /// Notes what the host has answered, unless there is too much of it.
    pub fn note_host_answer(&self, called: String, words: String, bytes: &[u8]) {
        self.host_waits().take();
        if !self.budget().has(called.len() + words.len() + bytes.len()) {
            *self.journal() = Journal::Overflown;
            return;
        }
        let bytes = Bytes::copy_from_slice(bytes);
        let answer = HostAnswer::new(called, words, bytes);
        self.note(Event::Host(Box::new(answer)));
    }

    /// Lists the directories that the guest had when the request was recorded, by its names.
    pub fn directories(&self) -> &[String] {
        &self.directories
    }

    /// Notes what another server has answered.
    pub fn answered(&self, index: usize, answer: &mut Result<http::Response<WasiBody>, Error>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = answers.get_mut(index) {
            *kept = Answer::noted(answer, self.budget());
        }
    }

    /// Says where the replay has gone another way, and how many calls were answered as recorded, of how many.
    pub fn replayed(&self) -> (Option<OtherWay>, usize, usize) {
        match &*self.journal() {
            Journal::Read {
                events,
                next,
                other_way,
                ..
            } => (other_way.clone(), *next, events.len()),
            Journal::Written(_) | Journal::Overflown => (None, 0, 0),
        }
    }

    fn budget(&self) -> &Budget {
        self.budget.get_or_init(Budget::default)
    }

    pub(super) fn host_waits(&self) -> MutexGuard<'_, Option<String>> {
        let waits = self.host_waits.lock();
        waits.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
