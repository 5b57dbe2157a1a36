//! A request of the table, and what came of it.

use crate::harness::{Connection, Response};
use std::net::SocketAddr;

/// What each server has of its own, or is a matter of the connection and not of the application.
const NOT_THE_APPLICATIONS: [&str; 4] = ["connection", "date", "server", "transfer-encoding"];

/// Made of the time when a file was written, which a component does not keep.
const OF_FILES: [&str; 2] = ["etag", "last-modified"];

#[derive(Clone, Debug)]
pub struct Ask {
    pub method: &'static str,
    pub path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What the client of an application can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

pub fn get(path: impl Into<String>) -> Ask {
    ask("GET", path)
}

pub fn ask(method: &'static str, path: impl Into<String>) -> Ask {
    Ask {
        method,
        path: path.into(),
        headers: Vec::new(),
        body: Vec::new(),
    }
}

/// A POST of JSON, which may be none.
pub fn json(path: &str, text: impl AsRef<str>) -> Ask {
    ask("POST", path).with("application/json", text.as_ref())
}

pub fn form(path: &str, text: &str) -> Ask {
    ask("POST", path).with("application/x-www-form-urlencoded", text)
}

/// A POST of a form with files: each part its name, its further parameters and fields, and its content.
pub fn parts(path: &str, parts: &[(&str, &str, &[u8])]) -> Ask {
    let mut body = Vec::new();
    for (name, more, content) in parts {
        let head = format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"{more}");
        body.extend([head.as_bytes(), b"\r\n\r\n", content, b"\r\n"].concat());
    }
    body.extend(b"--limit--\r\n");
    ask("POST", path).with("multipart/form-data; boundary=limit", body)
}

impl Ask {
    pub fn header(mut self, name: &str, value: &str) -> Ask {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn with(self, kind: &str, body: impl AsRef<[u8]>) -> Ask {
        let mut ask = self.header("Content-Type", kind);
        ask.body = body.as_ref().to_vec();
        ask
    }

    /// In a line, for people.
    pub fn name(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        let body: String = body.chars().take(60).collect();
        let headers: Vec<String> = self
            .headers
            .iter()
            .filter(|(name, _)| name != "Content-Type")
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        format!("{} {} {headers:?} {body}", self.method, self.path)
    }

    pub fn of(&self, address: SocketAddr) -> Answer {
        let mut connection = Connection::open(address);
        let response = self.over(&mut connection);
        let response = response.unwrap_or_else(|error| panic!("{}: {error}", self.name()));
        Answer::from(response)
    }

    fn over(&self, connection: &mut Connection) -> std::io::Result<Response> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: test\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head += "\r\n";
        connection.write([head.as_bytes(), &self.body].concat())?;
        let mut response = connection.head()?;
        if self.method != "HEAD" {
            connection.body(&mut response)?;
        }
        Ok(response)
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Answer {
        let mut body = response.body;
        let length = body.len().to_string();
        let mut headers = Vec::new();
        for (name, mut value) in response.headers {
            // Where an application does not say how much follows, one server finds out, and another sends chunks.
            let is_length = name == "content-length" && value == length;
            if is_length || NOT_THE_APPLICATIONS.contains(&name.as_str()) {
                continue;
            }
            if OF_FILES.contains(&name.as_str()) {
                value = "…".into();
            } else if name == "set-cookie" {
                value = without(&value, "expires=");
            } else if value.starts_with("multipart/") {
                let boundary = value.rsplit('=').next().unwrap().to_owned();
                value = without(&value, "boundary=");
                body = String::from_utf8(body)
                    .unwrap()
                    .replace(&boundary, "…")
                    .into();
            }
            headers.push((name, value));
        }
        headers.sort_by(|one, other| one.0.cmp(&other.0));
        Answer {
            status: response.status,
            headers,
            body,
        }
    }
}

/// Without the value of a parameter, which is the time or random.
fn without(value: &str, parameter: &str) -> String {
    let parts = value
        .split("; ")
        .map(|part| match part.strip_prefix(parameter) {
            Some(_) => parameter,
            None => part,
        });
    parts.collect::<Vec<&str>>().join("; ")
}

impl Answer {
    /// What is different in another's answer; nothing where nothing is.
    pub fn unlike(&self, other: &Answer) -> Option<String> {
        let mut lines = Vec::new();
        if self.status != other.status {
            lines.push(format!("status {} != {}", self.status, other.status));
        }
        if self.headers != other.headers {
            lines.push(format!("headers {:?} != {:?}", self.headers, other.headers));
        }
        if self.body != other.body {
            lines.push(format!("body {} != {}", self.near(other), other.near(self)));
        }
        (!lines.is_empty()).then(|| lines.join("\n    "))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body from shortly before where another differs.
    fn near(&self, other: &Answer) -> String {
        let same = self.body.iter().zip(&other.body);
        let same = same.take_while(|(one, other)| one == other).count();
        let from = same.saturating_sub(60);
        let text = String::from_utf8_lossy(&self.body[from..]);
        format!(
            "{:?} of {} bytes",
            text.chars().take(160).collect::<String>(),
            self.body.len()
        )
    }
}
