//! A small HTTP/1.1 client that hides nothing: what came, and whether it came whole.

use super::DEADLINE;
use nix::sys::socket::{setsockopt, sockopt};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An open connection.
pub struct Connection {
    reader: BufReader<Box<dyn Socket>>,
}

/// What a connection runs over.
pub trait Socket: Read + Write + Send {
    fn second(&self) -> TcpStream {
        panic!("only sockets of TCP have a second handle")
    }

    fn wait_for(&mut self, _: Duration) {
        panic!("this socket cannot be waited for")
    }
}

impl Socket for TcpStream {
    fn second(&self) -> TcpStream {
        self.try_clone().unwrap()
    }

    fn wait_for(&mut self, time: Duration) {
        self.set_read_timeout(Some(time)).unwrap();
    }
}

impl Socket for UnixStream {
    fn wait_for(&mut self, time: Duration) {
        self.set_read_timeout(Some(time)).unwrap();
    }
}

/// Where to connect to.
#[derive(Clone, Debug)]
pub enum Target {
    Inet(SocketAddr),
    Unix(PathBuf),
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Target {
        Target::Inet(address)
    }
}

impl From<&Path> for Target {
    fn from(path: &Path) -> Target {
        Target::Unix(path.to_owned())
    }
}

impl From<&Target> for Target {
    fn from(target: &Target) -> Target {
        target.clone()
    }
}

/// A response that came whole.
#[derive(Clone, Debug, Default)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub fn connect(target: &Target) -> io::Result<Box<dyn Socket>> {
    Ok(match target {
        Target::Inet(address) => {
            let socket = TcpStream::connect_timeout(address, DEADLINE)?;
            socket.set_read_timeout(Some(DEADLINE))?;
            socket.set_nodelay(true)?;
            Box::new(socket)
        }
        Target::Unix(path) => {
            let socket = UnixStream::connect(path)?;
            socket.set_read_timeout(Some(DEADLINE))?;
            Box::new(socket)
        }
    })
}

impl Connection {
    pub fn open(target: impl Into<Target>) -> Connection {
        Connection::try_open(target).expect("the server accepts")
    }

    pub fn try_open(target: impl Into<Target>) -> io::Result<Connection> {
        Ok(Connection::over(connect(&target.into())?))
    }

    /// Opens a connection from this address of the machine's own.
    pub fn from(source: Ipv4Addr, address: SocketAddr) -> Connection {
        use nix::sys::socket::{
            AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrStorage, bind, connect, socket,
        };
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
        let source = SockaddrIn::from(SocketAddrV4::new(source, 0));
        bind(socket.as_raw_fd(), &source).unwrap();
        connect(socket.as_raw_fd(), &SockaddrStorage::from(address)).unwrap();
        let socket = TcpStream::from(socket);
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Connection::over(Box::new(socket))
    }

    pub fn over(socket: Box<dyn Socket>) -> Connection {
        Connection {
            reader: BufReader::new(socket),
        }
    }

    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    /// Another handle on the same socket, to write from another thread.
    pub fn second(&self) -> TcpStream {
        self.reader.get_ref().second()
    }

    /// Leaves by a reset, which the server sees at once. One that only stops sending may still want its answer.
    pub fn reset(self) {
        reset_when_closed(&self.second());
    }

    /// The next response to a request that was not HEAD. An error where it does not come whole.
    pub fn response(&mut self) -> io::Result<Response> {
        let mut response = self.head()?;
        while (100..200).contains(&response.status) {
            response = self.head()?;
        }
        self.body(&mut response)?;
        Ok(response)
    }

    /// The next head alone.
    pub fn head(&mut self) -> io::Result<Response> {
        let line = self.line()?;
        let status = line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5)?.parse().ok());
        Ok(Response {
            status: status.ok_or_else(|| broken(&format!("not a status line: {line:?}")))?,
            headers: self.fields()?,
            ..Response::default()
        })
    }

    /// Reads the body that a head announced.
    pub fn body(&mut self, response: &mut Response) -> io::Result<()> {
        if matches!(response.status, 204 | 304) {
            return Ok(());
        }
        if response.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk()? {
                response.body.extend(chunk);
            }
            response.trailers = self.fields()?;
        } else if let Some(length) = response.header("content-length") {
            response.body = vec![0; length.parse().map_err(|_| broken("a wrong length"))?];
            self.reader.read_exact(&mut response.body)?;
        } else {
            self.reader.read_to_end(&mut response.body)?;
        }
        Ok(())
    }

    /// The next chunk of a chunked body; none at its end.
    pub fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let length = usize::from_str_radix(&line, 16)
            .map_err(|_| broken(&format!("not a chunk: {line:?}")))?;
        if length == 0 {
            return Ok(None);
        }
        let mut chunk = vec![0; length];
        self.reader.read_exact(&mut chunk)?;
        self.line()?;
        Ok(Some(chunk))
    }

    /// Whether nothing comes for so long.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        self.reader.get_mut().wait_for(time);
        let silent = self.reader.fill_buf().is_err();
        self.reader.get_mut().wait_for(DEADLINE);
        silent
    }

    /// Everything until the server closes.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            match line.split_once(':') {
                Some((name, value)) => fields.push((name.to_lowercase(), value.trim().to_owned())),
                None if line.is_empty() => return Ok(fields),
                None => return Err(broken(&format!("not a field: {line:?}"))),
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        }
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A GET on a connection of its own.
pub fn get(target: impl Into<Target>, path: &str) -> Response {
    let mut connection = Connection::open(target);
    let response = connection.get(path).response();
    response.unwrap_or_else(|error| panic!("GET {path}: {error}"))
}

/// Sends these bytes, and gives everything that comes until the server closes.
pub fn send(target: impl Into<Target>, bytes: impl AsRef<[u8]>) -> String {
    let mut connection = Connection::open(target);
    connection.write(bytes).unwrap();
    String::from_utf8_lossy(&connection.rest().unwrap_or_default()).into_owned()
}

/// Writes all of a large request before it looks for the answer, as simple clients do.
pub fn upload(
    address: SocketAddr,
    target: &str,
    fields: &str,
    length: usize,
) -> io::Result<String> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(DEADLINE))?;
    let head = format!("POST {target} HTTP/1.1\r\n{fields}Content-Length: {length}\r\n\r\n");
    socket.write_all(head.as_bytes())?;
    let piece = [b'x'; 50_000];
    for _ in 0..length / piece.len() {
        socket.write_all(&piece)?;
        // Time for a reset to arrive.
        std::thread::sleep(Duration::from_micros(300));
    }
    let mut answer = [0; 1000];
    let count = socket.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
}

/// Has the connection be reset, and not ended, when its last handle is closed.
pub fn reset_when_closed(socket: &TcpStream) {
    let at_once = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(socket, sockopt::Linger, &at_once).unwrap();
}
