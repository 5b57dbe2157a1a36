//! Registries of a test's own: Debian's docker-registry, and one that misbehaves as it is told.

use super::eventually;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// The name and the password that a registry with a login knows, as `htpasswd -Bbn` writes them.
const TESTER: &str = "tester:$2y$05$k5YwjCc4SeoJ3SLcX6FRvOatyHECk4EwVwgJjjHlqxnahhkSZmMzq\n";

pub struct Registry {
    child: Child,
    pub address: SocketAddr,
}

impl Registry {
    /// Starts one that keeps what it has in this folder. Where it `has_login`, it wants `tester` and `secret`.
    pub fn start(home: &Path, has_login: bool) -> Registry {
        // Somebody else may have taken the port meanwhile.
        for _ in 0..5 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            if let Some(registry) = Registry::start_at(home, has_login, address) {
                return registry;
            }
        }
        panic!("no registry could be started");
    }

    fn start_at(home: &Path, has_login: bool, address: SocketAddr) -> Option<Registry> {
        let login = match has_login {
            true => {
                std::fs::write(home.join("users"), TESTER).unwrap();
                let users = home.join("users");
                format!(
                    "auth: {{htpasswd: {{realm: tests, path: {}}}}}\n",
                    users.display()
                )
            }
            false => String::new(),
        };
        let data = home.join("data");
        let settings = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: \"{address}\"}}\n{login}",
            data.display()
        );
        std::fs::write(home.join("registry.yml"), settings).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(home.join("registry.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry can be started; run tests/packages");
        let mut registry = Registry { child, address };
        let mut lives = true;
        eventually("the registry listens", || {
            lives = registry.child.try_wait().unwrap().is_none();
            !lives || TcpStream::connect(address).is_ok()
        });
        lives.then_some(registry)
    }

    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The name of something in it.
    pub fn named(&self, name: &str) -> String {
        format!("oci://{}/{name}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a registry that misbehaves has, and what it does to those who ask for it.
#[derive(Clone, Default)]
pub struct Bad {
    pub manifest: Vec<u8>,
    pub blob: Vec<u8>,
    /// Each answer ends after so many bytes of the component.
    pub cut: Option<usize>,
    /// Where to go for the component instead.
    pub elsewhere: Option<String>,
    /// What is answered to everything.
    pub status: Option<&'static str>,
}

/// A registry that misbehaves.
pub struct BadRegistry {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl BadRegistry {
    pub fn start(bad: Bad) -> BadRegistry {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (bad, noted) = (bad.clone(), noted.clone());
                std::thread::spawn(move || answer(stream, &bad, &noted));
            }
        });
        BadRegistry { address, asked }
    }

    pub fn named(&self, name: &str) -> String {
        format!("oci://{}/{name}", self.address)
    }

    /// The heads of all requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Answers one request, and closes.
fn answer(mut stream: TcpStream, bad: &Bad, noted: &Mutex<Vec<String>>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
        // A client that speaks TLS.
        if head[0] == 0x16 {
            return;
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    noted.lock().unwrap().push(head.clone());
    let plain = |status: &str, extra: &str, body: &[u8]| {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{extra}\r\n"
        );
        [head.as_bytes(), body].concat()
    };
    let bytes = match &bad.status {
        Some(status) => plain(status, "", b""),
        None if head.contains("/manifests/") => plain("200 OK", "", &bad.manifest),
        None if head.contains("/blobs/") => match &bad.elsewhere {
            Some(place) => plain(
                "307 Temporary Redirect",
                &format!("location: {place}\r\n"),
                b"",
            ),
            None => component(&head, bad),
        },
        None => plain("404 Not Found", "", b""),
    };
    let _ = stream.write_all(&bytes);
}

fn component(head: &str, bad: &Bad) -> Vec<u8> {
    let lower = head.to_ascii_lowercase();
    let range = lower.split("range: bytes=").nth(1);
    let from = range.and_then(|range| range.split('-').next()?.parse::<usize>().ok());
    let (all, from) = (bad.blob.len(), from.unwrap_or(0));
    let (status, extra) = match from {
        0 => ("200 OK", String::new()),
        _ => {
            let range = format!("content-range: bytes {from}-{}/{all}\r\n", all - 1);
            ("206 Partial Content", range)
        }
    };
    let rest = &bad.blob[from..];
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{extra}\r\n",
        rest.len()
    );
    let sent = bad.cut.map_or(rest.len(), |cut| cut.min(rest.len()));
    [head.as_bytes(), &rest[..sent]].concat()
}
