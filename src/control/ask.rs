//! This file asks the admin process one question, in HTTP/1.0 without a library: whoever answers is our own, closes the
//! connection after its answer, and sends it in one piece.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// No answer is longer.
const LONGEST: u64 = 16 << 20;

#[derive(Debug)]
pub struct AdminSocket {
    pub path: PathBuf,
    /// An answer may take this long.
    pub timeout: Duration,
}

pub struct AdminAnswer {
    pub status: u16,
    pub text: String,
}

impl AdminAnswer {
    pub fn document(&self) -> Result<Value> {
        serde_json::from_str(&self.text).context("the server's answer cannot be understood")
    }
}

impl AdminSocket {
    pub fn ask(&self, method: &str, target: &str) -> Result<AdminAnswer> {
        let socket = self.send(method, target)?;
        let mut received = Vec::new();
        match socket.take(LONGEST).read_to_end(&mut received) {
            Ok(0) => bail!("the server ended before it answered"),
            Ok(_) => understood(&received),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => bail!(
                "there was no answer within {} s (--timeout){}",
                self.timeout.as_secs_f64(),
                match method {
                    "POST" => "; what was asked for goes on: see `wasmserve status`",
                    _ => "",
                }
            ),
            Err(error) => Err(error).context("the server cannot be asked"),
        }
    }

    /// Sends a question, whose answer is to be read within the time that there is.
    pub fn send(&self, method: &str, target: &str) -> Result<UnixStream> {
        let shown = self.path.display();
        let mut socket = UnixStream::connect(&self.path)
            .with_context(|| format!("no server is running: cannot connect to `{shown}`"))?;
        let wait = self.timeout.max(Duration::from_millis(1));
        socket.set_read_timeout(Some(wait))?;
        socket.set_write_timeout(Some(wait))?;
        let request = format!("{method} {target} HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
        let sent = socket.write_all(request.as_bytes());
        sent.context("the server cannot be asked")?;
        Ok(socket)
    }
}

pub fn understood(received: &[u8]) -> Result<AdminAnswer> {
    let text = String::from_utf8_lossy(received);
    let parts = text.split_once("\r\n\r\n").and_then(|(head, body)| {
        let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
        Some((status, body.to_owned()))
    });
    let (status, text) = parts.context("the server's answer cannot be understood")?;
    Ok(AdminAnswer { status, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_understood_or_refused() {
        let answer = understood(b"HTTP/1.0 409 Conflict\r\nA: b\r\n\r\n{\"x\": 1}").unwrap();
        assert_eq!(
            (answer.status, answer.document().unwrap()["x"].as_u64()),
            (409, Some(1))
        );
        for garbage in [
            &b""[..],
            b"\r\n\r\n",
            b"HTTP/1.1 x\r\n\r\n",
            b"SSH-2.0",
            b"HTTP/1.1 200 OK",
        ] {
            assert!(understood(garbage).is_err());
        }
    }
}
