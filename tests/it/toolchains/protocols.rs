//! What clients do comes to the same in each version of HTTP, in clear text and over TLS, whoever answers: guests of
//! each language, static files, redirects and refusals.

use super::{built, place};
use crate::harness::certificates::Authority;
use crate::harness::{Server, guest};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

/// How curl speaks, and whether it does so over TLS.
const PROTOCOLS: [(&str, bool); 4] = [
    ("--http1.1", false),
    ("--http1.1", true),
    ("--http2-prior-knowledge", false),
    ("--http2", true),
];

/// Those who read a request say what they were asked; the others answer by themselves.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Guest,
    /// A guest that is given requests as `fetch` has them: a GET has no body.
    Fetch,
    File,
    Redirect,
    Refusal,
}

impl By {
    fn is_guest(self) -> bool {
        matches!(self, By::Guest | By::Fetch)
    }
}

/// What is asked: what follows on the place that is asked, curl's options (`{big}` is a file of a megabyte), and what
/// holds for the answer beside that it is whole, no failure, and of the same status everywhere.
type Row = (&'static [u8], &'static [u8], fn(&Answer, By) -> bool);

const GET: usize = 0;
const HEAD: usize = 1;
const GET_GZIP: usize = 2;
const HEAD_GZIP: usize = 3;

const ROWS: [Row; 18] = [
    (b"", b"", |answer, by| answer.tells(by, "path /request/\n")),
    (b"", b"--head", |answer, _| answer.body.is_empty()),
    (b"", b"-H|accept-encoding: gzip", Answer::varies),
    (b"", b"--head|-H|accept-encoding: gzip", Answer::varies),
    (b"", b"-H|cookie: a=1|-H|cookie: b=2", |answer, by| {
        answer.tells(by, "header cookie: a=1; b=2\n")
    }),
    (b"", b"-H|x-in: lev\xe9 \xc3\xa9", |answer, by| {
        answer.tells(by, "header x-in: lev\u{fffd} \u{e9}\n") && answer.has_bytes(by)
    }),
    (b"", b"-H|x-in: one|-H|x-in: two", |answer, by| {
        let joined = answer.text().replace("\nheader x-in: two", ",two");
        !by.is_guest() || joined.replace(", ", ",").contains(": one,two\n")
    }),
    (
        b"",
        b"-H|content_length: 9|-H|x_client: spoofed",
        |answer, by| {
            answer.tells(by, "header x-client: 127.0.0.1") && !answer.text().contains("spoofed")
        },
    ),
    (b"", b"--data-binary|@{big}|-H|expect:", Answer::has_all),
    (
        b"",
        b"--data-binary|@{big}|-H|expect: 100-continue",
        Answer::has_all,
    ),
    (
        b"",
        b"--data-binary|@{big}|-H|transfer-encoding: chunked",
        Answer::has_all,
    ),
    (b"", b"--upload-file|{big}|-H|expect:", Answer::has_all),
    (b"", b"--data-binary|", |answer, by| {
        answer.tells(by, "\nbody 0\n")
    }),
    (b"", b"--request|GET|--data-binary|abc", |answer, by| {
        by == By::Fetch || answer.tells(by, "\nbody 3\n")
    }),
    (b"", b"--request|PROPFIND", |_, _| true),
    (b"?a=%00&b=%2F&c=%C3%A9", b"", |answer, by| {
        answer.tells(by, "path /request/?a=%00&b=%2F&c=%C3%A9\n")
    }),
    (b"", b"-H|if-none-match: *", |answer, by| {
        (answer.status == 304) == (by == By::File)
    }),
    (b"", b"-H|range: bytes=0-3", |answer, by| {
        (answer.status == 206) == (by == By::File)
    }),
];

/// Asked for what is not there, or for what nobody reads.
const UNREAD: [&[u8]; 4] = [
    b"--data-binary|@{big}|-H|expect:",
    b"--data-binary|@{big}|-H|expect: 100-continue",
    b"--upload-file|{big}|-H|expect:",
    b"--head",
];

#[derive(Debug)]
struct Answer {
    /// Of curl.
    exit: u32,
    status: u16,
    fields: BTreeMap<String, Vec<u8>>,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn tells(&self, by: By, what: &str) -> bool {
        !by.is_guest() || self.text().contains(what)
    }

