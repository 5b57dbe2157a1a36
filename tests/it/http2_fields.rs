//! Fields of HTTP/2 that no message may have (RFC 9113 section 8.2.1): they cost their own stream, as in HTTP/1 their own request.

use crate::harness::http2::{self, Http2};
use crate::harness::{Server, guest};

const PSEUDO: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "test"),
    (":path", "/"),
];

/// The names and values of fields, most of which ended the whole connection, and the others were taken.
const ODD: [(&[u8], &[u8]); 18] = [
    (b"X-Upper", b"a"),
    (b"x y", b"a"),
    (b"x\0", b"a"),
    (b"x:y", b"a"),
    (b"\xe9", b"a"),
    (b"X", b""),
    (b":other", b"a"),
    (b":status", b"good"),
    (b"x-odd", b"\0"),
    (b"x-odd", b"a\r\nb: c"),
    (b"x-odd", b"a\x7f"),
    (b"x-odd", b" a"),
    (b"x-odd", b"a "),
    (b"x-odd", b"\ta"),
    (b"x-odd", b"a\t"),
    (b":authority", b"\xe9"),
    (b":scheme", b"\xff"),
    (b":protocol", b"\xff"),
];

/// A literal, of the kind that its first byte says (RFC 7541 section 6.2).
fn literal(first: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    let length = |text: &[u8]| [text.len() as u8];
    [&[first], &length(name)[..], name, &length(value), value].concat()
}

/// A client that has had an answer.
fn served(server: &Server) -> Http2<std::net::TcpStream> {
    let mut client = Http2::open(server.address).unwrap();
    let stream = client.get("/").unwrap();
    assert_eq!(client.answer(stream).unwrap(), b"ok\n");
    client
}

/// Sends a head, which is to be answered with a 400 without a body.
fn is_refused(client: &mut Http2<std::net::TcpStream>, head: &[u8], what: &str) {
    let stream = client.ask(http2::END_STREAM, head).unwrap();
    let answer = client.wait_for(http2::HEADERS).expect(what);
    // `:status 400` of the static table.
    assert_eq!((answer.stream, answer.payload[0]), (stream, 0x8c), "{what}");
    assert!(answer.ends_stream(), "{what}");
}

#[test]
fn a_field_that_no_message_may_have_costs_its_own_stream() {
    let server = Server::component(guest("behaviours")).start();
    let mut client = served(&server);
    let slow = client.get("/sleep?ms=1000").unwrap();
    let sound = http2::raw_head(&PSEUDO);
    for (name, value) in ODD {
        let what = format!("{}: {}", name.escape_ascii(), value.escape_ascii());
        // Without indexing, never with it, with it; then from the client's table, whole and by its name.
        let indexed = literal(0x40, name, value);
        for field in [
            literal(0, name, value),
            literal(0x10, name, value),
            indexed,
            b"\xbe".to_vec(),
        ] {
            is_refused(&mut client, &[&sound[..], &field].concat(), &what);
        }
        if name[0] != b':' && name != b"x-odd" {
            is_refused(&mut client, &[&sound[..], b"\x0f\x2f\x01a"].concat(), &what);
        }
    }
    is_refused(
        &mut client,
        &[b"\x02\x02G ", &sound[13..]].concat(),
        "method",
    );
    server.wait_for("refused a request: its head is malformed (400)");
    // All of this on one connection, on which others are served.
    assert_eq!(client.answer(slow).unwrap(), b"slept\n");
    let sound = client.get("/").unwrap();
    assert_eq!(client.answer(sound).unwrap(), b"ok\n");
}

