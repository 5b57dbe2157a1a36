//! Files of SQLite that are not as they have to be: the guest and the operator are told, no worker ends over it, and what
//! is mended is used again.

use super::{file, serve};
use crate::harness::databases::ask;
use crate::harness::limits::{SmallDisk, limit_files};
use crate::harness::{Server, eventually, guest};
use rusqlite::Connection as Native;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

const COUNT: [&str; 1] = ["select count(*) as n from t where b is not null"];

/// Makes a database of many pages, which has no files beside it.
fn made(path: &Path, rows: u32) {
    let native = Native::open(path).unwrap();
    let rows = format!(
        "pragma journal_mode = wal; create table t (a, b); \
         with recursive c(n) as (select 1 union all select n + 1 from c where n < {rows}) \
         insert into t select n, hex(zeroblob(500)) from c"
    );
    native.execute_batch(&rows).unwrap();
    native.close().unwrap();
}

/// A server with one worker, and what it says of the statements.
fn served(path: &Path) -> Server {
    serve(path, &["--workers", "1"])
}

fn query(server: &Server, statements: &[&str]) -> String {
    ask(server, "query", statements)
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_the_end_of_no_worker() {
    let database = file("limited");
    made(&database, 100);
    let server = served(&database);
    let workers = server.workers();
    let insert = ["insert into t values (0, zeroblob(1000000))"];
    limit_files(workers[0], Some(100_000));
    let said = query(&server, &insert);
    assert!(
        said.starts_with("error Error::Io(\"its file cannot be read or written: "),
        "{said}"
    );
    server.wait_for("WARNING:  database `app` failed a guest: its file cannot be read or written");
    assert_eq!(query(&server, &COUNT), "n: 100");
    limit_files(workers[0], None);
    assert_eq!(query(&server, &insert), ": ");
    assert_eq!(query(&server, &COUNT), "n: 101");
    assert_eq!(server.workers(), workers, "no worker has ended");
}

#[test]
fn a_full_disk_is_told_and_has_room_again() {
    let Some(disk) = SmallDisk::new("sqlite", 1024) else {
        return;
    };
    let database = disk.path().join("app.db");
    made(&database, 100);
    let server = served(&database);
    let workers = server.workers();
    let transaction = [
        "begin",
        "insert into t values (0, 'x')",
        "insert into t values (0, zeroblob(2000000))",
        "commit",
    ];
    for _ in 0..3 {
        assert_eq!(query(&server, &transaction), "error Error::DatabaseFull");
        assert_eq!(query(&server, &COUNT), "n: 100");
    }
    server.wait_for("WARNING:  database `app` failed a guest: its disk is full");
    assert_eq!(query(&server, &["insert into t values (0, 'x')"]), ": ");
    assert_eq!(query(&server, &COUNT), "n: 101");
    assert_eq!(server.workers(), workers, "no worker has ended");
}

#[test]
fn a_file_that_may_not_be_written_is_read() {
    let database = file("closed");
    made(&database, 10);
    let server = served(&database);
    let set = |mode| fs::set_permissions(&database, Permissions::from_mode(mode)).unwrap();
    set(0o444);
    let said = query(&server, &["insert into t values (0, 'x')"]);
    assert!(
        said.starts_with("error Error::Io(\"its file cannot be written: "),
        "{said}"
    );
    server.wait_for("WARNING:  database `app` failed a guest: its file cannot be written");
    assert_eq!(query(&server, &COUNT), "n: 10");
    // SQLite gives an empty file beside it the same rights.
    set(0o644);
    let said = query(&server, &["insert into t values (0, 'x')"]);
    assert!(
        said == ": " || said.contains("its file cannot be written: "),
        "{said}"
    );
    for beside in ["-wal", "-shm"] {
        let path = format!("{}{beside}", database.display());
        fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    }
    assert_eq!(query(&server, &["delete from t where a = 0"]), ": ");
    // That is a guest's own doing, and no news.
    let own = ["pragma query_only = 1", "delete from t"];
    let said = query(&server, &own);
    assert!(said.contains("readonly database"), "{said}");
    assert!(!said.contains("cannot be written"), "{said}");
}

#[test]
fn what_is_damaged_is_said_and_used_again_when_it_is_whole() {
    let database = file("damaged");
    made(&database, 1000);
    let whole = fs::read(&database).unwrap();
    let server = served(&database);
    let workers = server.workers();
    let open = || File::options().write(true).open(&database).unwrap();
    let page = 4096;
    let write = |at: usize, bytes: &[u8]| open().write_all_at(bytes, at as u64).unwrap();
    type Damage<'a> = Box<dyn Fn() + 'a>;
    let damages: [(&str, Damage<'_>); 4] = [
        (
            "its file is damaged: ",
            Box::new(|| write(20 * page, &[0xff; 8192])),
        ),
        (
            "its file is damaged: ",
            Box::new(|| open().set_len(3 * page as u64 + 7).unwrap()),
        ),
        (
            "its file is no database of SQLite: ",
            Box::new(|| write(0, &[b'x'; 100])),
        ),
        ("its file is ", Box::new(|| write(100, &[0xff; 3000]))),
    ];
    for (said, damage) in damages {
        damage();
        let answer = query(&server, &COUNT);
        assert!(
            answer.starts_with(&format!("error Error::Io(\"{said}")),
            "{said}: {answer}"
        );
        server.wait_for(&format!("WARNING:  database `app` failed a guest: {said}"));
        write(0, &whole);
        assert_eq!(query(&server, &COUNT), "n: 1000", "{said}");
    }
    assert_eq!(server.workers(), workers, "no worker has ended");
}

/// What SQLite keeps beside a file would be taken for that of another in its place.
#[test]
fn a_file_in_the_place_of_another_is_not_touched_until_it_is_served() {
    let (database, other, aside) = (file("replaced"), file("new"), file("aside"));
    made(&database, 10);
    made(&other, 1000);
    let server = served(&database);
    assert_eq!(query(&server, &["insert into t values (0, 'x')"]), ": ");
    fs::rename(&database, &aside).unwrap();
    let said = query(&server, &COUNT);
    assert!(
        said.starts_with("error Error::Io(\"its file cannot be found: "),
        "{said}"
    );
    assert!(!database.exists(), "nobody makes it anew");
    let before = fs::read(&other).unwrap();
    fs::rename(&other, &database).unwrap();
    for statements in [&COUNT[..], &["insert into t values (0, 'x')"]] {
        let said = query(&server, statements);
        assert!(
            said.starts_with("error Error::Io(\"its file was replaced while it is served; "),
            "{said}"
        );
    }
    server.wait_for("WARNING:  database `app` failed a guest: its file was replaced");
    assert!(fs::read(&database).unwrap() == before, "it was written to");
    fs::rename(&aside, &database).unwrap();
    assert_eq!(query(&server, &COUNT), "n: 11");
}

/// Nobody can tell that it is another's: whatever it says, it is an answer.
#[test]
fn the_write_ahead_log_of_another_database_ends_no_worker() {
    let (database, other) = (file("own-log"), file("other-log"));
    made(&database, 50);
    made(&other, 500);
    let native = Native::open(&other).unwrap();
    native
        .execute_batch("update t set a = a + 1; insert into t values (0, hex(zeroblob(50000)))")
        .unwrap();
    let beside = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
    fs::copy(beside(&other), beside(&database)).unwrap();
    drop(native);
    let server = served(&database);
    let workers = server.workers();
    for statement in [
        "pragma integrity_check",
        COUNT[0],
        "insert into t values (0, 'x')",
        "delete from t",
    ] {
        let said = query(&server, &[statement]);
        assert!(!said.is_empty(), "{statement}");
    }
    eventually("the worker answers", || {
        query(&server, &["select 1 as a"]) == "a: 1"
    });
    assert_eq!(server.workers(), workers, "no worker has ended");
}

/// A server that was killed leaves its log, and what is put in the place of the file from a backup was changed back by it,
/// without an error.
#[test]
fn a_file_is_not_served_whose_log_was_there_before_it() {
    let (database, backup, killed) = (file("put-back"), file("backup"), file("killed"));
    made(&backup, 1000);
    made(&killed, 10);
    let native = Native::open(&killed).unwrap();
    native
        .execute_batch("insert into t values (0, 'x')")
        .unwrap();
    let beside = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
    let log = beside(&database);
    fs::copy(beside(&killed), &log).unwrap();
    let made_at = |path: &Path| fs::metadata(path).unwrap().created().unwrap();
    // The kernel's clock ticks a few hundred times a second.
    eventually("the file is newer", || {
        let _ = fs::remove_file(&database);
        fs::copy(&backup, &database).unwrap();
        made_at(&database) > made_at(&log)
    });
    for (component, option) in [
        ("behaviours-sqlite", ["--sqlite", "app="]),
        ("behaviours-keyvalue", ["--keyvalue", "sqlite:"]),
    ] {
        let place = format!("{}{}", option[1], database.display());
        let ended = Server::component(guest(component))
            .option(option[0], place)
            .finished();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success(), "{said}");
        assert!(said.contains("-wal` was there before the file"), "{said}");
    }
    assert!(fs::read(&database).unwrap() == fs::read(&backup).unwrap());
    fs::remove_file(&log).unwrap();
    assert_eq!(query(&served(&database), &COUNT), "n: 1000");
}

/// Backups copy in the order of names, or in none.
#[test]
fn a_log_that_was_copied_before_its_file_is_taken_in_as_the_error_says() {
    let (database, killed) = (file("copied"), file("copied-from"));
    made(&killed, 10);
    let native = Native::open(&killed).unwrap();
    let more = "insert into t values (11, 'x')";
    native.execute_batch(more).unwrap();
    let beside = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
    fs::copy(beside(&killed), beside(&database)).unwrap();
    let made_at = |path: &Path| fs::metadata(path).unwrap().created().unwrap();
    eventually("the file is newer", || {
        let _ = fs::remove_file(&database);
        fs::copy(&killed, &database).unwrap();
        made_at(&database) > made_at(&beside(&database))
    });
    let ended = Server::component(guest("behaviours-sqlite"))
        .option("--sqlite", format!("app={}", database.display()))
        .finished();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let remedy = format!("`sqlite3 {} '", database.display());
    let (_, pragma) = said.split_once(&remedy).unwrap_or_else(|| panic!("{said}"));
    let (pragma, _) = pragma.split_once('\'').unwrap();
    let row =
        Native::open(&database).and_then(|it| it.query_row(pragma, (), |row| row.get::<_, i64>(0)));
    assert_eq!(row, Ok(0), "the log was taken in");
    assert_eq!(query(&served(&database), &COUNT), "n: 11");
}

/// SQLite has `-shm` mapped: a worker that reads what is no longer there ends.
#[test]
fn a_shared_index_that_is_cut_short_loses_nothing_that_was_committed() {
    let database = file("cut-short");
    made(&database, 10);
    let server = served(&database);
    let first = server.workers();
    assert_eq!(query(&server, &["insert into t values (11, 'x')"]), ": ");
    let shared = format!("{}-shm", database.display());
    File::options()
        .write(true)
        .open(shared)
        .unwrap()
        .set_len(0)
        .unwrap();
    let broken = get_or_none(&server);
    assert_eq!(broken, None, "the client sees that it has no answer");
    server.wait_for("killed by SIGBUS: a file that it has mapped was cut short");
    eventually("another worker answers", || {
        get_or_none(&server).is_some_and(|said| said == "n: 11")
    });
    assert_eq!(query(&server, &["insert into t values (12, 'x')"]), ": ");
    assert_eq!(query(&server, &COUNT), "n: 12");
    assert_ne!(server.workers(), first);
}

fn get_or_none(server: &Server) -> Option<String> {
    let path = crate::harness::databases::path("query", &COUNT);
    let response = server.connect().get(&path).response();
    response.ok().map(|response| response.text())
}
