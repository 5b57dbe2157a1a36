//! What an operator sees of lines of the logs that cannot be written: they were lost without a word, and counted nowhere.

use crate::harness::limits::SmallDisk;
use crate::harness::{Connection, Folder, Server, eventually, get, guest};
use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

const LOST: &str = "wasmserve_log_lines_lost_total{log=\"access\"}";
const TOLD: &str = "Lines of the access log are lost, as `";

fn count(text: &str, of: &str) -> usize {
    text.lines().filter(|line| line.contains(of)).count()
}

#[test]
fn an_access_log_that_cannot_be_written_is_told_once_in_the_other_log_and_counted() {
    let watched = Server::component(guest("hello"))
        .option("--access-logfile", "/dev/full")
        .watched();
    for _ in 0..3 {
        assert_eq!(get(watched.server.address, "/").status, 200);
    }
    let line = watched.server.wait_for(TOLD);
    assert!(line.starts_with("WARNING"), "{line}");
    assert!(
        line.contains("`/dev/full`") && line.contains("No space left"),
        "{line}"
    );
    eventually("the lines are counted", || watched.metric(LOST) == 3.0);
    assert_eq!(
        watched.metric("wasmserve_log_lines_lost_total{log=\"main\"}"),
        0.0
    );
    assert_eq!(count(&watched.server.printed(), TOLD), 1);
}

#[test]
fn a_log_that_cannot_be_written_is_told_once_on_standard_error() {
    let told = "Lines of the log are lost, as `/dev/full` cannot be written: No space left";
    let mut server = Server::component(guest("hello"))
        .workers(2)
        .option("--log-file", "/dev/full")
        .until(told)
        .start();
    eventually("both workers are there", || server.workers().len() == 2);
    server.signal(Signal::SIGTERM);
    assert!(server.wait().success());
    assert_eq!(count(&server.printed(), told), 1);
}

/// The reader of a pipe goes away, and another comes.
#[test]
fn lines_are_written_again_once_somebody_reads_and_say_what_is_missing() {
    let folder = Folder::new("lost-pipe");
    let pipe = folder.file("pipe");
    nix::unistd::mkfifo(pipe.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let reader = || {
        let mut options = File::options();
        options.read(true).custom_flags(nix::libc::O_NONBLOCK);
        options.open(&pipe).unwrap()
    };
    let first = reader();
    let watched = Server::component(guest("hello"))
        .option("--access-logfile", &pipe)
        .watched();
    drop(first);
    get(watched.server.address, "/one");
    get(watched.server.address, "/two");
    assert!(watched.server.wait_for(TOLD).contains("Broken pipe"));
    eventually("the lines are counted", || watched.metric(LOST) == 2.0);
    let mut second = reader();
    get(watched.server.address, "/three");
    let mut read = String::new();
    eventually("the line is there", || {
        let _ = second.read_to_string(&mut read);
        read.contains("GET /three")
    });
    assert!(
        read.contains("2 log lines were lost: Broken pipe"),
        "{read}"
    );
    assert_eq!(watched.metric(LOST), 2.0);
}

/// Lines of a file wait in a pipe meanwhile, of which most are written once there is room.
#[test]
fn a_log_on_a_disk_that_is_full_is_told_and_goes_on_when_there_is_room_again() {
    let Some(disk) = SmallDisk::new("log", 256) else {
        return;
    };
    let (log, filler) = (disk.path().join("log"), disk.path().join("filler"));
    let watched = Server::component(guest("hello"))
        .option("--access-logfile", &log)
        .watched();
    get(watched.server.address, "/before");
    eventually("the log is written", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("/before"))
    });
    assert!(
        fs::write(&filler, vec![0; 256 << 10]).is_err(),
        "the disk is full"
    );
    // The page that the log has begun has room for a few more.
    let long = format!("/{}", "x".repeat(1000));
    let mut connection = Connection::open(watched.server.address);
    for _ in 0..8 {
        assert_eq!(connection.get(&long).response().unwrap().status, 200);
    }
    let name = format!("`{}`", log.display());
    let line = watched
        .server
        .wait_for(&format!("{name} cannot be written"));
    assert!(line.contains("No space left"), "{line}");
    fs::remove_file(&filler).unwrap();
    watched.server.wait_for(&format!("{name} is written again"));
    get(watched.server.address, "/after");
    eventually("nothing is lost", || {
        let text = fs::read_to_string(&log).unwrap();
        text.contains("/after") && count(&text, &long) == 8
    });
    assert_eq!(watched.metric(LOST), 0.0);
}
