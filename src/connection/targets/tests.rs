//! These tests show what is replaced in heads of HTTP/2, and put back.

use super::*;

/// A head whose path is this literal, of the kind that `first` says.
fn head(first: &[u8], path: &[u8], is_encoded: bool) -> Vec<u8> {
    let kind = path.len() as u8 | if is_encoded { 0x80 } else { 0 };
    [b"\x82", first, &[kind], path, b"\x86"].concat()
}

/// Gives what the library beneath sees of a path, and what it stands for.
fn seen(
    targets: &mut Targets,
    first: &[u8],
    path: &[u8],
    is_encoded: bool,
) -> (Vec<u8>, Option<String>) {
    let mut head = head(first, path, is_encoded);
    let length = head.len();
    targets.examine(&mut head);
    assert_eq!(head.len(), length);
    let at = 1 + first.len();
    if head[at] & 0x80 != 0 {
        return (head, None);
    }
    let path = head[at + 1..length - 1].to_vec();
    let uri = std::str::from_utf8(&path)
        .ok()
        .and_then(|path| path.parse::<Uri>().ok());
    let restored = uri.map(|mut uri| {
        assert!(targets.restore(&mut uri));
        uri.to_string()
    });
    (path, restored)
}

#[test]
fn what_would_end_a_connection_is_replaced_and_put_back() {
    let mut targets = Targets::default();
    for (path, expected) in [
        (&b"/caf\xe9"[..], "/caf%E9"),
        (b"/a?b=<c>\"`", "/a?b=%3Cc%3E%22%60"),
        (b"/\xc2\x80ab", "/%C2%80ab"),
    ] {
        // With and without indexing, and with a name of its own.
        for first in [&b"\x44"[..], b"\x04", b"\x14", b"\x00\x05:path"] {
            let (seen, restored) = seen(&mut targets, first, path, false);
            assert_eq!(seen.len(), path.len());
            assert_eq!(restored.as_deref(), Some(expected));
        }
    }
    // `/caf` and 0xe9 in Huffman code.
    let (_, restored) = seen(&mut targets, b"\x44", b"\x60\x83\x97\xff\xfe\xbf", true);
    assert_eq!(restored.as_deref(), Some("/caf%E9"));
}

#[test]
fn what_is_no_target_becomes_malformed_and_others_are_left_alone() {
    let mut targets = Targets::default();
    for path in [&b"/a#b"[..], b"/a b", b"/a\x00", b"/a\x7f", b"/\xe9"] {
        let (seen, restored) = seen(&mut targets, b"\x44", path, false);
        assert_eq!((seen[0], restored), (b' ', None), "{path:?}");
    }
    for path in [&b"/"[..], b"/a?b=c%20d", b"*", b"/\xc3\xa9"] {
        assert_eq!(seen(&mut targets, b"\x44", path, false).0, path);
    }
    assert!(targets.kept.is_empty());
}

#[test]
fn nobody_else_can_say_what_stands_for_a_target() {
    let restored = |targets: &Targets, path: &str| targets.restore(&mut path.parse().unwrap());
    let mut targets = Targets::default();
    seen(&mut targets, b"\x44", b"/caf\xe9", false);
    assert!(restored(&targets, "/\u{80}00_"));
    for path in ["/\u{80}01_", "/\u{80}ff", "/\u{80}", "/\u{80}zz"] {
        assert!(!restored(&targets, path), "{path}");
    }
    // A head that was not examined.
    let mut targets = Targets::default();
    seen(&mut targets, b"\x44", b"/caf\xe9", false);
    targets.overlook();
    assert!(!restored(&targets, "/\u{80}00_"));
    // A name from the client's table is that of a target, too.
    let mut targets = Targets::default();
    seen(&mut targets, b"\x44", b"/caf\xe9", false);
    let (_, restored) = seen(&mut targets, b"\x7e", "/\u{80}00".as_bytes(), false);
    assert_eq!(restored.as_deref(), Some("/%C2%8000"));
}

#[test]
fn so_many_targets_are_remembered_and_no_more() {
    let mut targets = Targets::default();
    for number in 0..1000 {
        let path = format!("/<{number:04}");
        let (_, restored) = seen(&mut targets, b"\x44", path.as_bytes(), false);
        assert_eq!(restored, Some(format!("/%3C{number:04}")));
    }
    assert_eq!(targets.kept.len(), MOST);
    let long = [b"/<", &[b'x'; 100][..]].concat();
    for _ in 0..1000 {
        seen(&mut targets, b"\x44", &long, false);
    }
    assert!(targets.bytes <= MOST_BYTES);
}

/// What comes behind it in later heads may be another field for whoever has read on.
#[test]
fn of_a_head_that_ends_too_early_nothing_is_remembered() {
    let mut targets = Targets::default();
    let mut sees_path = |head: &[u8]| targets.examine(&mut head.to_vec()).has_pseudo;
    // A path is added to the table, and then another, whose value is not all there.
    assert!(sees_path(b"\x44\x01/"));
    assert!(sees_path(b"\xbe"));
    sees_path(b"\x44\x05/a");
    assert!(!sees_path(b"\xbe"));
}
