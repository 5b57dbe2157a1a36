//! A WebSocket of a mounted component passes through here as bytes, in both directions and no faster than either end
//! takes them. Who closes it, and why, is told by the frames among them.

use super::boundary::Boundary;
use super::link::End;
use super::wire::Wire;
use crate::request::mounts::Tunnel;
use bytes::{Buf, Bytes};
use std::io::{self, Read, Write};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// This much is read from the client at a time.
const BUFFER: usize = 16 << 10;

/// A connection is looked at this often before others are.
const ROUNDS: usize = 32;

/// A `Pipe` has both ends, and what is on its way between them.
pub struct Pipe<T> {
    wire: Wire<T>,
    tunnel: Tunnel,
    /// This came from the server, and the client has no room for it yet.
    to_client: Bytes,
    /// This came from the client, and the server has no room for it yet.
    to_server: Bytes,
    client_has_ended: bool,
    server_has_ended: bool,
    /// This follows what the client was sent.
    sent: Boundary,
    /// The client is to be closed with this frame, behind the one that is on its way to it.
    close: Option<Bytes>,
    /// The client was sent that: what the server says from here on is not passed on.
    is_closed: bool,
}

/// `Moved` says whether something has passed.
type Moved = Result<bool, Gone>;

/// `Gone` says that one end is there no more.
struct Gone;

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Gone {
        Gone
    }
}