    fn has_all(&self, by: By) -> bool {
        self.tells(by, "\nbody 1048576\n")
    }

    fn has_bytes(&self, by: By) -> bool {
        // The guest of Rust says nothing of the kind.
        let said = self.fields.get("x-out");
        !by.is_guest() || said.is_none_or(|said| said == b"lev\xe9")
    }

    fn varies(&self, by: By) -> bool {
        matches!(by, By::Redirect | By::Refusal) || self.fields.contains_key("vary")
    }

    fn shown(&self) -> String {
        let fields = self.fields.iter();
        let fields =
            fields.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)));
        let (fields, text) = (fields.collect::<Vec<_>>(), self.text());
        let text = &text[..text.len().min(500)];
        format!("curl {}, {} {fields:?} {text:?}", self.exit, self.status)
    }
}

/// Reads what curl wrote: the heads of all answers, and the body of the last.
fn read(said: &str, file: &Path) -> Answer {
    let bytes = std::fs::read(file).unwrap_or_default();
    let (mut rest, mut fields) = (&bytes[..], BTreeMap::new());
    while rest.starts_with(b"HTTP/") {
        let end = rest
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap()
            + 4;
        fields.clear();
        for line in rest[..end].split(|byte| *byte == b'\n').skip(1) {
            if let Some(colon) = line.iter().position(|byte| *byte == b':') {
                let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
                fields.insert(name, line[colon + 1..].trim_ascii().to_vec());
            }
        }
        rest = &rest[end..];
    }
    let (exit, status) = said.split_once(' ').unwrap();
    Answer {
        exit: exit.parse().unwrap(),
        status: status.parse().unwrap(),
        fields,
        body: rest.to_vec(),
    }
}

struct Place<'a> {
    /// In clear text, and over TLS.
    servers: [&'a Server; 2],
    directory: &'a Path,
}

impl Place<'_> {
    /// Asks one after another, over one connection where curl knows how to keep it.
    fn ask(&self, protocol: (&str, bool), asked: &[(Vec<u8>, Vec<u8>)]) -> Vec<Answer> {
        match protocol {
            ("--http2-prior-knowledge", _) => {
                let each = asked.iter().map(std::slice::from_ref);
                each.flat_map(|one| self.ask_all(protocol, one)).collect()
            }
            _ => self.ask_all(protocol, asked),
        }
    }

    fn ask_all(&self, protocol: (&str, bool), asked: &[(Vec<u8>, Vec<u8>)]) -> Vec<Answer> {
        let (version, secure) = protocol;
        let address = self.servers[usize::from(secure)].address;
        let scheme = if secure { "https" } else { "http" };
        let file = |number: usize| self.directory.join(format!("answer-{number}"));
        let mut curl = Command::new("curl");
        for (number, (target, options)) in asked.iter().enumerate() {
            let _ = std::fs::remove_file(file(number));
            curl.args((number > 0).then_some("--next"));
            curl.args([version, "-s", "-k", "-i", "-g", "--path-as-is", "-m", "60"])
                .args(["-w", "%{exitcode} %{http_code}\n", "-o"])
                .arg(file(number));
            if !options.is_empty() {
                curl.args(options.split(|byte| *byte == b'|').map(OsStr::from_bytes));
            }
            let url = [format!("{scheme}://{address}").as_bytes(), target].concat();
            curl.arg(OsStr::from_bytes(&url));
        }
        let output = curl.output().expect("curl is there");
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.lines().count(), asked.len(), "{said}");
        let each = said.lines().enumerate();
        each.map(|(number, said)| read(said, &file(number)))
            .collect()
    }

    /// What is asked of one who answers.
    fn asked(&self, by: By, at: &str, unread: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let file = |name: &str| self.directory.join(name).display().to_string();
        let fields = match by {
            By::Refusal => format!("-H|@{}", file("many")),
            _ => String::new(),
        };
        let options = |options: &[u8]| {
            let mut all = fields.clone().into_bytes();
            if !all.is_empty() && !options.is_empty() {
                all.push(b'|');
            }
            all.extend(options);
            replaced(&all, b"{big}", file("big").as_bytes())
        };
        let rows = ROWS
            .iter()
            .map(|(more, row, _)| ([at.as_bytes(), more].concat(), options(row)));
        let more = UNREAD.iter().map(|row| (unread.into(), options(row)));
        rows.chain(more).collect()
    }

    /// What is wrong with every row for one who answers, over each protocol.
    fn judge(&self, name: &str, by: By, at: &str, unread: &str) -> Vec<String> {
        let asked = self.asked(by, at, unread);
        let mut wrong = Vec::new();
        let mut first: Option<Vec<u16>> = None;
        for protocol in PROTOCOLS {
            let answers = self.ask(protocol, &asked);
            let statuses = answers.iter().map(|answer| answer.status).collect();
            let first = first.get_or_insert(statuses);
            for (number, answer) in answers.iter().enumerate() {
                let holds = ROWS
                    .get(number)
                    .is_none_or(|(_, _, holds)| holds(answer, by));
                let same = answer.status == first[number];
                if answer.exit != 0 || !same || answer.status >= 500 || !holds {
                    let asked = String::from_utf8_lossy(&asked[number].1);
                    wrong.push(format!("{name} {protocol:?} {asked}: {}", answer.shown()));
                }
            }
            for (get, head) in [(GET, HEAD), (GET_GZIP, HEAD_GZIP)] {
                let length = |number: usize| answers[number].fields.get("content-length");
                // What the guest of Rust says has the method in it.
                let same = length(get) == length(head) || answers[get].text().contains("method");
                if length(head).is_some() && !same {
                    wrong.push(format!("{name} {protocol:?} {:?}", length(head)));
                }
            }
        }
        wrong
    }
}

