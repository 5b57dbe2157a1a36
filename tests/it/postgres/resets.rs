//! A server of PostgreSQL that breaks off, in the middle of a statement and between two: the guest is told what happened,
//! nothing is asked twice, and no connection that is broken is lent once more.

use super::hostile::{READY, take};
use super::{ONE, ask, path, postgres, serve};
use crate::harness::{Connection, Postgres, Server, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;

/// Runs for as long as nobody ends it.
const SLEEP: &str = "select pg_sleep(600)";

/// Where the connections of the workers are.
const OURS: &str = "select pid from pg_stat_activity where application_name = 'wasmserve'";

/// Has a guest run statements of which one does not end, and do what is to be done meanwhile. Returns what the guest says.
fn broken_off(server: &Server, postgres: &Postgres, statements: &[&str], act: &str) -> String {
    let mut client = Connection::open(server.address);
    client.get(&path("query", statements)).send().unwrap();
    let running = format!("{OURS} and state = 'active' and query like '%pg_sleep(600)%'");
    eventually("the statement runs", || !postgres.ask(&running).is_empty());
    let pid = postgres.ask(&running);
    match act {
        "terminate" => {
            postgres.ask(&format!("select pg_terminate_backend({pid})"));
        }
        _ => kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap(),
    }
    client.response().unwrap().text()
}

#[test]
fn a_server_that_breaks_off_a_statement_is_told_of_and_not_asked_again() {
    let postgres = postgres();
    postgres.ask("create table t (n int)");
    let server = serve(&postgres.url(), &ONE);
    let worker = server.workers();
    let count = || postgres.ask("select count(*) from t");
    let in_transaction = ["begin", "insert into t values (1)", SLEEP, "commit"];
    for statements in [
        &[SLEEP][..],
        &in_transaction,
        &["insert into t select 1 from (select pg_sleep(600)) as s"],
    ] {
        let said = broken_off(&server, &postgres, statements, "terminate");
        assert!(
            said.starts_with("error 57P01 terminating connection"),
            "{said}"
        );
        assert_eq!(ask(&server, "query", &["select 1 as a"]), "a: 1");
        assert_eq!(count(), "0");
    }
    server.wait_for("WARNING:  database `app` failed a guest: terminating connection");
    // The server ends all of its connections when one of its processes is killed, and begins anew.
    let said = broken_off(&server, &postgres, &in_transaction, "kill");
    assert!(
        said.starts_with("error Error::ConnectionFailed(\""),
        "{said}"
    );
    eventually("the database is used again", || {
        ask(&server, "query", &["select 1 as a"]) == "a: 1"
    });
    assert_eq!(count(), "0");
    assert_eq!(server.workers(), worker, "no worker has ended");
    let printed = server.printed();
    assert!(!printed.contains("secret"), "{printed}");
}

/// A worker that was busy has not heard yet that its connection has ended, and would lend it.
#[test]
fn a_connection_that_has_ended_unheard_is_not_lent() {
    let postgres = postgres();
    let server = serve(&postgres.url(), &ONE);
    let mut client = Connection::open(server.address);
    for _ in 0..5 {
        let first = client.get(&path("query", &["select 1 as a"]));
        assert_eq!(first.response().unwrap().text(), "a: 1");
        let idle = format!("{OURS} and state = 'idle' and query not like '%1 as a%'");
        eventually("the connection is idle", || !postgres.ask(&idle).is_empty());
        let worker = Pid::from_raw(server.workers()[0]);
        kill(worker, Signal::SIGSTOP).unwrap();
        postgres.ask(&format!("select pg_terminate_backend(({OURS}))"));
        eventually("the connection is gone", || postgres.ask(OURS).is_empty());
        client
            .get(&path("query", &["select 2 as a"]))
            .send()
            .unwrap();
        kill(worker, Signal::SIGCONT).unwrap();
        assert_eq!(client.response().unwrap().text(), "a: 2");
    }
}

#[test]
fn what_the_database_ends_by_its_own_rules_is_an_error_of_the_statement_alone() {
    let postgres = postgres();
    let url = format!("{}?options=-c%20statement_timeout%3D300", postgres.url());
    let server = serve(&url, &ONE);
    let process = ["select pg_backend_pid() as pid"];
    let first = ask(&server, "query", &process);
    let said = ask(&server, "query", &[SLEEP]);
    assert!(
        said.starts_with("error 57014 canceling statement"),
        "{said}"
    );
    assert_eq!(ask(&server, "query", &process), first);
}

#[test]
fn a_database_that_takes_no_more_connections_says_so_and_the_others_go_on() {
    let postgres = postgres();
    let role = "create role plain login password 'secret' connection limit 1";
    postgres.ask(role);
    let url = postgres.url().replace("tester", "plain");
    let server = serve(&url, &["--workers", "1", "--limit-sql-connections", "2"]);
    for _ in 0..3 {
        eventually("one is free", || {
            ask(&server, "query", &["select 1 as a"]) == "a: 1"
        });
        let said = ask(&server, "second", &["select 1 as a"]);
        assert!(
            said.starts_with("error Error::ConnectionFailed(\"the database cannot be reached: too many connections"),
            "{said}"
        );
        // The one that there is may still be cleaned.
        eventually("it is lent again", || {
            ask(&server, "query", &["select 1 as a"]) == "a: 1"
        });
    }
    server.wait_for("failed a guest: the database cannot be reached: too many connections");
}

/// Plays a server that takes statements until one has this text, and breaks off then; says of each statement that it came.
fn breaks_off_at(text: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (came, statements) = channel();
    spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let _ = play(stream, text, |statement| came.send(statement).is_ok());
        }
    });
    let url = format!("postgres://tester:secret@localhost:{port}/postgres");
    (url, statements)
}

