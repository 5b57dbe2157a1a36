//! Locks of SQLite databases in guests of WASI 0.3, which have interfaces of their own for files.

use crate::harness::{Connection, Server, eventually, get, guest};
use rusqlite::Connection as Native;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

struct Database {
    directory: PathBuf,
    server: Server,
}

impl Database {
    fn served(name: &str, options: &[&str]) -> Database {
        let name = format!("{name}-{}", std::process::id());
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let native = Native::open(directory.join("a.db")).unwrap();
        native.execute_batch("create table t (a)").unwrap();
        let data = format!("{}::/data", directory.display());
        Database {
            server: Server::component(guest("behaviours-p3"))
                .option("--dir-rw", data)
                .args(options)
                .start(),
            directory,
        }
    }

    /// An instance has the lock, for as long as this is there.
    fn held(&self, query: &str) -> Connection {
        let mut client = Connection::open(self.server.address);
        client
            .get(&format!("/lock?path=a.db.lock&{query}"))
            .send()
            .unwrap();
        self.server.wait_for("holds a.db.lock");
        client
    }

    fn lock(&self, path: &str) -> String {
        let text = get(self.server.address, &format!("/lock?path={path}")).text();
        text.trim_end().to_owned()
    }

    fn native(&self) -> rusqlite::Result<i64> {
        let native = Native::open(self.directory.join("a.db"))?;
        native.busy_timeout(Duration::ZERO)?;
        native.query_row("select count(*) from t", [], |row| row.get(0))
    }

    fn has_directory(&self) -> bool {
        self.directory.join("a.db.lock").exists()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

const DONE: &str = "made and removed";

/// Guards against locks that outlive who held them, as directories do.
#[test]
fn a_lock_of_a_guest_of_wasi_0_3_goes_with_its_instance() {
    let database = Database::served("locks-p3", &["--workers", "2"]);
    let holder = database.held("ms=60000");
    assert!(!database.has_directory());
    assert!(database.native().is_err(), "others see the lock");
    let refused = database.lock("a.db.lock");
    assert!(
        refused.contains("not made") && refused.contains("Exist"),
        "{refused}"
    );
    drop(holder);
    eventually("the lock is released", || database.native() == Ok(0));
    assert_eq!(database.lock("a.db.lock"), DONE);
    assert!(!database.has_directory());
}

#[test]
fn a_lock_of_a_guest_of_wasi_0_3_is_released_when_it_says_so_or_runs_out_of_time() {
    let database = Database::served("locks-p3-ends", &["--timeout-request", "1s"]);
    let mut holder = database.held("ms=100");
    assert_eq!(holder.response().unwrap().text().trim_end(), DONE);
    assert_eq!(database.native(), Ok(0));
    let mut late = database.held("ms=60000");
    assert_eq!(late.response().unwrap().status, 504);
    eventually("the lock is released", || database.native() == Ok(0));
}

#[test]
fn a_lock_of_another_program_is_respected_by_guests_of_wasi_0_3() {
    let database = Database::served("locks-p3-native", &[]);
    let native = Native::open(database.directory.join("a.db")).unwrap();
    native.execute_batch("begin exclusive").unwrap();
    assert!(database.lock("a.db.lock").starts_with("not made"));
    native.execute_batch("commit").unwrap();
    assert_eq!(database.lock("a.db.lock"), DONE);
    // What is no lock of a database is a directory.
    assert_eq!(database.lock("plain"), DONE);
}