fn replaced(text: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    match text.windows(what.len()).position(|part| part == what) {
        Some(at) => [&text[..at], with, &text[at + what.len()..]].concat(),
        None => text.to_vec(),
    }
}

/// Each cell of the table stood for a client that got no answer, or another one, in some version of HTTP.
#[test]
fn every_client_has_the_same_answer_in_each_version_of_http() {
    let directory = place("protocols");
    let served = directory.join("served");
    std::fs::create_dir_all(served.join("directory")).unwrap();
    std::fs::write(served.join("note.txt"), "a note\n".repeat(500)).unwrap();
    std::fs::write(directory.join("big"), vec![b'x'; 1 << 20]).unwrap();
    let many: String = (0..120).map(|number| format!("x-{number}: 1\n")).collect();
    std::fs::write(directory.join("many"), many).unwrap();
    let authority = Authority::new();
    let pair = authority.issue("server", &["localhost"]);
    let files = format!("/files={}", served.display());
    let options = [
        "--no-access-log",
        "--compress",
        "--compress-min-size",
        "0",
        "--client-header",
        "x-client",
        "--static",
        &files,
    ];
    let tls = [
        "--ssl-certfile",
        &pair.certificate,
        "--ssl-keyfile",
        &pair.key,
    ];
    let mut wrong = Vec::new();
    for (name, by, component) in [
        ("Rust", By::Guest, guest("behaviours")),
        ("C", By::Guest, built("guests/c/server")),
        ("Go", By::Guest, built("guests/go/server")),
        (
            "JavaScript",
            By::Fetch,
            built("guests/javascript/tests/platform.ts"),
        ),
        ("ASGI", By::Guest, built("guests/python/starlette")),
        ("WSGI", By::Guest, built("guests/python/flask")),
    ] {
        let clear = Server::component(&component).args(options).start();
        let secure = Server::component(&component)
            .args(options)
            .args(&tls)
            .start();
        let place = Place {
            servers: [&clear, &secure],
            directory: &directory,
        };
        let unread = if name == "Rust" {
            "/ignore-body"
        } else {
            "/nothing"
        };
        wrong.extend(place.judge(name, by, "/request/", unread));
        if name == "Rust" {
            for (name, by, at) in [
                ("files", By::File, "/files/note.txt"),
                ("redirects", By::Redirect, "/files/directory"),
                ("refusals", By::Refusal, "/request/"),
            ] {
                wrong.extend(place.judge(name, by, at, at));
            }
        }
        let printed = [clear.printed(), secure.printed()].concat();
        assert!(!printed.contains("trapped"), "{printed}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
