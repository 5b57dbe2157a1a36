//! The machine's clock, which libfaketime plays: it says what a file says.

use crate::harness::{Folder, HELLO, Server, finished, get};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

/// The library is in a folder that is named after the machine.
fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten();
    let mut libraries = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    let library = libraries.find(|library| library.exists());
    library.expect("Debian's package libfaketime is installed by tests/packages")
}

/// What HTTP/2 is told.
fn date_in_http2(address: SocketAddr) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-si", "--max-time", "10", "--http2-prior-knowledge"]);
    curl.arg(format!("http://{address}/"));
    let answer = String::from_utf8(finished(curl).stdout).unwrap();
    let date = answer.lines().find_map(|line| line.strip_prefix("date: "));
    date.unwrap_or_else(|| panic!("no date in {answer}"))
        .to_owned()
}

#[test]
fn the_date_follows_the_clock_forwards_and_back() {
    let folder = Folder::new("clock");
    let said = folder.path().join("time");
    fs::write(&said, "2001-09-09 01:46:40\n").unwrap();
    // Workers could not read the file from inside their sandbox. What waits is not to wait by this clock.
    let server = Server::component(HELLO)
        .arg("--no-sandbox")
        .env("LD_PRELOAD", faketime())
        .env("FAKETIME_TIMESTAMP_FILE", &said)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME_DISABLE_SHM", "1")
        .env("TZ", "UTC")
        .start();
    for (time, date) in [
        ("2001-09-09 01:46:40", "Sun, 09 Sep 2001 01:46:40 GMT"),
        ("2001-09-09 02:00:00", "Sun, 09 Sep 2001 02:00:00 GMT"),
        ("1999-12-31 23:59:59", "Fri, 31 Dec 1999 23:59:59 GMT"),
        ("2040-01-01 00:00:00", "Sun, 01 Jan 2040 00:00:00 GMT"),
    ] {
        // Whole, or not at all: the server may read at any time.
        let next = folder.path().join("next");
        fs::write(&next, format!("{time}\n")).unwrap();
        fs::rename(&next, &said).unwrap();
        assert_eq!(get(server.address, "/").header("date"), Some(date));
        assert_eq!(date_in_http2(server.address), date);
    }
}
