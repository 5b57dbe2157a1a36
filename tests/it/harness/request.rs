//! A request as clients send it, said step by step:
//! `connection.get("/path").header("Range", "bytes=0-1").response()`.
//!
//! What a test wants malformed, cut short or sent in pieces, it writes itself with `Connection::write`.

use super::{Connection, Response, Server};
use std::io;

/// A request that is not sent yet.
#[must_use = "nothing is sent before `send` or `response`"]
pub struct Request<'a> {
    connection: &'a mut Connection,
    method: String,
    target: String,
    host: String,
    /// Lines of the head.
    fields: String,
    body: Vec<u8>,
}

impl Connection {
    pub fn get(&mut self, target: &str) -> Request<'_> {
        self.request("GET", target)
    }

    pub fn post(&mut self, target: &str) -> Request<'_> {
        self.request("POST", target)
    }

    pub fn request(&mut self, method: &str, target: &str) -> Request<'_> {
        Request {
            connection: self,
            method: method.to_owned(),
            target: target.to_owned(),
            host: "test".to_owned(),
            fields: String::new(),
            body: Vec::new(),
        }
    }
}

/// A server is started with these where requests are held: nobody gives up waiting for them.
pub const HOLDING: [&str; 4] = ["--timeout-request", "10m", "--min-rate", "0"];

/// A request that is in its guest for as long as a test wants, however slow the machine: the last byte of its body is
/// missing, for which `/request` of the guests of the tests waits.
impl Connection {
    pub fn hold(&mut self) {
        self.write("GET /request HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\n")
            .unwrap();
    }

    /// Lets the guest answer.
    pub fn release(&mut self) -> Response {
        self.write("x").unwrap();
        let response = self.response().unwrap();
        assert_eq!(response.status, 200);
        assert!(response.text().contains("body 1"), "{}", response.text());
        response
    }
}

impl Server {
    /// Opens a connection.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }
}

impl Request<'_> {
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.fields += &format!("{name}: {value}\r\n");
        self
    }

    /// Adds lines of the head, each with its end, as they are.
    pub fn lines(mut self, lines: &str) -> Self {
        self.fields += lines;
        self
    }

    /// Adds a body, and the field that says how long it is.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        let length = self.body.len().to_string();
        self.header("Content-Length", &length)
    }

    /// Sends the request; what comes is read from the connection.
    pub fn send(self) -> io::Result<()> {
        let head = self.head();
        self.connection
            .write([head.as_bytes(), &self.body].concat())
    }

    /// Sends the request, and reads the response. An error where that does not come whole.
    pub fn response(self) -> io::Result<Response> {
        let head = self.head();
        self.connection
            .write([head.as_bytes(), &self.body].concat())?;
        match &*self.method {
            "HEAD" => self.connection.head(),
            _ => self.connection.response(),
        }
    }

    fn head(&self) -> String {
        let Request {
            method,
            target,
            host,
            fields,
            ..
        } = self;
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
    }
}
