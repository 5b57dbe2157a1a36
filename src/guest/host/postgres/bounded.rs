//! What a server sends is read message by message, and each is held in memory as a whole. A message that is larger
//! than the guest may have ends the connection before it is read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

/// A row may always have this many bytes: what is asked beside a guest's statements has rows, too.
const ALWAYS: usize = 64 << 10;

/// A message that is no row may have this many bytes: errors, notices and the names of columns.
const BESIDE: usize = 1 << 20;

/// Everything that comes before the server is ready may have this many bytes together. The client keeps notices of
/// then.
const BEFORE: usize = 64 << 10;

/// What the server says of its parameters may have this many bytes together. The client keeps their names and values.
const PARAMETERS: usize = 1 << 20;

/// A connection with this many of them is not used for long any more.
const WORN: usize = PARAMETERS / 4;

/// A `SharedSession` is what is known of a session: it is shared by a connection and whoever asks over it.
#[derive(Clone)]
pub struct SharedSession(Arc<SessionState>);

struct SessionState {
    /// Rows may have this many bytes.
    most: AtomicUsize,
    /// The server has said this much of its parameters.
    parameters: AtomicUsize,
    /// What the server said last of its transaction: `I` where there is none.
    transaction: AtomicU8,
}

/// Nothing was said of a transaction since the last statement.
const UNKNOWN: u8 = 0;

impl SharedSession {
    pub fn new() -> SharedSession {
        SharedSession(Arc::new(SessionState {
            most: AtomicUsize::new(ALWAYS),
            parameters: AtomicUsize::new(0),
            transaction: AtomicU8::new(UNKNOWN),
        }))
    }

    /// Lets rows have this many bytes from now on, as a statement is sent.
    pub fn begin(&self, bytes: usize) {
        self.0.most.store(bytes.max(ALWAYS), Relaxed);
        self.0.transaction.store(UNKNOWN, Relaxed);
    }

    /// Says whether the server has said that no transaction is open.
    pub fn is_outside_transaction(&self) -> bool {
        self.0.transaction.load(Relaxed) == b'I'
    }

    /// Says whether the client has kept much of what the server said.
    pub fn is_worn(&self) -> bool {
        self.0.parameters.load(Relaxed) > WORN
    }
}

/// A message begins with its kind and, in four bytes, its length beside the kind (PostgreSQL's documentation, section
/// "Message Formats").
const HEAD: usize = 5;

/// Kinds of messages ("Message Formats", too).
const ROW: u8 = b'D';
const ERROR: u8 = b'E';
const READY: u8 = b'Z';
const PARAMETER: u8 = b'S';

/// A server answers with one of these first: a request for a password, an error, a notice, or its version.
const FIRST: [u8; 4] = [b'R', ERROR, b'N', b'v'];

/// A `Bounded` stream fails where a message is too large.
pub struct Bounded<S> {
    stream: S,
    bound: SharedSession,
    head: [u8; HEAD],
    /// This much of the head was read.
    known: usize,
    /// This much of the message follows.
    rest: usize,
    /// This much came until now, where the server has not been ready yet.
    before: Option<usize>,
}

impl<S> Bounded<S> {
    pub fn new(stream: S, bound: SharedSession) -> Bounded<S> {
        Bounded {
            stream,
            bound,
            head: [0; HEAD],
            known: 0,
            rest: 0,
            before: Some(0),
        }
    }

    /// Follows the messages in what was read.
    fn follow(&mut self, mut read: &[u8]) -> io::Result<()> {
        while !read.is_empty() {
            if self.rest > 0 {
                if self.head[0] == READY {
                    self.before = None;
                    self.bound.0.transaction.store(read[0], Relaxed);
                }
                let passed = self.rest.min(read.len());
                self.rest -= passed;
                read = &read[passed..];
                continue;
            }
            if self.before == Some(0) && self.known == 0 && !FIRST.contains(&read[0]) {
                return Err(io::Error::other(STRANGER));
            }
            let taken = (HEAD - self.known).min(read.len());
            self.head[self.known..][..taken].copy_from_slice(&read[..taken]);
            self.known += taken;
            read = &read[taken..];
            if self.known == HEAD {
                self.known = 0;
                self.rest = self.judged()?.saturating_sub(HEAD - 1);
            }
        }
        Ok(())
    }

    /// Returns the length of a message that begins, where it may be this long.
    fn judged(&mut self) -> io::Result<usize> {
        let [kind, length @ ..] = self.head;
        let length = u32::from_be_bytes(length) as usize;
        let refused = |why| Err(io::Error::other(why));
        if let Some(before) = &mut self.before {
            let is_first = *before == 0;
            *before = before.saturating_add(length + 1);
            return match *before > BEFORE {
                true if is_first => refused(STRANGER),
                true => refused(TALKATIVE),
                false => Ok(length),
            };
        }
        let known = &self.bound.0;
        match kind {
            ROW if length > known.most.load(Relaxed) => refused(TOO_LARGE),
            ROW => Ok(length),
            ERROR if length > BESIDE => refused(LARGE_ERROR),
            _ if length > BESIDE => refused(TALKATIVE),
            PARAMETER if known.parameters.fetch_add(length, Relaxed) + length > PARAMETERS => {
                refused(TALKATIVE)
            }
            _ => Ok(length),
        }
    }
}

