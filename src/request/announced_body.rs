//! A chunked body of HTTP/1 says before each chunk how many bytes it has (RFC 9112 section 7.1). An `AnnouncedBody` is what it
//! has said so far: who sends too much is refused then, as with a Content-Length, and not when all of that has come.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

/// The guest's host demands atomics where one thread would do.
#[derive(Debug, Default)]
pub struct AnnouncedBody {
    bytes: AtomicU64,
    /// This wakes whoever reads the body.
    reader: Mutex<Option<Waker>>,
}

impl AnnouncedBody {
    /// Adds the size of a chunk that is about to come.
    pub fn add(&self, size: u64) {
        let bytes = self.bytes.load(Relaxed).saturating_add(size);
        self.bytes.store(bytes, Relaxed);
        let reader = self.reader.lock();
        let reader = reader.unwrap_or_else(PoisonError::into_inner).take();
        reader.into_iter().for_each(Waker::wake);
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Has this woken when more is announced.
    pub fn wakes(&self, reader: &Waker) {
        let mut known = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(reader.clone());
    }
}

/// `AnnouncedBodies` are the chunked bodies of one connection whose heads have come and are not answered yet, in their order.
#[derive(Clone, Debug, Default)]
pub struct AnnouncedBodies(Rc<RefCell<VecDeque<Arc<AnnouncedBody>>>>);

impl AnnouncedBodies {
    /// Adds the body of a head that has come.
    pub fn begin(&self) -> Arc<AnnouncedBody> {
        let body = Arc::<AnnouncedBody>::default();
        self.0.borrow_mut().push_back(body.clone());
        body
    }

    /// Takes the body of the head that is answered now.
    pub fn next(&self) -> Option<Arc<AnnouncedBody>> {
        self.0.borrow_mut().pop_front()
    }
}
