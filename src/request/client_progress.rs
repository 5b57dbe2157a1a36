//! `ClientProgress` says how the client of one exchange keeps up with it, for those who decide whether it may go
//! on: its connection, and whoever gives permits away.

use super::client_rate::ClientRate;
use super::timer::Timer;
use super::upload::UploadState;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A `ClientProgress` is shared by a connection, or one stream of it, and the permit of its request.
pub struct ClientProgress {
    rate: u64,
    /// The client takes its response at this rate.
    download: RefCell<ClientRate>,
    /// The client sends this body of its request.
    upload: RefCell<Option<Arc<UploadState>>>,
    /// Nothing more can come since then from the client, which may have left.
    ended: Rc<Cell<Option<Instant>>>,
    evicted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl ClientProgress {
    /// Demands of a client that it moves this many bytes per second while it is waited for; `ended` is known of its
    /// connection.
    pub fn new(rate: u64, ended: &Rc<Cell<Option<Instant>>>) -> Rc<ClientProgress> {
        Rc::new(ClientProgress {
            rate,
            download: RefCell::new(ClientRate::new(rate)),
            upload: RefCell::default(),
            ended: ended.clone(),
            evicted: Cell::new(false),
            waker: RefCell::default(),
        })
    }

    /// Makes the progress of another stream of the connection.
    pub fn of_stream(&self) -> Rc<ClientProgress> {
        ClientProgress::new(self.rate, &self.ended)
    }

    /// The next request has this body, or none.
    pub fn uploads(&self, upload_state: Option<Arc<UploadState>>) {
        self.evicted.set(false);
        self.upload.replace(upload_state);
    }

    /// The client has no room for what is to be written.
    pub fn waits_for_room(&self) {
        self.download.borrow_mut().waits(Instant::now());
    }

    /// Notes that the client took this many bytes.
    pub fn took(&self, bytes: usize) {
        let mut download = self.download.borrow_mut();
        // The clock matters only where it was waited for.
        let now = download.is_waiting().then(Instant::now);
        let bytes = bytes as u64;
        match now {
            Some(now) => download.moved(bytes, now),
            None => download.add(bytes),
        }
    }

    /// Says whether the client has no room.
    pub fn is_waited_for(&self) -> bool {
        self.download.borrow().is_waiting()
    }

    /// Says when the client's time to take some of its response is up.
    pub fn write_deadline(&self, stall: Duration) -> Option<Instant> {
        self.download.borrow().deadline(stall)
    }

    /// Says how far behind the client is, in whatever it is waited for.
    pub fn behind(&self, now: Instant) -> Duration {
        let download = self.download.borrow().behind(now);
        let upload = self.upload.borrow();
        let upload = upload.as_ref().map_or(Duration::ZERO, |up| up.behind(now));
        let ended = self.ended.get();
        let ended = ended.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        download.max(upload).max(ended)
    }

    /// Says how long the client has taken nothing of its response although it is waited for: what tells apart those
    /// that are not behind the least rate yet.
    pub fn stands_still(&self, now: Instant) -> Duration {
        self.download.borrow().stands_still(now)
    }

    /// Ends this exchange, since others need what it holds.
    pub fn evict(&self) {
        self.evicted.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub fn is_evicted(&self) -> bool {
        self.evicted.get()
    }

    /// Says whether this exchange is to end, said once: whoever asks sees to it.
    pub fn take_evicted(&self) -> bool {
        self.evicted.take()
    }

    /// Resolves when the client is given up: it takes nothing for too long, or others need what the exchange holds.
    pub fn poll_stalled(
        &self,
        timer: &mut Timer,
        write: Duration,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        self.register(cx);
        if self.take_evicted() {
            return Poll::Ready(());
        }
        timer.poll(cx, || self.write_deadline(write).map(|until| (until, ())))
    }

    /// Has whoever polls the exchange woken when it is to end.
    pub fn register(&self, cx: &Context<'_>) {
        match &mut *self.waker.borrow_mut() {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }
}
