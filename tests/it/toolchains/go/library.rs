//! What net/http and its kin offer beside plain handlers (`guests/go/server/library.go`).

use super::SERVER;
use crate::harness::{After, DEADLINE, GREETING, Server, Upstream, send};
use crate::toolchains::{built, place, trials};
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex};

fn asked(server: &Server, request: &str) -> String {
    let (line, rest) = request.split_once("\r\n").unwrap_or((request, ""));
    let head = format!("{line} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    let rest = if rest.is_empty() { "\r\n" } else { rest };
    send(server.address, head + rest)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn a_server_says_what_a_context_has_and_where_errors_are_told() {
    let server = trials::serve(&built(SERVER), &[]);
    let told = asked(&server, "GET /lib/context");
    assert!(
        told.ends_with("127.0.0.1:8000 true true 127.0.0.1:8000 <nil>\n"),
        "{told}"
    );
    assert!(asked(&server, "GET /throw").starts_with("HTTP/1.1 500 "));
    server.wait_for("own log: http: panic serving /throw: as asked");
}

/// The first server is the one that is served, whatever certificate it names: who else listens is told so.
#[test]
fn a_server_with_a_certificate_is_served_without_and_a_second_one_is_not() {
    let server = trials::serve(&built(SERVER), &["--env", "SECURE=1"]);
    server.wait_for("serving without TLS, which is the host's: its options --ssl-certfile");
    assert!(asked(&server, "GET /").ends_with("Hello, world!\n"));
    server.wait_for(
        "requests go to the server at 127.0.0.1:8000, and none to the one at 127.0.0.1:6060",
    );
}

#[test]
fn deadlines_end_what_a_handler_waits_for() {
    let server = trials::serve(&built(SERVER), &[]);
    let mut connection = server.connect();
    let head = |path| format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\na");
    connection.write(head("/lib/deadline")).unwrap();
    let answer = connection.response().unwrap();
    assert_eq!(answer.text(), "a <nil>\n<nil>\ntrue\n<nil>\n");
    let mut connection = server.connect();
    connection.write(head("/lib/late")).unwrap();
    let answer = connection.response().unwrap();
    assert_eq!((answer.status, answer.text()), (503, "too late".into()));
}

/// The bridge has it make what it makes when it is first used.
#[test]
fn encoding_json_allocates_as_much_the_first_time_as_later() {
    let server = trials::serve(&built(SERVER), &[]);
    let answer = asked(&server, "GET /lib/json");
    let lines: Vec<&str> = body(&answer).lines().collect();
    assert_eq!(lines.len(), 2, "{answer}");
    assert!(
        lines[0].ends_with(" {\"name\":\"value\"} <nil>"),
        "{answer}"
    );
    assert_eq!(lines[0], lines[1]);
}

/// Answers `/meet` once two have asked for it, and `/never` not at all.
fn meeting() -> Upstream {
    let waiting = Arc::new((Mutex::new(0), Condvar::new()));
    Upstream::start(move |seen, stream| {
        if seen.head.starts_with("GET /never ") {
            return After::Keep;
        }
        let (count, changed) = &*waiting;
        let mut count = count.lock().unwrap();
        *count += 1;
        changed.notify_all();
        let (count, _) = changed
            .wait_timeout_while(count, DEADLINE, |count| *count < 2)
            .unwrap();
        if *count == 2 {
            stream.write_all(GREETING).unwrap();
        }
        After::Keep
    })
}

/// Other goroutines go on while one waits for its answer, and the time-out of a context ends that.
#[test]
fn requests_are_made_at_a_time_by_any_transport_and_given_up_in_time() {
    let upstream = meeting();
    let url = format!("http://{}", upstream.address);
    let server = trials::serve(&built(SERVER), &["--allow-http", &url]);
    let told = asked(&server, &format!("GET /lib/clients?url={url}"));
    assert_eq!(body(&told), "[hello hello] too late\n", "{told}");
}

/// The error was a number.
#[test]
fn a_request_that_is_denied_fails_by_that_name() {
    let server = trials::serve(&built(SERVER), &[]);
    let told = asked(&server, "GET /lib/clients?url=http://127.0.0.1:1");
    let reason = "no response (wasi:http: HTTP-request-denied)";
    assert_eq!(body(&told).matches(reason).count(), 3, "{told}");
}

#[test]
fn a_reverse_proxy_passes_requests_on() {
    let upstream = Upstream::start(|seen, stream| {
        let body = format!("{} {}", seen.head.lines().next().unwrap(), seen.body);
        let length = body.len();
        let head = format!("HTTP/1.1 201 Created\r\nX-From: there\r\nContent-Length: {length}");
        stream
            .write_all(format!("{head}\r\n\r\n{body}").as_bytes())
            .unwrap();
        After::Keep
    });
    let url = format!("http://{}", upstream.address);
    let server = trials::serve(&built(SERVER), &["--allow-http", &url]);
    let fields = format!("X-Target: {url}\r\nContent-Length: 3\r\n\r\nabc");
    let told = asked(&server, &format!("POST /lib/proxy/?a=b\r\n{fields}"));
    assert!(told.starts_with("HTTP/1.1 201 Created\r\n"), "{told}");
    assert!(told.contains("\r\nx-from: there\r\n"), "{told}");
    assert_eq!(body(&told), "POST /lib/proxy/?a=b HTTP/1.1 3", "{told}");
    let head = upstream.seen()[0].head.to_ascii_lowercase();
    assert!(
        head.contains("\r\nx-forwarded-for: 127.0.0.1\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nx-forwarded-host: test\r\n"), "{head}");
}

/// Where no directory is there at all, files were not missing, and an application that reads its settings where it has any ended.
#[test]
fn a_file_is_missing_wherever_it_would_be() {
    for (options, count) in [(&[][..], 10), (&["--dir", "guests/go/server::/data"], 5)] {
        let server = trials::serve(&built(SERVER), options);
        let told = asked(&server, "GET /lib/missing");
        let told = body(&told);
        assert_eq!(told.lines().count(), 10, "{told}");
        // What would be written to what can only be read is not permitted.
        for line in told.lines().take(count) {
            assert!(line.starts_with("true "), "{options:?}: {told}");
            assert!(line.ends_with("No such file or directory"), "{told}");
        }
    }
}

/// Go takes the directory whose name a path begins with, and `/application` began with `/app`.
#[test]
fn a_path_belongs_to_a_directory_by_its_whole_name() {
    let data = place("go-beside");
    let mapped = format!("{}::/app", data.display());
    let server = trials::serve(&built(SERVER), &["--dir-rw", &mapped]);
    let told = asked(&server, "GET /lib/beside");
    let expected =
        "open /application: No such file or directory\n<nil>\n\"one\\n\" 1 \"ne\\ntwo\\n\"\n";
    assert_eq!(body(&told), expected, "{told}");
    let names = std::fs::read_dir(&data).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["kept"]);
}

/// A file that is not to be held in memory has nowhere else to be, without a directory to write to.
#[test]
fn a_form_with_files_is_read_where_nothing_can_be_written() {
    let server = trials::serve(&built(SERVER), &[]);
    let part = |name: &str, text: &str| {
        format!("--b\r\nContent-Disposition: form-data; name={name}\r\n\r\n{text}\r\n")
    };
    let large = "x".repeat(100_000);
    let form = part("a; filename=a.txt", &large)
        + &part("a; filename=b.txt", "small")
        + &part("field", "value")
        + "--b--\r\n";
    let length = form.len();
    let fields =
        format!("Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}");
    let told = asked(
        &server,
        &format!("POST /lib/form\r\n{fields}\r\n\r\n{form}"),
    );
    assert_eq!(
        body(&told),
        "a a.txt 100000 100000 <nil>\na b.txt 5 5 <nil>\nvalue <nil>\n"
    );
    let limited = asked(
        &server,
        &format!("POST /lib/limited\r\nContent-Length: {length}\r\n\r\n{form}"),
    );
    assert!(limited.starts_with("HTTP/1.1 413 "), "{limited}");
}

/// A collection of garbage while the host had memory allocated for a piece of the body ended the instance.
#[test]
fn a_body_is_read_that_takes_many_collections_of_garbage() {
    let server = trials::serve(&built(SERVER), &[]);
    let head = "POST /request/ HTTP/1.1\r\nHost: test\r\nConnection: close\r\n";
    let head = format!("{head}Content-Length: 20000000\r\n\r\n");
    // A field of the answer is not UTF-8.
    let answer = send(
        server.address,
        [head.as_bytes(), &vec![b'x'; 20_000_000]].concat(),
    );
    assert!(answer.ends_with("body 20000000\n"), "{answer}");
}

#[test]
fn embedded_files_are_served_in_parts_and_by_their_heads() {
    let server = trials::serve(&built(SERVER), &[]);
    let whole = asked(&server, "GET /lib/files/go.mod");
    let length = body(&whole).len();
    assert!(body(&whole).starts_with("module "), "{whole}");
    let head = asked(&server, "HEAD /lib/files/go.mod");
    let announced = format!("\r\ncontent-length: {length}\r\n");
    assert!(
        head.contains(&announced) && body(&head).is_empty(),
        "{head}"
    );
    let part = asked(&server, "GET /lib/files/go.mod\r\nRange: bytes=0-5\r\n\r\n");
    assert!(part.starts_with("HTTP/1.1 206 "), "{part}");
    assert!(
        part.contains(&format!("\r\ncontent-range: bytes 0-5/{length}\r\n")),
        "{part}"
    );
    assert_eq!(body(&part), "module");
    let beyond = asked(
        &server,
        "GET /lib/files/go.mod\r\nRange: bytes=99999-\r\n\r\n",
    );
    assert!(beyond.starts_with("HTTP/1.1 416 "), "{beyond}");
}

#[test]
fn trailers_are_read_and_sent() {
    let server = trials::serve(&built(SERVER), &[]);
    let chunks = "TE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n";
    let told = asked(&server, &format!("POST /lib/trailers\r\n{chunks}"));
    assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    assert!(told.contains("\r\ntrailer: X-Read\r\n"), "{told}");
    assert!(told.contains("true abc 7 <nil>  [chunked]\n"), "{told}");
    assert!(told.ends_with("0\r\nx-read: 3\r\n\r\n"), "{told}");
}

/// Nobody is there to be answered: the host ends the handler, and the next request is answered.
#[test]
fn a_client_that_leaves_ends_its_handler() {
    let server = Server::component(built(SERVER)).arg("--reuse=10").start();
    let mut socket = std::net::TcpStream::connect(server.address).unwrap();
    socket
        .write_all(b"GET /slow HTTP/1.1\r\nHost: test\r\n\r\n")
        .unwrap();
    let mut first = [0; 12];
    socket.read_exact(&mut first).unwrap();
    drop(socket);
    assert!(asked(&server, "GET /").ends_with("Hello, world!\n"));
}
