//! Guests use databases of SQLite: each connection is the guest's own, and what is half done goes with it.

mod faults;

use crate::harness::databases::{ask, assert_whole, path, write_while_workers_are_killed};
use crate::harness::{Connection, Server, eventually, finished, get, guest, wasmserve};
use nix::sys::signal::Signal;
use std::path::PathBuf;

const GUEST: &str = "behaviours-sqlite";

/// A place for a database that nobody else has.
fn file(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sqlite");
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join(format!("{name}.db"));
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
    file
}

fn serve(file: &std::path::Path, options: &[&str]) -> Server {
    Server::component(guest(GUEST))
        .option("--sqlite", format!("app={}", file.display()))
        .args(options)
        .start()
}

#[test]
fn statements_do_what_they_say_and_what_is_open_is_rolled_back() {
    let server = serve(&file("statements"), &["--workers", "2"]);
    let ask = |behaviour, statements: &[&str]| ask(&server, behaviour, statements);
    let types = get(server.address, "/types").text();
    assert_eq!(
        types,
        "[Integer(-9223372036854775808), Real(0.1), Text(\"ä'\"), Blob([0, 255]), Null]"
    );
    assert_eq!(
        ask(
            "query",
            &["create table t (n integer primary key, a text unique)"]
        ),
        ": "
    );
    assert_eq!(
        ask("changes", &["insert into t (a) values ('x'), ('y')"]),
        "2 2"
    );
    assert_eq!(
        ask("query", &["select n, a from t order by n"]),
        "n,a: 1,x; 2,y"
    );
    assert_eq!(ask("query", &["select n from t where false"]), "n: ");
    let said = ask("query", &["insert into t (a) values ('x')"]);
    assert!(said.contains("UNIQUE constraint failed: t.a"), "{said}");
    for nothing in ["", " -- nothing", "/* nothing */;", ";"] {
        assert_eq!(ask("query", &[nothing]), ": ", "{nothing}");
        assert_eq!(ask("query", &[nothing, "select 1 as a"]), "a: 1");
    }
    for behaviour in ["query", "trap"] {
        ask(behaviour, &["begin", "delete from t", "select 1"]);
        assert_eq!(ask("query", &["select count(*) as c from t"]), "c: 2");
    }
    let left = [
        "create temporary table mine (n)",
        "pragma foreign_keys = off",
        "select 1",
    ];
    assert!(ask("query", &left).ends_with(": 1"));
    assert_eq!(
        ask("query", &["select count(*) as c from sqlite_temp_master"]),
        "c: 0"
    );
    assert_eq!(ask("query", &["pragma foreign_keys"]), "foreign_keys: 1");
    assert_eq!(ask("query", &["pragma journal_mode"]), "journal_mode: wal");
    // Whoever writes makes others wait, and not for ever.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let said = ask(
                    "query",
                    &[
                        "begin immediate",
                        "insert into t (a) values (null)",
                        "commit",
                    ],
                );
                assert_eq!(said, ": ");
            });
        }
    });
    assert_eq!(ask("query", &["select count(*) as c from t"]), "c: 6");
}

#[test]
fn no_statement_reaches_another_file_or_weakens_what_is_promised() {
    let database = file("limits");
    let other = file("other");
    let server = serve(&database, &["--workers", "1"]);
    let ask = |statement: &str| ask(&server, "query", &[statement]);
    let attached = format!("attach '{}' as other", other.display());
    let put_together = format!("attach ('{}' || '') as other", other.display());
    let copied = format!("vacuum into '{}'", other.display());
    let copied_together = format!("vacuum into ('{}' || '')", other.display());
    for statement in [
        attached.as_str(),
        "attach ':memory:' as m",
        &put_together,
        "attach ? as other",
        &copied,
        &copied_together,
        "pragma synchronous = off",
        "pragma journal_mode = off",
        "pragma writable_schema = on",
        "pragma temp_store_directory = '/tmp'",
        "pragma hard_heap_limit = 0",
        "pragma database_list",
    ] {
        let said = ask(statement);
        assert!(
            said.starts_with("error Error::AccessDenied"),
            "{statement}: {said}"
        );
    }
    let said = ask("select load_extension('x')");
    assert!(said.contains("not authorized"), "{said}");
    assert!(!other.exists());
    assert_eq!(ask("create table t (a)"), ": ");
    for statement in ["vacuum", "pragma user_version = 7"] {
        assert_eq!(ask(statement), ": ", "{statement}");
    }
    assert_eq!(ask("pragma optimize"), "optimize: ");
    assert_eq!(ask("pragma user_version"), "user_version: 7");
    assert!(ask("pragma table_info(t)").contains("0,a,,0,null,0"));
    let said = get(server.address, "/query?db=other&sql=select").text();
    assert_eq!(said, "error Error::NoSuchDatabase");
    server.wait_for("there is no database `other`; --sqlite other=PATH would grant it");
}

