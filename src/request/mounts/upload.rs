//! This file sends the body of a request to a mounted server, no faster than that makes room for it.
//!
//! The beginning of it is kept until there is an answer: a server that leaves says which requests it has not begun, and
//! those are sent again to the one that comes after it.

use crate::guest::BodyError;
use crate::request::reply;
use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;
use http_body::Body as _;
use http_body_util::combinators::UnsyncBoxBody;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::task::{AbortHandle, spawn_local};

/// As many bytes of a body as this are kept; a request that has sent more is not sent again.
const KEPT: usize = 64 << 10;

/// A piece that is kept costs this much beside its bytes.
const PIECE: usize = 64;

pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// An `Outgoing` body is shared by what sends it, and by what may have it sent again.
#[derive(Clone)]
pub struct Outgoing(Rc<RefCell<Inner>>);

struct Inner {
    body: Body,
    /// All of the body was read.
    is_read: bool,
    /// This was read before, and is to be sent before more is read.
    again: VecDeque<Item>,
    /// All that was read is here, unless it was too much, or is not needed any more.
    kept: Option<Vec<Item>>,
    kept_bytes: usize,
}

/// An `Item` is what comes next of a body.
#[derive(Clone)]
enum Item {
    Piece(Bytes),
    Trailers(HeaderMap),
    End,
}

/// `Broken` says that the body did not come to its end.
struct Broken;

impl Outgoing {
    pub fn new(body: Body) -> Outgoing {
        Outgoing(Rc::new(RefCell::new(Inner {
            body,
            is_read: false,
            again: VecDeque::new(),
            kept: Some(Vec::new()),
            kept_bytes: 0,
        })))
    }

    /// Has the body be sent from its beginning; false where that is not known any more.
    pub fn rewind(&self) -> bool {
        let mut inner = self.0.borrow_mut();
        let Some(kept) = inner.kept.clone() else {
            return false;
        };
        inner.again = kept.into();
        true
    }

    /// Notes that it is not sent again.
    pub fn settle(&self) {
        self.0.borrow_mut().kept = None;
    }
}

impl Inner {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Item, Broken>> {
        if let Some(item) = self.again.pop_front() {
            return Poll::Ready(Ok(item));
        }
        let item = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Item::Piece(data),
                Err(frame) => match frame.into_trailers() {
                    Ok(trailers) => Item::Trailers(reply::legal_trailers(trailers)),
                    Err(_) => Item::Piece(Bytes::new()),
                },
            },
            Some(Err(_)) => return Poll::Ready(Err(Broken)),
            None => Item::End,
        };
        self.keep(&item);
        self.is_read = !matches!(item, Item::Piece(_));
        Poll::Ready(Ok(item))
    }

    /// Says whether the last item was the last piece, so that the stream can end with it.
    fn is_over(&mut self) -> bool {
        let only_end = matches!(self.again.front(), Some(Item::End));
        let is_over = match self.is_read {
            true => only_end || self.again.is_empty(),
            false => self.again.is_empty() && self.body.is_end_stream(),
        };
        if is_over && !self.is_read {
            self.is_read = true;
            self.keep(&Item::End);
        }
        is_over
    }

    fn keep(&mut self, item: &Item) {
        let Some(kept) = &mut self.kept else {
            return;
        };
        if let Item::Piece(piece) = item {
            self.kept_bytes += piece.len() + PIECE;
        }
        match self.kept_bytes > KEPT {
            true => self.kept = None,
            false => kept.push(item.clone()),
        }
    }
}

/// A `Sending` is the task that sends a body; it ends when this is dropped.
pub struct Sending(AbortHandle);

impl Sending {
    pub fn begin(outgoing: Outgoing, sender: SendStream<Bytes>) -> Sending {
        let mut attempt = Attempt {
            outgoing,
            sender,
            piece: Bytes::new(),
            is_last: false,
        };
        let sent = async move { poll_fn(|cx| attempt.poll(cx)).await };
        Sending(spawn_local(sent).abort_handle())
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Attempt {
    outgoing: Outgoing,
    sender: SendStream<Bytes>,
    /// This was taken from the body, and is not yet sent.
    piece: Bytes,
    /// The body ends with this piece.
    is_last: bool,
}

impl Attempt {
    /// Resolves when all is sent, or nobody wants it; whoever waits for the answer learns of that.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Also has the server's reset wake this.
        if self.sender.poll_reset(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            if !self.piece.is_empty() {
                if ready!(self.poll_piece(cx)) {
                    return Poll::Ready(());
                }
                continue;
            }
            let mut inner = self.outgoing.0.borrow_mut();
            let sent = match ready!(inner.poll(cx)) {
                Ok(Item::Piece(piece)) => {
                    self.is_last = inner.is_over();
                    match piece.is_empty() && self.is_last {
                        true => self.sender.send_data(Bytes::new(), true),
                        false => {
                            self.piece = piece;
                            continue;
                        }
                    }
                }
                Ok(Item::Trailers(trailers)) => self.sender.send_trailers(trailers),
                Ok(Item::End) => self.sender.send_data(Bytes::new(), true),
                Err(Broken) => {
                    self.sender.send_reset(Reason::CANCEL);
                    Ok(())
                }
            };
            // What is wrong with the stream is told by its answer.
            let _ = sent;
            return Poll::Ready(());
        }
    }

    /// Sends as much of a piece as the server has room for; whether that was the last.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.sender.reserve_capacity(self.piece.len());
        while self.sender.capacity() == 0 {
            match ready!(self.sender.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(true),
            }
        }
        let room = self.sender.capacity().min(self.piece.len());
        let data = self.piece.split_to(room);
        let ends = self.is_last && self.piece.is_empty();
        let sent = self.sender.send_data(data, ends);
        Poll::Ready(ends || sent.is_err())
    }
}
