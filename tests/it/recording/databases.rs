//! What databases have answered is given again, and they are not asked.

use super::{SAME, recordings, replayed};
use crate::harness::certificates::Authority;
use crate::harness::databases::{ask, path};
use crate::harness::{Folder, Postgres, Server, get, guest};
use std::fs;
use std::path::Path;

/// Has a request trap, whose guest says this then.
fn traps(server: &Server, statements: &[&str], heard: &str) {
    assert_eq!(get(server.address, &path("trap", statements)).status, 500);
    server.wait_for(heard);
    server.wait_for("a failing request is recorded in ");
}

/// Replays a recording without any database, to the same trap, whose guest says this.
fn traps_again(file: &Path, heard: &str, call: &str) {
    let (output, said) = replayed(file, &["--trace-calls"]);
    assert!(said.contains(SAME), "{said}");
    assert_eq!(output.status.code(), Some(0));
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    for words in [heard, call] {
        assert!(printed.contains(words), "{words} in {printed}");
    }
}

#[test]
fn sqlite_answers_as_it_did_where_its_file_is_gone() {
    let data = Folder::new("sqlite");
    let select = "select n, r, b, a from t where n < 3 order by n";
    let row = "n,r,b,a: 1,Value::Real(0.1),Value::Blob([0, 255]),ä; 2,null,null,null 2 2";
    let wrong = "trapped by Error::Io(\"no such table: nowhere";
    for (statements, heard) in [(&[select][..], row), (&["select * from nowhere"], wrong)] {
        let folder = Folder::new("by-sqlite");
        let server = Server::component(guest("behaviours-sqlite"))
            .option("--sqlite", format!("app={}", data.file("app.db")))
            .option("--record-failures", folder.path())
            .start();
        let make = "create table if not exists t (n integer primary key, r real, b blob, a text)";
        let fill = "insert or replace into t values (1, 0.1, x'00ff', 'ä'), (2, null, null, null)";
        let all = [&[make, fill], statements].concat();
        traps(&server, &all, heard);
        server.stop();
        for entry in fs::read_dir(data.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let file = recordings(&folder).remove(0);
        traps_again(&file, heard, "spin:sqlite execute app insert or replace");
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
    }
}

#[test]
fn rows_that_are_longer_than_a_recording_are_not_recorded_and_that_is_said() {
    let (data, folder) = (Folder::new("sqlite-long"), Folder::new("long-rows"));
    let server = Server::component(guest("behaviours-sqlite"))
        .option("--sqlite", format!("app={}", data.file("app.db")))
        .option("--record-failures", folder.path())
        .start();
    let long = "select printf('%.5000000c', 'x') as a";
    assert_eq!(ask(&server, "query", &[long]), "a: 5000000 bytes");
    assert_eq!(get(server.address, &path("trap", &[long])).status, 500);
    server.wait_for("a failing request is not recorded: its bodies, files and values have more");
    assert!(recordings(&folder).is_empty());
}

#[test]
fn a_request_that_waits_for_a_statement_is_recorded_and_waits_again() {
    let (data, folder) = (Folder::new("sqlite-slow"), Folder::new("slow-rows"));
    let server = Server::component(guest("behaviours-sqlite"))
        .option("--sqlite", format!("app={}", data.file("app.db")))
        .option("--record-failures", folder.path())
        .args(["--timeout-request", "1s"])
        .start();
    let slow =
        "with recursive c(n) as (select 1 union all select n + 1 from c) select max(n) from c";
    let all = ["select 7", slow];
    assert_eq!(get(server.address, &path("query", &all)).status, 504);
    server.wait_for("a failing request is recorded in ");
    let (output, said) = replayed(&recordings(&folder)[0], &[]);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let waited = "while it waited for `spin:sqlite execute app with recursive";
    assert!(said.contains(waited), "{said}");
    let end = "It does not end in its time, as recorded.";
    assert!(said.contains(end), "{said}");
}

#[test]
fn postgres_answers_as_it_did_where_nobody_is_there() {
    let authority = Authority::new();
    let mut postgres = Postgres::start(&authority.issue("postgres", &["localhost"]));
    let select = "select 1 as n, 0.1::float8 as r, null as a, array['a', null] as l";
    let row = "n,r,a,l: 1,DbValue::Floating64(0.1),null,DbValue::ArrayStr([Some(\"a\"), None])";
    let wrong = "trapped by error 42P01 relation";
    let mut files = Vec::new();
    for (statement, heard) in [(select, row), ("select * from nowhere", wrong)] {
        let folder = Folder::new("by-postgres");
        let server = Server::component(guest("behaviours-postgres"))
            .option("--postgres", format!("app={}", postgres.socket_url()))
            .option("--record-failures", folder.path())
            .start();
        traps(
            &server,
            &["create temporary table t (n int)", statement],
            heard,
        );
        files.push((folder, heard));
    }
    postgres.stop();
    for (folder, heard) in files {
        let file = recordings(&folder).remove(0);
        traps_again(
            &file,
            heard,
            "spin:postgres execute app create temporary table",
        );
        let kept = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        assert!(!kept.contains(&postgres.socket_url()), "{kept}");
    }
}