fn play(mut stream: TcpStream, text: &str, came: impl Fn(String) -> bool) -> std::io::Result<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    take(&mut stream, length)?;
    stream.write_all(b"R\0\0\0\x08\0\0\0\0")?;
    stream.write_all(READY)?;
    let (mut kind, mut has_bound) = ([0], false);
    while stream.read_exact(&mut kind).is_ok() {
        stream.read_exact(&mut length)?;
        let message = take(&mut stream, length)?;
        let said = String::from_utf8_lossy(&message).into_owned();
        match &kind {
            b"P" if said.contains("marked") => {
                assert!(came(said.clone()));
                if said.contains(text) {
                    return Ok(());
                }
            }
            b"B" => has_bound = true,
            b"S" if std::mem::take(&mut has_bound) => {
                stream.write_all(
                    b"1\0\0\0\x042\0\0\0\x04n\0\0\0\x04C\0\0\0\x0aBEGIN\0Z\0\0\0\x05T",
                )?;
            }
            b"S" => {
                stream.write_all(b"1\0\0\0\x04t\0\0\0\x06\0\0n\0\0\0\x04")?;
                stream.write_all(READY)?;
            }
            b"Q" => {
                stream.write_all(b"C\0\0\0\x0aRESET\0")?;
                stream.write_all(READY)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a statement was done is not known then: it may be asked once more by the application alone.
#[test]
fn a_statement_whose_server_is_gone_is_sent_once() {
    let (url, statements) = breaks_off_at("insert");
    let server = serve(&url, &ONE);
    let transaction = [
        "begin /* marked */",
        "insert /* marked */",
        "commit /* marked */",
    ];
    for round in 0..3 {
        let said = ask(&server, "execute", &transaction);
        assert!(
            said.starts_with("error Error::ConnectionFailed("),
            "{round}: {said}"
        );
        assert!(said.contains("connection"), "{said}");
        let came: Vec<String> = statements.try_iter().collect();
        assert_eq!(came.len(), 2, "{came:?}");
    }
    let (url, statements) = breaks_off_at("commit");
    let server = serve(&url, &ONE);
    let said = ask(&server, "execute", &transaction);
    assert!(said.starts_with("error Error::ConnectionFailed("), "{said}");
    assert_eq!(statements.try_iter().count(), 3);
}
