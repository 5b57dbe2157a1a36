//! The body of a request is recorded frame by frame, as the guest reads it, and replayed in the same frames.

use super::budget::Budget;
use super::error::WrittenError;
use super::request::{fields, header_map, length};
use crate::guest::observed::{Observed, Observer};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use wasmtime_wasi_http::{Error, WasiBody};

/// A `Piece` is what reading a body gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Piece {
    /// This many bytes came.
    Data(usize),
    /// Nothing was there, for a guest that does not wait.
    NotYet,
    Trailers(Vec<(String, String)>),
    /// The body failed, as the client went away or for another reason.
    Failed(WrittenError),
    End,
    /// The guest waited for more when its time was up.
    Awaited,
}

/// `Frames` are what was read of a body, or is to be read again.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    pub pieces: VecDeque<Piece>,
    pub data: VecDeque<Bytes>,
    budget: Budget,
    /// There was more than is kept.
    pub overflown: bool,
    /// The guest waits for more.
    awaited: bool,
}

impl Frames {
    /// Puts pieces and the bytes of all of them together again; `None` where they are not of the same length.
    pub fn of(pieces: Vec<Piece>, mut bytes: Bytes) -> Option<Frames> {
        let mut frames = Frames::default();
        for piece in &pieces {
            if let Piece::Data(length) = piece {
                let whole = *length <= bytes.len();
                frames
                    .data
                    .push_back(whole.then(|| bytes.split_to(*length))?);
            }
        }
        frames.pieces = pieces.into();
        bytes.is_empty().then_some(frames)
    }

    /// Counts the bytes that these pieces have.
    pub fn length(pieces: &[Piece]) -> usize {
        let lengths = pieces.iter().map(|piece| match piece {
            Piece::Data(length) => *length,
            _ => 0,
        });
        lengths.fold(0, usize::saturating_add)
    }

    /// Begins to keep a body of a request that has other bodies, too.
    pub fn within(budget: &Budget) -> Frames {
        Frames {
            budget: budget.clone(),
            ..Frames::default()
        }
    }

    /// Puts the bytes of all frames together.
    pub fn bytes(&self) -> Bytes {
        self.data.iter().flatten().copied().collect()
    }

    /// Lists the pieces, and that a guest whose time is up has waited for more.
    pub fn pieces(&self, is_time_up: bool) -> Vec<Piece> {
        let awaited = (is_time_up && self.awaited).then_some(Piece::Awaited);
        self.pieces.iter().cloned().chain(awaited).collect()
    }

    /// Keeps no more, and nothing of what there was.
    pub fn overflow(&mut self) {
        *self = Frames {
            overflown: true,
            ..Frames::default()
        };
    }

    fn note(&mut self, piece: Piece, data: Option<&Bytes>) {
        self.awaited = false;
        let length = match &piece {
            Piece::Trailers(fields) => length(fields),
            Piece::Failed(why) => why.length(),
            _ => data.map_or(0, Bytes::len),
        };
        if self.overflown || !self.budget.take_piece(length) {
            return self.overflow();
        }
        self.pieces.push_back(piece);
        self.data.extend(data.cloned());
    }
}

/// One thread reads the body, but the engine requires a lock.
pub type Shared = Arc<Mutex<Frames>>;

/// Has what is read of a body noted.
pub fn watched(body: WasiBody, frames: Shared) -> WasiBody {
    match body.is_end_stream() {
        // There is nothing to note.
        true => body,
        false => Observed::new(body, Watcher(frames)).boxed_unsync(),
    }
}

/// A `Watcher` notes the frames of a body.
struct Watcher(Shared);

/// Tells whether nobody will be woken: such a waker has no data. (Its table of functions is at another address wherever
/// a compiler has put a copy of it, so that `will_wake` may deny what is so.)
fn is_noop(cx: &Context<'_>) -> bool {
    cx.waker().data().is_null()
}

