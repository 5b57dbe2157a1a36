//! An application in Python uses databases that the server grants it, by SQLModel and by the drivers themselves.

use super::services::{posted, written_through_kills};
use super::{built_for, trials};
use crate::harness::certificates::Authority;
use crate::harness::{Postgres, Server, get};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

const GRANTED: &str = "guests/python/granted";

struct Granted {
    server: Server,
    postgres: Postgres,
    file: PathBuf,
}

impl Granted {
    fn served() -> Granted {
        let postgres = Postgres::start(&Authority::new().issue("postgres", &["localhost"]));
        let name = format!("granted-{}", std::process::id());
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("app.db");
        let options = [
            "--postgres",
            &format!("app={}", postgres.url()),
            "--sqlite",
            &format!("app={}", file.display()),
        ];
        let server = trials::serve(&built_for(GRANTED, &options), &options);
        Granted {
            server,
            postgres,
            file,
        }
    }

    fn get(&self, path: &str) -> String {
        let response = get(self.server.address, path);
        format!("{} {}", response.status, response.text())
    }

    fn post(&self, path: &str, body: &str) -> String {
        let response = posted(&self.server, path, body).expect("an answer");
        format!("{} {}", response.status, response.text())
    }
}

/// The status and what the JSON says: SQLModel has no order of its own for fields.
fn said(answer: &str) -> (&str, Value) {
    let (status, text) = answer.split_once(' ').unwrap();
    (status, serde_json::from_str(text).unwrap())
}

#[test]
fn sqlmodel_and_the_drivers_work_and_nothing_is_lost_or_half_done_though_workers_are_killed() {
    let granted = Granted::served();
    assert_eq!(granted.get("/postgres/values"), "200 []");
    for kind in ["postgres", "sqlite"] {
        let path = |rest: &str| format!("/{kind}/{rest}");
        assert_eq!(granted.post(&path("tables"), ""), "200 null", "{kind}");
        assert_eq!(granted.get(&path("heroes/")), "200 []", "{kind}");
        let badge = "00000000-0000-0000-0000-000000000007";
        let hero = format!(
            r#"{{"name":"Ada","age":36,"born":"1815-12-10T01:02:03","worth":"1.50","badge":"{badge}"}}"#
        );
        let made = granted.post(&path("heroes/"), &hero);
        let kept = format!(
            r#"{{"name":"Ada","age":36,"born":"1815-12-10T01:02:03","worth":"1.50","badge":"{badge}","id":1}}"#
        );
        assert_eq!(said(&made), said(&format!("200 {kept}")), "{kind}");
        let found = granted.get(&path("heroes/?least=36"));
        assert_eq!(said(&found), said(&format!("200 [{kept}]")), "{kind}");
        assert_eq!(granted.get(&path("heroes/?least=37")), "200 []");
        let again = granted.post(&path("heroes/"), &hero);
        assert!(again.starts_with("409 "), "{kind}: {again}");
        let rolled_back = granted.post(&path("rolled-back"), "");
        assert_eq!(rolled_back, "200 [[-2]]", "{kind}");
        let counts = match kind {
            "postgres" => "200 [2,2,2,1,-1,-1]",
            // As Python's own module: what is read is not counted.
            _ => "200 [2,2,2,-1,-1,-1]",
        };
        assert_eq!(granted.get(&path("counts")), counts, "{kind}");
        let mistakes = granted.get(&path("mistakes"));
        let nothing_fits = match kind {
            "postgres" => r#"200 ["ProgrammingError","ProgrammingError","ProgrammingError"]"#,
            _ => r#"200 ["ProgrammingError","OperationalError","OperationalError"]"#,
        };
        assert_eq!(mistakes, nothing_fits, "{kind}");
        let errors = granted.get(&path("errors"));
        let first = match kind {
            "postgres" => "ProgrammingError",
            _ => "OperationalError",
        };
        let expected = format!(r#"200 ["{first}","IntegrityError","OperationalError"]"#);
        assert_eq!(errors, expected, "{kind}");
        let said = granted.get(&path("async/said"));
        let expected = concat!(
            r#"200 ["IntegrityError",0,1,2,"greenlet_spawn has not been called","#,
            r#""Late","OperationalError"]"#
        );
        assert_eq!(said, expected, "{kind}");
        for ms in [0, 20] {
            let gathered = granted.get(&path(&format!("async/gathered?n=50&ms={ms}")));
            assert_eq!(gathered, "200 2500", "{kind}");
        }
        let server = &granted.server;
        let acknowledged = written_through_kills(server, |number| {
            let how = ["", "async/"][number % 2];
            posted(server, &format!("/{kind}/{how}pairs/{number}"), "")
        });
        let kept: BTreeSet<usize> = granted.pairs(kind, "= 2").into_iter().collect();
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        assert!(
            lost.is_empty(),
            "{kind}: {lost:?} of {}",
            acknowledged.len()
        );
        assert_eq!(granted.pairs(kind, "<> 2"), [] as [usize; 0], "{kind}");
    }
}

impl Granted {
    /// The numbers of which there are so many rows, as others than the application see them.
    fn pairs(&self, kind: &str, count: &str) -> Vec<usize> {
        let statement = format!("select n from pair group by n having count(*) {count}");
        if kind == "postgres" {
            let found = self.postgres.ask(&statement);
            return found.lines().map(|line| line.parse().unwrap()).collect();
        }
        let native = rusqlite::Connection::open(&self.file).unwrap();
        let mut found = native.prepare(&statement).unwrap();
        let found = found.query_map([], |row| row.get::<_, u32>(0)).unwrap();
        found.map(|it| it.unwrap() as usize).collect()
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        if let Some(directory) = self.file.parent() {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}