/// The processor time that the threads of a process have taken, but for its first, in hundredths of a second.
fn ticks_beside_main(pid: i32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let others = threads.map(|entry| entry.unwrap().path());
    let others = others.filter(|path| !path.ends_with(pid.to_string()));
    let ticks = others.filter_map(|path| {
        let stat = std::fs::read_to_string(path.join("stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
        Some(fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?)
    });
    ticks.sum()
}

/// Never ends.
const LONG: &str =
    "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c";

#[test]
fn a_statement_ends_with_its_time_and_its_request_and_takes_no_more_than_there_is() {
    let options = [
        "--workers",
        "1",
        "--limit-sql-connections",
        "1",
        "--max-memory",
        "64MiB",
    ];
    let database = file("long");
    let server = serve(&database, &options);
    let mut client = Connection::open(server.address);
    client.get(&path("query", &[LONG])).send().unwrap();
    let worker = server.workers()[0];
    eventually("the statement runs", || ticks_beside_main(worker) > 10);
    client.reset();
    // There is one connection: it is free when the statement has ended.
    assert_eq!(ask(&server, "query", &["select 1 as a"]), "a: 1");
    let rows = "select hex(zeroblob(50000)) as a from (with recursive c(n) as \
                (select 1 union all select n + 1 from c where n < 5000) select n from c)";
    for large in ["select hex(zeroblob(200000000)) as a", rows] {
        let said = ask(&server, "query", &[large]);
        assert!(said.starts_with("error Error::Io("), "{said}");
        assert_eq!(ask(&server, "query", &["select 1 as a"]), "a: 1");
    }
    drop(server);
    let server = serve(
        &database,
        &[&options[..], &["--timeout-sql", "1s"]].concat(),
    );
    let said = ask(&server, "query", &[LONG]);
    assert!(
        said.contains("took longer than 1s (--timeout-sql)"),
        "{said}"
    );
    assert_eq!(ask(&server, "query", &["select 1 as a"]), "a: 1");
}

/// It runs in a thread, whose time nobody counted.
#[test]
fn a_statement_has_the_processor_time_that_its_request_has_left() {
    let server = serve(&file("cpu"), &["--workers", "1", "--limit-cpu", "500ms"]);
    let half = "with recursive c(n) as (select 1 union all select n + 1 from c where n < 500000) \
                select count(*) from c";
    for statements in [vec![LONG], vec![half; 30]] {
        let response = get(server.address, &path("query", &statements));
        assert_eq!(response.status, 504, "{}", response.text());
    }
    server.wait_for_count("the guest used up its processor time (--limit-cpu)", 2);
    assert_eq!(ask(&server, "query", &["select 1 as a"]), "a: 1");
}

/// What SQLite holds beside the instances had a bound of its own, and ended the workers of a small machine.
#[test]
fn a_statement_takes_no_more_than_a_part_of_the_workers_memory() {
    let rest = "select length(randomblob(30000000)) as a";
    for (memory, said) in [
        ("1GiB", "a: 30000000"),
        ("64MiB", "error Error::Io(\"out of memory\")"),
    ] {
        let server = serve(&file("part"), &["--max-worker-memory", memory]);
        assert_eq!(ask(&server, "query", &[rest]), said);
        assert_eq!(ask(&server, "query", &["select 1 as a"]), "a: 1");
    }
}

/// One instruction of SQLite, which takes hours.
const ONE_INSTRUCTION: &str =
    "select instr(printf('%.*c', 40000000, 'a'), printf('%.*c', 20000000, 'a') || 'b') as a";

/// It held a thread, a connection and a processor until the worker ended, which took all of its time to end.
#[test]
fn a_worker_with_a_statement_that_does_not_end_is_replaced_and_ends() {
    let options = ["--workers", "1", "--timeout-sql", "1s"];
    let mut server = serve(&file("endless"), &options);
    let worker = server.workers()[0];
    let said = ask(&server, "query", &[ONE_INSTRUCTION]);
    assert!(said.contains("took longer than 1s"), "{said}");
    server.wait_for("a statement in database `app` was given up and does not end");
    server.wait_for(&format!(
        "Child process [{worker}] ended: recycled for what a guest"
    ));
    assert_eq!(ask(&server, "query", &["select 1 as a"]), "a: 1");
    // Nor does a stop wait for one.
    let said = ask(&server, "query", &[ONE_INSTRUCTION]);
    assert!(said.contains("took longer than 1s"), "{said}");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!server.printed().contains("killed"), "{}", server.printed());
}

#[test]
fn workers_that_are_killed_leave_no_half_transaction_in_the_file() {
    let database = file("killed");
    let server = serve(&database, &["--workers", "4"]);
    assert_eq!(
        ask(&server, "query", &["create table pairs (n, half)"]),
        ": "
    );
    let acknowledged = write_while_workers_are_killed(&server, "query", "begin immediate", ": ");
    let native = rusqlite::Connection::open(&database).unwrap();
    let numbers = |query: &str| -> Vec<u32> {
        let mut query = native.prepare(query).unwrap();
        let rows = query.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let halves = numbers("select n from pairs group by n having count(*) <> 2");
    let kept = numbers("select distinct n from pairs");
    assert_whole(&acknowledged, &halves, &kept);
}

#[test]
fn a_component_that_needs_a_file_is_told_how_to_get_one() {
    let mut command = wasmserve();
    command.args([&guest(GUEST), "--port", "0"]);
    let output = finished(command);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{printed}");
    assert!(printed.contains("give --sqlite NAME=PATH"), "{printed}");
    let none = file("none");
    std::fs::write(&none, "not a database\n".repeat(100)).unwrap();
    let mut command = wasmserve();
    command.args([&guest(GUEST), "--port", "0", "--sqlite"]);
    command.arg(format!("app={}", none.display()));
    let output = finished(command);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{printed}");
    assert!(
        printed.contains("it is a SQLite file that wasmserve may write"),
        "{printed}"
    );
}