/// The guest is told this where a row is too large, or all of them are.
pub const TOO_LARGE: &str = "the result is more than the memory that is left (--max-memory)";

const LARGE_ERROR: &str = "the database's error is larger than 1 MiB";
const TALKATIVE: &str = "the database says more than is read of what is no row";
const STRANGER: &str = "it answers, but is no PostgreSQL server";

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.follow(&buffer.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Bounded<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, length: usize) -> Vec<u8> {
        let mut message = vec![kind];
        message.extend((length as u32 + 4).to_be_bytes());
        message.resize(length + HEAD, b'I');
        message
    }

    /// The server is ready.
    fn ready(bound: &SharedSession) -> Bounded<()> {
        let mut bounded = Bounded::new((), bound.clone());
        bounded.follow(&message(b'R', 4)).unwrap();
        bounded.follow(&message(READY, 1)).unwrap();
        bounded
    }

    fn refused(bounded: &mut Bounded<()>, messages: &[u8], piece: usize) -> Option<String> {
        let mut pieces = messages.chunks(piece);
        pieces.find_map(|piece| Some(bounded.follow(piece).err()?.to_string()))
    }

    #[test]
    fn messages_are_followed_however_they_come_and_a_large_one_is_refused() {
        for piece in [1, 2, 7, 4096] {
            let mut bounded = ready(&SharedSession::new());
            let all = [0, 1, 300].into_iter().flat_map(|it| message(ROW, it));
            let all: Vec<u8> = all.collect();
            assert_eq!(refused(&mut bounded, &all, piece), None);
            assert_eq!((bounded.known, bounded.rest), (0, 0));
            let why = refused(&mut bounded, &message(ROW, ALWAYS), piece);
            assert_eq!(why.as_deref(), Some(TOO_LARGE));
        }
        let bound = SharedSession::new();
        let mut bounded = ready(&bound);
        bound.begin(4 << 20);
        bounded.follow(&message(ROW, 2 << 20)).unwrap();
        for (kind, said) in [(ERROR, LARGE_ERROR), (b'N', TALKATIVE), (b'd', TALKATIVE)] {
            let why = refused(&mut ready(&bound), &message(kind, BESIDE), 4096);
            assert_eq!(why.as_deref(), Some(said));
        }
    }

    #[test]
    fn what_the_client_keeps_of_a_server_is_bounded_before_it_is_ready_and_afterwards() {
        for kind in [PARAMETER, b'N'] {
            let mut bounded = Bounded::new((), SharedSession::new());
            bounded.follow(&message(b'R', 4)).unwrap();
            let many = message(kind, 10).repeat(BEFORE / 15);
            let why = refused(&mut bounded, &many, 4096);
            assert_eq!(why.as_deref(), Some(TALKATIVE));
        }
        let bound = SharedSession::new();
        let mut bounded = ready(&bound);
        bounded.follow(&message(PARAMETER, WORN - 4)).unwrap();
        assert!(!bound.is_worn());
        bounded.follow(&message(PARAMETER, 10)).unwrap();
        assert!(bound.is_worn());
        let many = message(PARAMETER, 10).repeat(PARAMETERS / 14);
        let why = refused(&mut bounded, &many, 4096);
        assert_eq!(why.as_deref(), Some(TALKATIVE));
    }

    #[test]
    fn who_is_no_server_is_told_from_one_by_the_first_bytes() {
        for first in [
            "HTTP/1.1 400 Bad Request",
            "SSH-2.0-x",
            "RFB 003.008",
            "\u{ff}",
        ] {
            let mut bounded = Bounded::new((), SharedSession::new());
            let why = refused(&mut bounded, first.as_bytes(), 1);
            assert_eq!(why.as_deref(), Some(STRANGER), "{first}");
        }
    }

    #[test]
    fn whether_a_transaction_is_open_is_known_when_the_server_has_said_it() {
        let bound = SharedSession::new();
        let mut bounded = ready(&bound);
        assert!(bound.is_outside_transaction());
        bound.begin(0);
        assert!(!bound.is_outside_transaction());
        bounded.follow(b"Z\0\0\0\x05T").unwrap();
        assert!(!bound.is_outside_transaction());
        bounded.follow(b"Z\0\0\0\x05").unwrap();
        bounded.follow(b"I").unwrap();
        assert!(bound.is_outside_transaction());
    }
}
