//! A server of HTTP that is given the bodies that it is sent; and one that keeps objects, as S3 does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::spawn;

/// A request: its method, its target, its head as it came, and its body.
pub struct Asked {
    pub method: String,
    pub target: String,
    pub head: String,
    pub body: Vec<u8>,
}

/// A status, header lines and a body.
pub type Answer = (u16, String, Vec<u8>);

/// Answers with what `answer` makes of each request.
pub fn http(answer: impl Fn(Asked) -> Answer + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            spawn(move || converse(stream, &*answer));
        }
    });
    address
}

fn converse(stream: TcpStream, answer: &dyn Fn(Asked) -> Answer) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let fields = head.to_lowercase();
        if fields.contains("expect: 100-continue") {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let length = fields.split("content-length: ").nth(1);
        let length = length.map_or(0, |it| it.lines().next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut words = head.split(' ').map(str::to_owned);
        let asked = Asked {
            method: words.next()?,
            target: words.next()?,
            head,
            body,
        };
        let is_head = asked.method == "HEAD";
        let (status, lines, body) = answer(asked);
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n{lines}\r\n");
        writer.write_all(answer.as_bytes()).ok()?;
        if !is_head {
            writer.write_all(&body).ok()?;
        }
    }
}

const MODIFIED: &str = "Sun, 29 Nov 2026 12:00:00 GMT";

/// Keeps objects, each with the header lines of metadata that it came with, and lists them.
pub fn store() -> SocketAddr {
    let objects = Mutex::new(BTreeMap::<String, (String, Vec<u8>)>::new());
    http(move |asked| {
        let mut objects = objects.lock().unwrap();
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        // Whoever does not sign is nobody.
        if !asked
            .head
            .contains("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
        {
            return (
                403,
                String::new(),
                b"<Error><Code>AccessDenied</Code></Error>".into(),
            );
        }
        let key = path.strip_prefix("/pets/").unwrap_or_default();
        match asked.method.as_str() {
            "PUT" if key != "refused" => {
                let kept = asked.head.lines().filter(|line| {
                    let line = line.to_lowercase();
                    line.starts_with("x-amz-meta-")
                });
                let kept = kept.map(|line| format!("{line}\r\n")).collect();
                objects.insert(key.to_owned(), (kept, asked.body));
                (200, "ETag: \"tag\"\r\n".into(), Vec::new())
            }
            "GET" if query.contains("list-type=2") => {
                let entry = |(key, (_, body)): (&String, &(String, Vec<u8>))| {
                    let size = body.len();
                    format!(
                        "<Contents><Key>{key}</Key><LastModified>2026-11-29T12:00:00.000Z</LastModified><Size>{size}</Size></Contents>"
                    )
                };
                let prefix = query.split("prefix=").nth(1).unwrap_or_default();
                let prefix = prefix.split('&').next().unwrap();
                let found = objects.iter().filter(|(key, _)| key.starts_with(prefix));
                let all: String = found.map(entry).collect();
                let text = format!(
                    "<ListBucketResult><IsTruncated>false</IsTruncated>{all}</ListBucketResult>"
                );
                (200, "Content-Type: application/xml\r\n".into(), text.into())
            }
            "GET" | "HEAD" if objects.contains_key(key) => {
                let (kept, body) = &objects[key];
                let lines = format!("ETag: \"tag\"\r\nLast-Modified: {MODIFIED}\r\n{kept}");
                (200, lines, body.clone())
            }
            _ => {
                let text =
                    "<Error><Code>NoSuchKey</Code><Message>it is not there</Message></Error>";
                (404, "Content-Type: application/xml\r\n".into(), text.into())
            }
        }
    })
}
