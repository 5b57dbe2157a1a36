//! The `WriteBatcher` has answers leave together. What a write costs is mostly waking its client: where answers come
//! thick and fast, those of one round of the serving loop wait for its end, and are written one after the other.
//!
//! It is our own, as the event loop writes connection by connection.

use super::socket::Wire;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// An answer waits for others only where the last one came no longer ago than this: what it waits for is about as
/// quick as it was.
const THICK: Duration = Duration::from_micros(50);

/// This many wait at most.
const MOST: usize = 32;

/// A `WriteBatcher` belongs to one worker.
pub struct WriteBatcher {
    thick: Duration,
    waiting: RefCell<Vec<Rc<RefCell<Wire>>>>,
    last: Cell<Option<Instant>>,
    round_ends: Notify,
}

impl Default for WriteBatcher {
    fn default() -> WriteBatcher {
        WriteBatcher::new(THICK)
    }
}

impl WriteBatcher {
    fn new(thick: Duration) -> WriteBatcher {
        WriteBatcher {
            thick,
            waiting: RefCell::default(),
            last: Cell::new(None),
            round_ends: Notify::new(),
        }
    }

    /// Says whether what is to be written now can wait for what else this round brings. What waited already does so no
    /// longer where not.
    pub fn can_wait(&self) -> bool {
        let now = Instant::now();
        let last = self.last.replace(Some(now));
        let thick = last.is_some_and(|last| now - last < self.thick);
        if !thick || self.waiting.borrow().len() >= MOST {
            self.send();
        }
        thick
    }

    /// This one has something to write.
    pub fn put(&self, wire: &Rc<RefCell<Wire>>) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            // Whoever runs this task is behind all those that are ready now.
            self.round_ends.notify_one();
        }
        waiting.push(wire.clone());
    }

    fn send(&self) {
        for wire in self.waiting.take() {
            wire.borrow_mut().send();
        }
    }

    /// Sends what has waited at the end of each round.
    pub async fn run(&self) {
        loop {
            self.round_ends.notified().await;
            self.send();
            // In the time that took no answer could come.
            self.last.set(Some(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Accepted;
    use crate::connection::socket::Socket;
    use std::io::{ErrorKind, Read};
    use std::os::unix::net::UnixStream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::yield_now;

    /// Runs a test beside a write batcher where answers are thick if they come no longer after each other than this, from
    /// the second on.
    fn run<T>(thick: Duration, test: impl AsyncFnOnce(&Rc<WriteBatcher>) -> T) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let write_batcher = Rc::new(WriteBatcher::new(thick));
        assert!(!write_batcher.can_wait());
        runtime.block_on(async {
            tokio::select! {
                biased;
                done = test(&write_batcher) => done,
                () = write_batcher.run() => unreachable!("it runs for ever"),
            }
        })
    }

    async fn pair(write_batcher: &Rc<WriteBatcher>) -> (Socket, UnixStream) {
        let (server, client) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        client.set_nonblocking(true).unwrap();
        let server = tokio::net::UnixStream::from_std(server).unwrap();
        // The runtime knows only after it has looked.
        server.writable().await.unwrap();
        let socket = Socket::new(Accepted::Unix(server));
        socket.send_with(write_batcher);
        (socket, client)
    }

    /// Gives what is there already.
    fn received(mut client: &UnixStream) -> Vec<u8> {
        let mut buffer = [0; 100];
        match client.read(&mut buffer) {
            Ok(count) => buffer[..count].to_vec(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Vec::new(),
            Err(error) => panic!("{error}"),
        }
    }

    async fn all_received(client: UnixStream) -> Vec<u8> {
        let mut all = Vec::new();
        let mut client = tokio::net::UnixStream::from_std(client).unwrap();
        client.read_to_end(&mut all).await.unwrap();
        all
    }

    #[test]
    fn answers_of_one_round_leave_at_its_end() {
        run(Duration::MAX, async |write_batcher| {
            let (mut one, first) = pair(write_batcher).await;
            let (mut other, second) = pair(write_batcher).await;
            one.write_all(b"one").await.unwrap();
            one.flush().await.unwrap();
            one.write_all(b", two").await.unwrap();
            other.write_all(b"three").await.unwrap();
            assert_eq!((received(&first), received(&second)), (vec![], vec![]));
            yield_now().await;
            assert_eq!(received(&first), b"one, two");
            assert_eq!(received(&second), b"three");
        });
    }

    #[test]
    fn an_answer_that_comes_after_a_while_leaves_at_once() {
        run(Duration::ZERO, async |write_batcher| {
            let (mut socket, client) = pair(write_batcher).await;
            socket.write_all(b"one").await.unwrap();
            assert_eq!(received(&client), b"one");
        });
    }

    #[test]
    fn no_more_than_so_many_wait() {
        run(Duration::MAX, async |write_batcher| {
            let mut pairs = Vec::new();
            for _ in 0..=MOST {
                pairs.push(pair(write_batcher).await);
            }
            for (socket, _) in &mut pairs {
                socket.write_all(b"x").await.unwrap();
            }
            let left = pairs.iter().map(|(_, client)| received(client).len());
            assert_eq!(left.sum::<usize>(), MOST);
        });
    }

    #[test]
    fn what_a_client_does_not_take_is_written_when_it_does() {
        run(Duration::MAX, async |write_batcher| {
            let (mut socket, client) = pair(write_batcher).await;
            let (large, small) = (vec![b'x'; 1 << 20], [b'y'; 100]);
            let writing = async {
                socket.write_all(&large).await.unwrap();
                socket.write_all(&small).await.unwrap();
                yield_now().await;
                socket.flush().await.unwrap();
                socket.write_all(b"z").await.unwrap();
                drop(socket);
            };
            let ((), all) = tokio::join!(writing, all_received(client));
            assert!(all == [&large[..], &small, b"z"].concat());
        });
    }

    #[test]
    fn the_end_of_a_connection_does_not_overtake_its_last_answer() {
        run(Duration::MAX, async |write_batcher| {
            let (mut socket, client) = pair(write_batcher).await;
            socket.write_all(b"last").await.unwrap();
            socket.shutdown().await.unwrap();
            assert_eq!(all_received(client).await, b"last");
        });
    }
}
