//! SQLite in a guest, on a file that others use too: what locks it goes with whoever locked it. In a guest, SQLite
//! locks by making a directory, which an instance that ended in the middle of a transaction left behind for ever.

use super::{of_tests, place, trials};
use crate::harness::limits::limit_files;
use crate::harness::{Connection, Server, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::Connection as Native;
use std::path::{Path, PathBuf};
use std::thread::scope;
use std::time::Duration;

struct Database {
    directory: PathBuf,
    server: Server,
}

impl Database {
    fn served(name: &str, options: &[&str]) -> Database {
        let directory = place(name);
        let data = format!("{}::/data", directory.display());
        let all = [&["--dir-rw", &data], options].concat();
        let database = Database {
            server: trials::serve(&of_tests(), &all),
            directory,
        };
        assert_eq!(database.ask("/insert"), (200, "inserted".into()));
        database
    }

    fn ask(&self, path: &str) -> (u16, String) {
        let response = Connection::open(self.server.address)
            .get(path)
            .response()
            .unwrap();
        (response.status, response.text())
    }

    /// An instance is in the middle of a transaction, of which pages are in the file already; what keeps it there.
    fn held(&self) -> Connection {
        let mut client = self.server.connect();
        client.get("/hold").send().unwrap();
        self.server.wait_for("holds the lock");
        client
    }

    fn native(&self) -> rusqlite::Result<i64> {
        let native = Native::open(self.directory.join("a.db"))?;
        native.busy_timeout(Duration::ZERO)?;
        native.query_row("select count(*) from t", [], |row| row.get(0))
    }

    fn is_unlocked(&self) {
        assert_eq!(self.ask("/count"), (200, "{1: 1} ok".into()));
        assert_eq!(self.native(), Ok(1));
        assert_eq!(names(&self.directory), ["a.db"]);
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_transaction_of_a_client_that_leaves_is_rolled_back() {
    let database = Database::served("sqlite-leaves", &[]);
    let client = database.held();
    assert!(database.native().is_err(), "others see the lock");
    assert_eq!(names(&database.directory), ["a.db", "a.db-journal"]);
    drop(client);
    eventually("the lock is released", || database.native() == Ok(1));
    database.is_unlocked();
}

#[test]
fn a_transaction_of_a_killed_worker_is_rolled_back() {
    let database = Database::served("sqlite-killed", &[]);
    let _client = database.held();
    for worker in database.server.workers() {
        let _ = kill(Pid::from_raw(worker), Signal::SIGKILL);
    }
    eventually("the database is whole again", || database.native() == Ok(1));
    database.is_unlocked();
}

#[test]
fn a_transaction_is_rolled_back_however_its_instance_ends() {
    for (how, status, reuse) in [
        ("trap", 500, "1"),
        ("leave", 200, "1"),
        ("spin", 504, "1"),
        ("trap", 500, "10"),
    ] {
        let options = ["--timeout-request", "2s", "--reuse", reuse];
        let database = Database::served("sqlite-ends", &options);
        assert_eq!(database.ask(&format!("/hold?how={how}")).0, status, "{how}");
        eventually(how, || database.native() == Ok(1));
        database.is_unlocked();
    }
}

/// A write beyond what a file may have ended the worker, by a signal.
#[test]
fn a_disk_that_takes_no_more_is_an_error_of_the_statement() {
    let database = Database::served("sqlite-full", &[]);
    let workers = database.server.workers();
    let limit = |bytes| workers.iter().for_each(|pid| limit_files(*pid, bytes));
    limit(Some(20_000));
    let (status, said) = database.ask("/hold?how=held");
    assert_eq!(status, 500);
    assert!(said.starts_with("OperationalError("), "{said}");
    limit(None);
    eventually("it is rolled back", || database.native() == Ok(1));
    database.is_unlocked();
    assert_eq!(database.server.workers(), workers, "no worker has ended");
}

#[test]
fn a_lock_directory_that_was_left_behind_is_removed() {
    let database = Database::served("sqlite-left", &[]);
    let left = database.directory.join("a.db.lock");
    std::fs::create_dir(&left).unwrap();
    // Not even a young one stands in the way for long.
    database.is_unlocked();
    assert!(!left.exists());
    database
        .server
        .wait_for("removed the directory `a.db.lock`");
}

#[test]
fn a_lock_of_another_program_is_respected() {
    let database = Database::served("sqlite-native", &[]);
    let native = Native::open(database.directory.join("a.db")).unwrap();
    native.execute_batch("begin exclusive").unwrap();
    let path = database.ask("/two").1;
    assert_eq!(path, "OperationalError('database is locked')");
    native.execute_batch("commit").unwrap();
    assert_eq!(database.ask("/two").1, "database is locked");
    database.is_unlocked();
}

#[test]
fn no_transaction_is_lost_among_workers_and_other_programs() {
    const EACH: usize = 25;
    let database = Database::served("sqlite-many", &[]);
    scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..EACH {
                    assert_eq!(database.ask("/insert").0, 200);
                }
            });
        }
        scope.spawn(|| {
            let native = Native::open(database.directory.join("a.db")).unwrap();
            native.busy_timeout(Duration::from_secs(30)).unwrap();
            for _ in 0..EACH {
                native.execute("insert into t values (3, '')", []).unwrap();
            }
        });
    });
    let expected = format!("{{1: {}, 3: {EACH}}} ok", 1 + 4 * EACH);
    assert_eq!(database.ask("/count"), (200, expected));
}
