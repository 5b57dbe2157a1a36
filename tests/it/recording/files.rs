//! What a guest has read of its directories is given again where they are gone.

use super::{SAME, recording, recordings, replayed};
use crate::harness::{Folder, get, guest, text};
use std::fs;

/// A directory with a file, a link to it, and one that is too long for a recording.
fn data() -> Folder {
    let data = Folder::new("data");
    fs::write(data.file("data.txt"), "what stands in it").unwrap();
    std::os::unix::fs::symlink("data.txt", data.file("link")).unwrap();
    fs::write(data.file("long.txt"), vec![b'x'; 5 << 20]).unwrap();
    data
}

fn grant(data: &Folder) -> String {
    format!("{}::/data", data.path().display())
}

#[test]
fn a_trap_by_what_a_file_held_is_replayed_where_component_and_files_are_gone() {
    for write in [false, true] {
        let (folder, data) = (Folder::new("by-file"), data());
        let option = if write { "--dir-rw" } else { "--dir" };
        let server = recording(&folder, &[option, &grant(&data)]);
        let query = if write { "?write=yes" } else { "" };
        let target = format!("/trap-by-file{query}");
        assert_eq!(get(server.address, &target).status, 500);
        server.wait_for("a failing request is recorded in ");
        let elsewhere = folder.path().join("moved.wasm");
        fs::copy(guest("behaviours"), &elsewhere).unwrap();
        fs::remove_dir_all(data.path()).unwrap();
        let file = recordings(&folder).remove(0);
        for _ in 0..2 {
            let (output, said) =
                replayed(&file, &["--trace-calls", "--component", text(&elsewhere)]);
            assert!(said.contains(SAME), "{said}");
            assert!(!said.contains("another way"), "{said}");
            assert_eq!(output.status.code(), Some(0));
            let printed = String::from_utf8_lossy(&output.stderr).into_owned();
            let fell = printed.split("fell by ").nth(1).unwrap().lines().next();
            assert!(server.printed().contains(fell.unwrap()), "{printed}");
            let read = "wasi:filesystem read /data/data.txt 65536 at 0 -> {\"Ok\":false}, 17 \
                        bytes: what stands in it";
            assert!(printed.contains(read), "{printed}");
            let appended = "wasi:io/streams write 12 bytes";
            assert_eq!(printed.contains(appended), write, "{printed}");
        }
        assert!(!data.path().exists(), "nothing is written");
    }
}

#[test]
fn files_that_are_longer_than_a_recording_are_not_recorded_and_that_is_said() {
    let (folder, data) = (Folder::new("long-file"), data());
    let server = recording(&folder, &["--dir", &grant(&data)]);
    let length = get(server.address, "/file-length?path=long.txt").text();
    assert_eq!(length, "5242880\n");
    assert!(!server.printed().contains("recorded"), "it has not failed");
    assert_eq!(
        get(server.address, "/trap-by-length?path=long.txt").status,
        500
    );
    server.wait_for("a failing request is not recorded: its bodies, files and values have more");
    assert!(recordings(&folder).is_empty());
    assert_eq!(get(server.address, "/trap-by-length").status, 500);
    server.wait_for("a failing request is recorded in ");
    let content = fs::read(recordings(&folder).remove(0)).unwrap();
    assert!(content.len() < 10_000, "it has what it has read itself");
}

/// In the recorded request another file is named, and the digest fits again.
#[test]
fn a_guest_that_goes_another_way_reads_no_file() {
    let (folder, data) = (Folder::new("other-file"), data());
    let server = recording(&folder, &["--dir", &grant(&data)]);
    let target = "/trap-by-file?path=data.txt";
    assert_eq!(get(server.address, target).status, 500);
    server.wait_for("a failing request is recorded in ");
    let file = recordings(&folder).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let path = b"path=data.txt";
    let at = bytes.windows(path.len()).position(|it| it == path);
    bytes[at.unwrap()..][..path.len()].copy_from_slice(b"path=long.txt");
    let content = bytes.len() - blake3::OUT_LEN;
    let digest = blake3::hash(&bytes[..content]);
    bytes[content..].copy_from_slice(digest.as_bytes());
    fs::write(&file, &bytes).unwrap();
    let (output, said) = replayed(&file, &["--dir", &grant(&data)]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let way = ": recorded was `wasi:filesystem open-at /data/data.txt ";
    assert!(said.contains("It went another way at host call "), "{said}");
    assert!(said.contains(way), "{said}");
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        printed.contains("it can be opened: ErrorCode { code: 31, name: \"not-permitted\""),
        "{printed}"
    );
}