#[test]
fn the_same_is_refused_however_the_head_comes_and_in_code_of_huffmans() {
    let server = Server::component(guest("behaviours")).start();
    let mut client = served(&server);
    let sound = http2::raw_head(&PSEUDO);
    // One pseudo-header field too many in the first of several frames ends the connection, whatever its value.
    let once = |name: &[u8]| !PSEUDO.iter().any(|(other, _)| other.as_bytes() == name);
    for (name, value) in ODD.into_iter().filter(|(name, _)| once(name)) {
        let what = format!("{}: {}", name.escape_ascii(), value.escape_ascii());
        let head = [&sound[..], &literal(0, name, value), b"\x00\x01a\x01b"].concat();
        for at in [1, sound.len(), sound.len() + 1, sound.len() + 4, head.len()] {
            let stream = client.next_stream();
            let first = &head[..at];
            client
                .send(http2::HEADERS, http2::END_STREAM, stream, first)
                .unwrap();
            let rest = &head[at..];
            client
                .send(http2::CONTINUATION, http2::END_HEADERS, stream, rest)
                .unwrap();
            let answer = client.wait_for(http2::HEADERS).expect(&what);
            assert_eq!((answer.stream, answer.payload[0]), (stream, 0x8c), "{what}");
        }
    }
    // A blank, `a` and a blank; `a` and a line feed; what is none of these.
    for value in [&b"\x83\x50\xd5\x3f"[..], b"\x85\x1f\xff\xff\xff\x9f"] {
        let head = [&sound[..], b"\x00\x05x-odd", value].concat();
        is_refused(&mut client, &head, &value.escape_ascii().to_string());
    }
    let head = [&sound[..], b"\x00\x05x-odd\x81\x1f"].concat();
    let stream = client.ask(http2::END_STREAM, &head).unwrap();
    assert_eq!(client.answer(stream).unwrap(), b"ok\n");
}

#[test]
fn trailers_that_have_such_fields_cost_their_own_stream() {
    let server = Server::component(guest("behaviours")).start();
    let mut client = served(&server);
    let head = http2::head("POST", "/request", &[]);
    let ends = http2::END_HEADERS | http2::END_STREAM;
    for (name, value) in ODD {
        let what = format!("{}: {}", name.escape_ascii(), value.escape_ascii());
        let stream = client.ask(0, &head).unwrap();
        client.send(http2::DATA, 0, stream, b"body").unwrap();
        let trailers = literal(0, name, value);
        client
            .send(http2::HEADERS, ends, stream, &trailers)
            .unwrap();
        let answer = client.wait_for(http2::HEADERS).expect(&what);
        assert_eq!((answer.stream, answer.payload[0]), (stream, 0x8c), "{what}");
    }
    let sound = client.get("/").unwrap();
    assert_eq!(client.answer(sound).unwrap(), b"ok\n");
}

/// What it had added to the client's table was not known, and so the names that came after it were mistaken for others.
#[test]
fn a_head_that_is_too_large_costs_nothing_of_those_after_it() {
    let server = Server::component(guest("behaviours")).start();
    let mut client = served(&server);
    let head = |rest: &[u8]| [b"\x82\x86\x01\x04test", rest].concat();
    // `:path`, which is added to the table.
    let stream = client
        .ask(http2::END_STREAM, &head(b"\x44\x08/request"))
        .unwrap();
    client.answer(stream).unwrap();
    let stream = client.next_stream();
    let large = [
        &head(b"\x84\x40\x05x-odd\x01a")[..],
        &literal(0, b"x-large", &[b'a'; 100]).repeat(700),
    ]
    .concat();
    let pieces: Vec<&[u8]> = large.chunks(16 << 10).collect();
    for (number, piece) in pieces.iter().enumerate() {
        let ends = if number + 1 == pieces.len() { 4 } else { 0 };
        let (kind, flags) = match number {
            0 => (http2::HEADERS, http2::END_STREAM),
            _ => (http2::CONTINUATION, ends),
        };
        client.send(kind, flags, stream, piece).unwrap();
    }
    let answer = client.wait_for(http2::HEADERS).unwrap();
    assert_eq!(answer.stream, stream);
    server.wait_for("431");
    // The name that was added by it, with what is no target, and the target behind it.
    let asked = head(b"\xbf\x0f\x2f\x05a b#c");
    let stream = client.ask(http2::END_STREAM, &asked).unwrap();
    let seen = String::from_utf8(client.answer(stream).unwrap()).unwrap();
    assert!(seen.contains("path /request\n"), "{seen}");
    assert!(seen.contains("header x-odd: a b#c\n"), "{seen}");
}

#[test]
fn a_flood_of_such_heads_ends_its_connection_and_no_other() {
    let server = Server::component(guest("behaviours")).start();
    let (mut client, mut other) = (served(&server), served(&server));
    let field = literal(0, b"x-odd", b" a ");
    let head = [&http2::raw_head(&PSEUDO)[..], &field].concat();
    // Nothing of this reads: the client may be cut off on the way.
    let flood = (0..20_000).try_for_each(|_| client.ask(http2::END_STREAM, &head).map(drop));
    let ended = flood.and_then(|()| client.wait_for(http2::GOAWAY).map(drop));
    drop(ended);
    let sound = other.get("/").unwrap();
    assert_eq!(other.answer(sound).unwrap(), b"ok\n");
}