impl Watcher {
    fn frames(&self) -> MutexGuard<'_, Frames> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Watcher {
    fn sees(&mut self, frame: Option<&Result<Frame<Bytes>, Error>>) {
        let (piece, data) = match frame {
            None => (Piece::End, None),
            Some(Err(error)) => (Piece::Failed(WrittenError::of(error)), None),
            Some(Ok(frame)) => match (frame.data_ref(), frame.trailers_ref()) {
                (Some(data), _) => (Piece::Data(data.len()), Some(data)),
                (None, trailers) => {
                    let trailers = trailers.map(fields).unwrap_or_default();
                    (Piece::Trailers(trailers), None)
                }
            },
        };
        self.frames().note(piece, data);
    }

    fn misses(&mut self, cx: &Context<'_>) {
        match is_noop(cx) {
            true => self.frames().note(Piece::NotYet, None),
            // Whoever waits is woken again, however often it takes.
            false => self.frames().awaited = true,
        }
    }
}

/// Makes a body that gives these frames again.
pub fn replayed(frames: Shared) -> WasiBody {
    Replayed(frames).boxed_unsync()
}

struct Replayed(Shared);

impl Body for Replayed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let frame = match frames.pieces.pop_front() {
                Some(Piece::NotYet) if is_noop(cx) => return Poll::Pending,
                // Who waits now has not waited then: it went another way, and is not held up.
                Some(Piece::NotYet) => continue,
                Some(Piece::Data(_)) => {
                    Ok(Frame::data(frames.data.pop_front().unwrap_or_default()))
                }
                Some(Piece::Trailers(fields)) => {
                    let trailers = header_map(&fields).unwrap_or_else(|_| HeaderMap::new());
                    Ok(Frame::trailers(trailers))
                }
                Some(Piece::Failed(why)) => Err(why.again()),
                Some(Piece::Awaited) => {
                    frames.pieces.push_front(Piece::Awaited);
                    return Poll::Pending;
                }
                Some(Piece::End) | None => return Poll::Ready(None),
            };
            return Poll::Ready(Some(frame));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::recording::budget::MOST;
    use http_body_util::Full;
    use std::task::Waker;

    fn polled(body: &mut WasiBody) -> Option<Bytes> {
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(body).poll_frame(&mut cx) {
            Poll::Ready(Some(frame)) => frame.unwrap().into_data().ok(),
            Poll::Ready(None) | Poll::Pending => None,
        }
    }

    #[test]
    fn a_body_is_read_again_as_it_was_read() {
        let frames = Shared::default();
        let full = Full::new(Bytes::from("hello")).map_err(|never| match never {});
        let mut body = watched(full.boxed_unsync(), frames.clone());
        assert_eq!(polled(&mut body), Some(Bytes::from("hello")));
        assert_eq!(polled(&mut body), None);
        let read = frames.lock().unwrap().clone();
        assert_eq!(read.pieces, [Piece::Data(5), Piece::End]);
        let mut again = replayed(frames);
        assert_eq!(polled(&mut again), Some(Bytes::from("hello")));
        assert_eq!(polled(&mut again), None);
    }

    #[test]
    fn what_was_not_there_yet_is_not_there_yet_again() {
        let pieces = vec![Piece::NotYet, Piece::Data(2), Piece::Data(1)];
        let frames = Frames::of(pieces.clone(), Bytes::from("abc")).unwrap();
        let mut body = replayed(Arc::new(Mutex::new(frames)));
        assert_eq!(polled(&mut body), None);
        assert_eq!(polled(&mut body), Some(Bytes::from("ab")));
        assert_eq!(polled(&mut body), Some(Bytes::from("c")));
        assert!(Frames::of(pieces.clone(), Bytes::from("ab")).is_none());
        assert!(Frames::of(pieces, Bytes::from("abcd")).is_none());
    }

    #[test]
    fn a_long_body_is_not_kept() {
        let mut frames = Frames::default();
        let data = Bytes::from(vec![0; MOST / 2 + 1]);
        frames.note(Piece::Data(data.len()), Some(&data));
        frames.note(Piece::Data(data.len()), Some(&data));
        assert!(frames.overflown && frames.data.is_empty());
    }
}