impl From<h2::Error> for Gone {
    fn from(_: h2::Error) -> Gone {
        Gone
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Pipe<T> {
    pub fn new(wire: Wire<T>, tunnel: Tunnel) -> Pipe<T> {
        Pipe {
            wire,
            tunnel,
            to_client: Bytes::new(),
            to_server: Bytes::new(),
            client_has_ended: false,
            server_has_ended: false,
            sent: Boundary::default(),
            close: None,
            is_closed: false,
        }
    }

    /// Closes for this reason, as the server would. The client's answer goes to the server, which ends.
    pub fn close(&mut self, code: u16, reason: &str) {
        let payload = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
        // A frame of control that is whole (RFC 6455 section 5.5.1).
        let length = u8::try_from(payload.len()).unwrap_or(0);
        debug_assert!((2..126).contains(&length));
        let frame = [&[0x88, length][..], &payload].concat();
        self.close = Some(frame.into()).filter(|_| !self.is_closed);
    }

    pub fn into_transport(self) -> T {
        self.wire.into_transport()
    }

    /// Passes on what has come; resolves when the server has ended, or somebody is gone.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        for _ in 0..ROUNDS {
            let moved = self
                .poll_to_client(cx)
                .and_then(|moved| Ok(self.poll_to_server(cx)? | moved));
            match moved {
                Err(Gone) => return Poll::Ready(End::Gone),
                Ok(_) if self.server_has_ended && self.to_client.is_empty() => {
                    return Poll::Ready(End::Closed);
                }
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_to_client(&mut self, cx: &mut Context<'_>) -> Moved {
        let mut moved = false;
        while self.to_client.is_empty() && !self.server_has_ended {
            match self.tunnel.receiver.poll_data(cx) {
                Poll::Ready(Some(data)) if self.is_closed => {
                    let length = data?.len();
                    self.release(length);
                    moved = true;
                }
                Poll::Ready(Some(data)) => self.to_client = data?,
                Poll::Ready(None) => self.server_has_ended = true,
                Poll::Pending => break,
            }
        }
        loop {
            if let Some(close) = self.close.take_if(|_| self.sent.is_between()) {
                self.is_closed = true;
                self.release(self.to_client.len());
                self.to_client = close;
            }
            if self.to_client.is_empty() {
                break;
            }
            let whole = match self.close {
                Some(_) => self.sent.next(&self.to_client),
                None => self.to_client.len(),
            };
            let written = possible(self.wire.now(cx).write(&self.to_client[..whole]))?;
            let Some(length) = written else {
                return Ok(moved);
            };
            if length == 0 {
                return Err(Gone);
            }
            self.sent.pass(&self.to_client[..length]);
            self.to_client.advance(length);
            if !self.is_closed {
                self.release(length);
            }
            moved = true;
        }
        possible(self.wire.now(cx).flush())?;
        Ok(moved)
    }

    /// Lets the server send as much again.
    fn release(&mut self, length: usize) {
        let flow_control = self.tunnel.receiver.flow_control();
        let _ = flow_control.release_capacity(length);
    }

    fn poll_to_server(&mut self, cx: &mut Context<'_>) -> Moved {
        let mut moved = false;
        if self.to_server.is_empty() && !self.client_has_ended {
            let mut buffer = [0; BUFFER];
            match possible(self.wire.now(cx).read(&mut buffer))? {
                Some(0) => {
                    self.client_has_ended = true;
                    self.tunnel.sender.send_data(Bytes::new(), true)?;
                    return Ok(true);
                }
                Some(length) => self.to_server = Bytes::copy_from_slice(&buffer[..length]),
                None => {}
            }
        }
        let sender = &mut self.tunnel.sender;
        while !self.to_server.is_empty() {
            sender.reserve_capacity(self.to_server.len());
            if sender.capacity() == 0 {
                match sender.poll_capacity(cx) {
                    Poll::Ready(Some(capacity)) => {
                        capacity?;
                        continue;
                    }
                    Poll::Ready(None) => return Err(Gone),
                    Poll::Pending => return Ok(moved),
                }
            }
            let length = sender.capacity().min(self.to_server.len());
            sender.send_data(self.to_server.split_to(length), false)?;
            moved = true;
        }
        Ok(moved)
    }
}

/// Gives what came of reading or writing; none where that is not possible now.
fn possible<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::websocket::wire::WriteCapacity;
    use http::{Request, Response};
    use std::future::poll_fn;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::runtime::{Builder, LocalOptions};
    use tokio::sync::oneshot;
    use tokio::task::{JoinHandle, spawn_local};
    use tokio::time::timeout;

    /// There is a client, and the server's end of the tunnel, with a pipe between them.
    struct Ends {
        client: DuplexStream,
        receiver: h2::RecvStream,
        sender: h2::SendStream<Bytes>,
        end: JoinHandle<End>,
        /// The pipe closes when this is sent.
        closes: oneshot::Sender<()>,
    }

    fn run(test: impl AsyncFnOnce(Ends)) {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default());
        let test = async {
            let ends = ends().await;
            let limit = Duration::from_secs(30);
            timeout(limit, test(ends)).await.expect("it takes too long");
        };
        runtime.unwrap().block_on(test);
    }

    async fn ends() -> Ends {
        let (front, server) = duplex(64 << 10);
        let (told, asked) = oneshot::channel();
        spawn_local(async move {
            let mut connection = h2::server::handshake(server).await.unwrap();
            let (request, mut respond) = connection.accept().await.unwrap().unwrap();
            let sender = respond.send_response(Response::new(()), false).unwrap();
            assert!(told.send((request.into_body(), sender)).is_ok());
            while connection.accept().await.is_some() {}
        });
        let (mut requests, connection) = h2::client::handshake(front).await.unwrap();
        spawn_local(connection);
        let (response, up) = requests.send_request(Request::new(()), false).unwrap();
        let down = response.await.unwrap().into_body();
        let (client, end) = duplex(1 << 10);
        let wire = Wire::new(end, WriteCapacity::OfTransport);
        let mut pipe = Pipe::new(wire, Tunnel::new(down, up, requests));
        let (receiver, sender) = asked.await.unwrap();
        let (closes, closed) = oneshot::channel();
        Ends {
            client,
            receiver,
            sender,
            end: spawn_local(async move {
                tokio::select! {
                    Ok(()) = closed => pipe.close(1012, "x"),
                    end = poll_fn(|cx| pipe.poll(cx)) => return end,
                }
                poll_fn(|cx| pipe.poll(cx)).await
            }),
            closes,
        }
    }

    const MUCH: usize = 1 << 20;

    #[test]
    fn what_a_server_sends_passes_as_fast_as_the_client_takes_it() {
        run(async |mut ends| {
            let much: Vec<u8> = (0..MUCH).map(|at| at as u8).collect();
            let mut left = Bytes::from(much.clone());
            // Nobody reads: there is room for what is on its way, and no more.
            let stalled = timeout(
                Duration::from_millis(100),
                send(&mut ends.sender, &mut left),
            );
            assert!(stalled.await.is_err(), "nobody waits for the client");
            assert!(left.len() > MUCH / 2, "{} bytes are left", left.len());
            let rest = async {
                send(&mut ends.sender, &mut left).await;
                ends.sender.send_data(Bytes::new(), true).unwrap();
            };
            let mut taken = vec![0; MUCH];
            let (read, ()) = tokio::join!(ends.client.read_exact(&mut taken), rest);
            assert_eq!(read.unwrap(), MUCH);
            assert!(taken == much, "it is not what was sent");
            assert_eq!(ends.end.await.unwrap(), End::Closed);
        });
    }

    async fn send(sender: &mut h2::SendStream<Bytes>, left: &mut Bytes) {
        while !left.is_empty() {
            sender.reserve_capacity(left.len());
            let room = poll_fn(|cx| sender.poll_capacity(cx)).await;
            let data = left.split_to(room.unwrap().unwrap().min(left.len()));
            sender.send_data(data, false).unwrap();
        }
    }

    #[test]
    fn what_a_client_sends_passes_as_fast_as_the_server_takes_it() {
        run(async |mut ends| {
            let much: Vec<u8> = (0..MUCH).map(|at| at as u8).collect();
            let limit = Duration::from_millis(100);
            let stalled = timeout(limit, ends.client.write_all(&much)).await;
            assert!(stalled.is_err(), "nobody waits for the server");
            let mut taken = 0;
            while let Ok(Some(data)) = timeout(limit, ends.receiver.data()).await {
                let data = data.unwrap();
                assert!(
                    data == much[taken..taken + data.len()],
                    "it is not what was sent"
                );
                taken += data.len();
                let flow_control = ends.receiver.flow_control();
                flow_control.release_capacity(data.len()).unwrap();
            }
            assert!(taken > 64 << 10, "only {taken} bytes came");
            // The client has ended, and the server may go on.
            ends.client.shutdown().await.unwrap();
            let last = ends.receiver.data().await.unwrap().unwrap();
            assert!(last.is_empty() && ends.receiver.is_end_stream());
            ends.sender.send_data("bye".into(), true).unwrap();
            let mut told = String::new();
            ends.client.read_to_string(&mut told).await.unwrap();
            assert_eq!(told, "bye");
            assert_eq!(ends.end.await.unwrap(), End::Closed);
        });
    }

    #[test]
    fn a_close_of_our_own_comes_behind_the_frame_that_is_on_its_way() {
        let frame = |length: u8| [&[0x82, length][..], &vec![7; length.into()]].concat();
        run(async |mut ends| {
            ends.sender.send_data(frame(100).into(), false).unwrap();
            let mut first = [0; 50];
            ends.client.read_exact(&mut first).await.unwrap();
            let half = Bytes::from(frame(80)).split_to(40);
            ends.sender.send_data(half, false).unwrap();
            let mut rest = [0; 52 + 40];
            ends.client.read_exact(&mut rest).await.unwrap();
            ends.closes.send(()).unwrap();
            let more = [&frame(80)[40..], &frame(10)].concat();
            ends.sender.send_data(more.into(), false).unwrap();
            let mut closed = [0; 42 + 5];
            ends.client.read_exact(&mut closed).await.unwrap();
            assert_eq!(closed[..42], frame(80)[40..]);
            assert_eq!(closed[42..], [0x88, 3, 3, 0xf4, b'x']);
            ends.client.write_all(b"answer").await.unwrap();
            let answer = ends.receiver.data().await.unwrap().unwrap();
            assert_eq!(answer, "answer");
            ends.sender.send_data("late".into(), true).unwrap();
            assert_eq!(ends.end.await.unwrap(), End::Closed);
        });
    }

    #[test]
    fn whoever_breaks_off_ends_the_other() {
        run(async |mut ends| {
            ends.sender.send_reset(h2::Reason::CANCEL);
            assert_eq!(ends.end.await.unwrap(), End::Gone);
            let mut told = Vec::new();
            assert_eq!(ends.client.read_to_end(&mut told).await.unwrap(), 0);
        });
        run(async |mut ends| {
            drop(ends.client);
            ends.sender.send_data("unread".into(), false).unwrap();
            assert_eq!(ends.end.await.unwrap(), End::Gone);
            let reset = poll_fn(|cx| ends.sender.poll_reset(cx)).await;
            assert_eq!(reset.unwrap(), h2::Reason::CANCEL);
        });
    }
}
