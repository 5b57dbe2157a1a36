//! What tests of databases share: statements in the path of a request, and clients that write while workers are killed.

use super::{Connection, Server, SetAtEnd, eventually, get};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// So many clients write at a time.
const CLIENTS: usize = 4;

/// So many workers are killed at least, each after so many more that were acknowledged.
const KILLS: usize = 6;
const BETWEEN: u32 = 20;

/// So many workers are killed at most, until one of them was answering a request.
const MOST_KILLS: usize = 30;

/// Writes statements into the path of a request.
pub fn path(behaviour: &str, statements: &[&str]) -> String {
    let mut path = format!("/{behaviour}?db=app");
    for statement in statements {
        path.push_str("&sql=");
        for byte in statement.bytes() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' => path.push(char::from(byte)),
                _ => write!(path, "%{byte:02x}").unwrap(),
            }
        }
    }
    path
}

/// Has the guest run statements, and returns what it says of the last.
pub fn ask(server: &Server, behaviour: &str, statements: &[&str]) -> String {
    get(server.address, &path(behaviour, statements)).text()
}

/// Writes pairs of rows, each in one transaction that `begin` opens, while one worker after another is killed. Returns
/// the numbers whose transactions were acknowledged: the guest said `done` of them. At least one worker was killed
/// while it was answering.
pub fn write_while_workers_are_killed(
    server: &Server,
    behaviour: &str,
    begin: &str,
    done: &str,
) -> Vec<u32> {
    let (next, acknowledged) = (AtomicU32::new(0), AtomicU32::new(0));
    let (broken_off, over) = (AtomicU32::new(0), AtomicBool::new(false));
    let write = || {
        let mut own = Vec::new();
        while !over.load(Relaxed) {
            let n = next.fetch_add(1, Relaxed);
            let [first, second] =
                ["first", "second"].map(|half| format!("insert into pairs values ({n}, '{half}')"));
            let path = path(behaviour, &[begin, &first, &second, "commit"]);
            let Ok(mut connection) = Connection::try_open(server.address) else {
                continue;
            };
            match connection.get(&path).response() {
                Ok(response) if response.text() == done => {
                    own.push(n);
                    acknowledged.fetch_add(1, Relaxed);
                }
                Ok(_) => {}
                Err(_) => _ = broken_off.fetch_add(1, Relaxed),
            }
        }
        own
    };
    std::thread::scope(|scope| {
        let end = SetAtEnd(&over);
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(write)).collect();
        kill_workers_while(server, &acknowledged, || broken_off.load(Relaxed) > 0);
        drop(end);
        let own = clients.into_iter().map(|client| client.join().unwrap());
        own.flatten().collect()
    })
}

/// Kills one worker after another, without warning, while clients write: each after more was acknowledged. It goes on
/// until this has had the effect that is wanted.
pub fn kill_workers_while(
    server: &Server,
    acknowledged: &AtomicU32,
    has_effect: impl Fn() -> bool,
) {
    let more = || {
        let before = acknowledged.load(Relaxed);
        eventually("more is acknowledged", || {
            acknowledged.load(Relaxed) >= before + BETWEEN
        });
    };
    let mut kills = 0;
    while kills < KILLS || !has_effect() {
        assert!(kills < MOST_KILLS, "no worker was killed while it answered");
        more();
        let workers = server.workers();
        let Some(worker) = workers.get(kills % workers.len().max(1)) else {
            continue;
        };
        // One that was killed before may go meanwhile.
        let killed = kill(Pid::from_raw(*worker), Signal::SIGKILL);
        kills += usize::from(killed.is_ok());
    }
    more();
}

/// Asserts that of the pairs no half is there without the other, and that all that were acknowledged are.
pub fn assert_whole(acknowledged: &[u32], halves: &[u32], kept: &[u32]) {
    assert!(halves.is_empty(), "without the other half: {halves:?}");
    let lost: Vec<_> = acknowledged.iter().filter(|n| !kept.contains(n)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}
