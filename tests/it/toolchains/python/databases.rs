//! MySQL by PyMySQL, and MongoDB by pymongo, from an application that answers natively, too: guards against drivers that
//! can be imported, and need a thread or an encryption that is not there.

use super::ask::{Answer, Ask, get};
use super::services::{Application, DATABASE, posted, written_through_kills};
use super::{differences, place, uvicorn_in};
use crate::harness::certificates::Authority;
use crate::harness::{MariaDb, Mongo, Server};
use std::collections::BTreeSet;

/// The application natively, in a folder of its own.
fn natively(name: &str, environment: &[(&str, &str)]) -> Server {
    uvicorn_in(DATABASE, &place(name), environment)
}

fn answers(server: &Server, paths: &[&str]) -> Vec<(Ask, Answer)> {
    let asked = paths.iter().map(|path| {
        let ask = get(*path);
        let answer = ask.of(server.address);
        (ask, answer)
    });
    asked.collect()
}

fn numbers(lines: &str) -> BTreeSet<usize> {
    lines.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn what_was_acknowledged_is_in_mariadb_though_workers_are_killed() {
    let authority = Authority::new();
    let mariadb = MariaDb::start(&authority.issue("mariadb", &["127.0.0.1", "localhost"]));
    mariadb.ask("create table shop.pairs (n int, half text)");
    let file = authority.file();
    let directory = std::path::Path::new(&file).parent().unwrap();
    let peer = format!("localhost:{}", mariadb.port);
    let native = natively(
        "databases-mysql-native",
        &[("MYSQL", &peer), ("AUTHORITY", &file)],
    );
    let expected = answers(
        &native,
        &[
            "/mysql",
            "/mysql?alone=true",
            "/mysql?tls=true",
            "/mysql?tls=true&alone=true",
            "/mysql/refused",
            "/mysql/refused?tls=true",
        ],
    );
    assert!(expected[2].1.text().contains("TLSv1.3"), "{expected:?}");
    let certificates = format!("{}::/certs", directory.display());
    let environment = format!("MYSQL={peer}");
    let options = [
        "--no-request-id",
        "--dir",
        &certificates,
        "--env",
        "AUTHORITY=/certs/ca.pem",
        "--env",
        &environment,
        "--allow-net",
        &peer,
    ];
    let application = Application::served("databases-mysql", &options);
    let server = &application.server;
    let found = differences(server, &expected);
    assert!(found.is_empty(), "{}", found.join("\n"));
    let acknowledged = written_through_kills(server, |number| {
        let (tls, alone) = (number % 2 == 0, number % 4 < 2);
        posted(
            server,
            &format!("/mysql/rows/{number}?tls={tls}&alone={alone}"),
            "",
        )
    });
    let kept = mariadb.ask("select n from shop.pairs group by n having count(*) = 2");
    let lost: Vec<_> = acknowledged.difference(&numbers(&kept)).copied().collect();
    assert!(lost.is_empty(), "{lost:?} of {}", acknowledged.len());
    let halves = mariadb.ask("select n from shop.pairs group by n having count(*) <> 2");
    assert_eq!(halves, "");
}

#[test]
fn what_was_acknowledged_is_in_what_speaks_as_mongodb_though_workers_are_killed() {
    let mongo = Mongo::start();
    let peer = format!("127.0.0.1:{}", mongo.port);
    let url = format!("mongodb://{peer}/");
    let native = natively("databases-mongo-native", &[("MONGO", &url)]);
    let paths = ["/mongo/pets", "/mongo/pets-async", "/mongo/away"];
    let expected = answers(&native, &paths);
    let environment = format!("MONGO={url}");
    let options = [
        "--no-request-id",
        "--env",
        &environment,
        "--allow-net",
        &peer,
        "--allow-net",
        "127.0.0.1:1",
    ];
    let application = Application::served("databases-mongo", &options);
    let server = &application.server;
    let found = differences(server, &expected);
    assert!(found.is_empty(), "{}", found.join("\n"));
    // What each instance draws for itself: the random part of an ObjectId, its counter, and a file's name.
    let drawn = (0..8).map(|_| {
        let answer = get("/mongo/drawn").of(server.address).text();
        let parts = [&answer[10..20], &answer[20..26], &answer[29..]];
        parts.map(str::to_owned)
    });
    let drawn: Vec<[String; 3]> = drawn.collect();
    for part in 0..3 {
        let distinct: BTreeSet<&String> = drawn.iter().map(|drawn| &drawn[part]).collect();
        assert_eq!(distinct.len(), 8, "{drawn:?}");
    }
    let acknowledged = written_through_kills(server, |number| {
        let how = if number % 2 == 0 {
            "rows"
        } else {
            "rows-async"
        };
        posted(server, &format!("/mongo/{how}/{number}"), "")
    });
    let kept = get("/mongo/rows").of(native.address).text();
    let kept: BTreeSet<usize> = kept
        .trim_matches(['[', ']'])
        .split(',')
        .map(|it| it.parse().unwrap())
        .collect();
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "{lost:?} of {}", acknowledged.len());
    // Two of the same identity.
    assert!(
        !server
            .printed()
            .contains("DuplicateKeyError: UNIQUE constraint failed: rows"),
        "{}",
        server.printed()
    );
}
