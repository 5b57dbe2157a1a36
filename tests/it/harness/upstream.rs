//! A server that guests ask: every connection in a thread, every head kept, each answer decided by the
//! test.

use super::client::reset_when_closed;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which connection it came on, and which it was of that connection's; from zero.
    pub connection: usize,
    pub nth: usize,
    pub head: String,
    pub body: usize,
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Keep,
    Close,
    /// Closed without another word of TCP's.
    Reset,
}

impl Upstream {
    pub fn start(
        answer: impl Fn(&Seen, &mut TcpStream) -> After + Send + Sync + 'static,
    ) -> Upstream {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (all, answer) = (seen.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (all, answer) = (all.clone(), answer.clone());
                let Ok(stream) = stream else { return };
                std::thread::spawn(move || converse(connection, stream, &all, &*answer));
            }
        });
        Upstream { address, seen }
    }

    /// One that answers 200 with `hello`.
    pub fn friendly() -> Upstream {
        Upstream::start(|_, stream| {
            stream.write_all(GREETING).unwrap();
            After::Keep
        })
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Its port, at another name for this machine.
    pub fn at(&self, host: &str) -> String {
        format!("{host}:{}", self.address.port())
    }
}

pub const GREETING: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn converse(
    connection: usize,
    mut stream: TcpStream,
    all: &Mutex<Vec<Seen>>,
    answer: &dyn Fn(&Seen, &mut TcpStream) -> After,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for nth in 0.. {
        let Some((head, body)) = request(&mut reader) else {
            return;
        };
        let seen = Seen {
            connection,
            nth,
            head,
            body,
        };
        all.lock().unwrap().push(seen.clone());
        match answer(&seen, &mut stream) {
            After::Keep => {}
            After::Close => return,
            After::Reset => {
                reset_when_closed(&stream);
                return;
            }
        }
    }
}

/// The next head, and how long the body was.
fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, usize)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let fields = head.to_lowercase();
    let mut body = 0;
    if fields.contains("transfer-encoding: chunked") {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let length = u64::from_str_radix(line.trim(), 16).ok()?;
            let read =
                std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
            body += usize::try_from(read).unwrap();
            reader.read_line(&mut line).ok()?;
            if length == 0 {
                break;
            }
        }
    } else if let Some(length) = fields.split("content-length: ").nth(1) {
        let length: u64 = length.lines().next()?.parse().ok()?;
        let read = std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
        body = usize::try_from(read).unwrap();
    }
    Some((head, body))
}
