//! SQLAlchemy's asyncio in an application in Python: sessions are asked as under uvicorn, on SQLite by aiosqlite and on
//! PostgreSQL. Guards against a stack that cannot be switched, which has functions wait for each other for ever.

use super::services::{Application, posted, written_through_kills};
use super::{place, uvicorn_in};
use crate::harness::certificates::Authority;
use crate::harness::{Postgres, Server, get};
use std::collections::BTreeSet;

const DATABASE: &str = "guests/python/database";

/// One request after the other, and what was answered to each.
fn conversation(server: &Server, kind: &str) -> Vec<String> {
    const ADA: &str = r#"{"name":"Ada","books":[{"title":"a"},{"title":"b"}]}"#;
    let posts = [
        ("authors", ADA),
        ("authors", ADA),
        ("broken/Bob", ""),
        ("nested", ""),
    ];
    let gets = [
        "authors",
        "lazy/Ada",
        "gathered?n=50",
        "gathered?n=50&ms=20",
        "streamed?n=1000",
        "waiting",
        "exhausted",
    ];
    let answered = |path: &str, response: crate::harness::Response| {
        format!("{path}: {} {}", response.status, response.text())
    };
    let at = |path: &str| format!("/async/{kind}/{path}");
    let posted = posts.iter().map(|(path, body)| {
        let response = posted(server, &at(path), body).expect("an answer");
        answered(path, response)
    });
    let mut all: Vec<String> = posted.collect();
    all.extend(gets.map(|path| answered(path, get(server.address, &at(path)))));
    all
}

#[test]
fn sessions_of_sqlalchemys_asyncio_are_answered_as_under_uvicorn() {
    let expected = conversation(
        &uvicorn_in(DATABASE, &place("asyncio-natively"), &[]),
        "sqlite",
    );
    for text in [
        "gathered?n=50: 200 2500",
        "MissingGreenlet",
        r#"["late",0]"#,
        "QueuePool limit",
    ] {
        let all = expected.join("\n");
        assert!(all.contains(text), "natively, without {text}:\n{all}");
    }
    let postgres = Postgres::start(&Authority::new().issue("postgres", &["localhost"]));
    let peer = format!("localhost:{}", postgres.port);
    let url = format!("POSTGRES_URL=postgresql+pg8000://tester:secret@{peer}/postgres");
    let ([fresh, reused], files) = (
        ["1", "100"].map(|reuse| place(&format!("asyncio-{reuse}"))),
        ["asynchronous.db", "database.db"],
    );
    for (reuse, directory) in [("1", fresh), ("100", reused.clone())] {
        let options = ["--reuse", reuse, "--env", &url, "--allow-net", &peer];
        let application = Application::served_in(directory, &options);
        for kind in ["sqlite", "postgres"] {
            let found = conversation(&application.server, kind);
            assert_eq!(found, expected, "{kind}, --reuse {reuse}");
        }
        let never = |what: &str| application.ask(&format!("/async/sqlite/never/{what}"));
        assert!(never("comes").contains("goes on after this one"));
        assert!(never("switches").contains("greenlets cannot be switched between"));
        let printed = application.server.printed();
        assert!(!printed.contains("never awaited"), "{printed}");
        if reuse == "1" {
            // Each worker begins with what one has made: they would all make it at once.
            for file in files {
                std::fs::copy(application.directory.join(file), reused.join(file)).unwrap();
            }
            let emptied = rusqlite::Connection::open(reused.join(files[0])).unwrap();
            emptied
                .execute_batch("delete from book; delete from author")
                .unwrap();
            postgres.ask("truncate author cascade");
        }
    }
}

#[test]
fn what_asyncio_acknowledged_is_in_sqlite_though_workers_are_killed() {
    let application = Application::served("asyncio-sqlite", &[]);
    let server = &application.server;
    let acknowledged = written_through_kills(server, |number| {
        posted(server, &format!("/async/sqlite/rows/{number}"), "")
    });
    let file = application.directory.join("asynchronous.db");
    let native = rusqlite::Connection::open(file).unwrap();
    let numbers = |count: &str| -> BTreeSet<usize> {
        let statement = format!("select n from asked group by n having count(*) {count}");
        let mut found = native.prepare(&statement).unwrap();
        let found = found.query_map([], |row| row.get::<_, u32>(0)).unwrap();
        found.map(|it| it.unwrap() as usize).collect()
    };
    let kept = numbers("= 2");
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "{lost:?} of {}", acknowledged.len());
    assert_eq!(numbers("<> 2"), BTreeSet::new());
}
