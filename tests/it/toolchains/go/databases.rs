//! Go: databases that the server grants, through `database/sql`.

use super::super::{built_for, place, trials};
use crate::harness::certificates::Authority;
use crate::harness::{Connection, Postgres, eventually};
use std::thread::scope;

const DATABASE: &str = "guests/go/database";

fn post(connection: &mut Connection, path: &str, body: &str) -> String {
    let response = trials::post(connection, path, body.as_bytes());
    format!("{} {}", response.status, response.text().trim_end())
}

fn get(connection: &mut Connection, path: &str) -> String {
    connection.get(path).response().unwrap().text()
}

#[test]
fn database_sql_reaches_what_is_granted_and_keeps_no_connection() {
    let postgres = Postgres::start(&Authority::new().issue("postgres", &["localhost"]));
    let file = place("go-database").join("app.db");
    let options = [
        "--postgres",
        &format!("app={}", postgres.url()),
        "--sqlite",
        &format!("app={}", file.display()),
        // Whoever kept one would keep others from having any.
        "--limit-sql-connections",
        "1",
    ];
    let server = trials::serve(&built_for(DATABASE, &options), &options);
    let mut connection = server.connect();
    for (kind, exists) in [
        ("postgres", "409 there is one already"),
        ("sqlite", "500 sqlite: UNIQUE constraint failed: notes.text"),
    ] {
        let (tables, notes) = (format!("/{kind}/tables"), format!("/{kind}/notes"));
        assert_eq!(post(&mut connection, &tables, ""), "200 null");
        let added = post(&mut connection, &notes, r#"["one","\u00fc"]"#);
        let both = r#"[{"id":1,"text":"one"},{"id":2,"text":"ü"}]"#;
        assert_eq!(added, format!("200 {both}"));
        // The first of these is rolled back with the second.
        let refused = post(&mut connection, &notes, r#"["two","one"]"#);
        assert_eq!(refused, exists);
        assert_eq!(get(&mut connection, &notes).trim_end(), both);
        scope(|threads| {
            for client in 0..4 {
                let (server, notes) = (&server, &notes);
                threads.spawn(move || {
                    let mut connection = server.connect();
                    for nth in 0..10 {
                        let body = format!(r#"["{client}-{nth}"]"#);
                        let added = post(&mut connection, notes, &body);
                        assert!(added.starts_with("200 "), "{added}");
                    }
                });
            }
        });
        connection.request("DELETE", &notes).send().unwrap();
        assert_eq!(connection.response().unwrap().text(), "42\n", "{kind}");
    }
    let idle = "select count(*) from pg_stat_activity where state like 'idle in transaction%'";
    eventually("nobody is in a transaction", || {
        postgres.ask(idle).trim() == "0"
    });
}

#[test]
fn values_of_go_are_those_that_other_drivers_give() {
    let postgres = Postgres::start(&Authority::new().issue("postgres", &["localhost"]));
    let file = place("go-values").join("app.db");
    let options = [
        "--postgres",
        &format!("app={}", postgres.url()),
        "--sqlite",
        &format!("app={}", file.display()),
    ];
    let server = trials::serve(&built_for(DATABASE, &options), &options);
    let mut connection = server.connect();
    let mut value = |kind: &str, statement: &str, parameters: &str| {
        let statement = statement.replace('\\', r"\\").replace('"', r#"\""#);
        let asked = format!(r#"{{"statement":"{statement}","parameters":[{parameters}]}}"#);
        post(&mut connection, &format!("/{kind}/value"), &asked)
    };
    for (statement, expected) in [
        ("select true", "bool true BOOL"),
        ("select (-32768)::int2", "int64 -32768 INT2"),
        ("select 7::int4", "int64 7 INT4"),
        (
            "select (-9223372036854775808)::int8",
            "int64 -9223372036854775808 INT8",
        ),
        ("select 1.5::float4", "float64 1.5 FLOAT4"),
        ("select 'NaN'::float8", "float64 NaN FLOAT8"),
        ("select 'x'::varchar(3)", "string x TEXT"),
        ("select 'abc'::bytea", "string abc BYTEA"),
        (
            "select '2024-02-29'::date",
            "string 2024-02-29T00:00:00Z DATE",
        ),
        ("select '12:34:56.789'::time", "string 12:34:56.789 TIME"),
        (
            "select '2024-01-02 03:04:05.678901'::timestamp",
            "string 2024-01-02T03:04:05.678901Z TIMESTAMP",
        ),
        (
            "select '2024-01-02 03:04:05+02'::timestamptz",
            "string 2024-01-02T01:04:05Z TIMESTAMPTZ",
        ),
        (
            "select 123456789012345678901234567890.1230",
            "string 123456789012345678901234567890.1230 NUMERIC",
        ),
        ("select int4range(1, 5)", "string [1,5) INT4RANGE"),
        ("select int8range(null, 5, '[]')", "string (,6) INT8RANGE"),
        ("select numrange(1.5, 2, '(]')", "string (1.5,2] NUMRANGE"),
        ("select array[1, null, 3]", "string {1,NULL,3} _INT4"),
        ("select array[1, 2]::int8[]", "string {1,2} _INT8"),
        ("select array[1.50, null]", "string {1.50,NULL} _NUMERIC"),
        (
            "select interval '14 months -3.5 seconds'",
            "string 14 months 0 days -00:00:03.5 INTERVAL",
        ),
        ("select null::int4", r"\u003cnil\u003e \u003cnil\u003e INT4"),
        ("select 1 where false", "nothing"),
        ("", "nothing"),
    ] {
        let said = value("postgres", statement, "");
        assert_eq!(said, format!("200 \"{expected}\""), "{statement}");
    }
    let texts = value("postgres", r#"select array['a"b\', null, '']::text[]"#, "");
    assert_eq!(texts, r#"200 "string {\"a\\\"b\\\\\",NULL,\"\"} _TEXT""#);
    for (statement, parameter, expected) in [
        ("select $1::int4 + 1", "41", "200 \"int64 42 INT4\""),
        ("select $1::bool", "true", "200 \"bool true BOOL\""),
        (
            "select $1::timestamptz",
            "\"2024-01-02 03:04:05Z\"",
            "200 \"string 2024-01-02T03:04:05Z TIMESTAMPTZ\"",
        ),
        ("select $1::int4 is null", "null", "200 \"bool true BOOL\""),
        (
            "select 1 / $1::int4",
            "0",
            "500 postgres: division by zero (SQLSTATE 22012)",
        ),
    ] {
        let said = value("postgres", statement, parameter);
        assert_eq!(said, expected, "{statement}");
    }
    // Nobody is given bytes for a text.
    let unknown = value("postgres", "select inet '10.0.0.1'", "");
    assert!(
        unknown.contains("of type inet") && unknown.contains("::text"),
        "{unknown}"
    );
    for (statement, parameter, expected) in [
        ("select ?", "1.5", "float64 1.5 "),
        ("select ? || 'x'", "\"\u{e9}\"", "string \u{e9}x "),
        ("select x'61'", "", "string a "),
        ("select ? is null", "null", "int64 1 "),
        ("-- nothing", "", "nothing"),
    ] {
        let said = value("sqlite", statement, parameter);
        assert_eq!(said, format!("200 \"{expected}\""), "{statement}");
    }
    let denied = value("sqlite", "attach 'x.db' as y", "");
    assert_eq!(denied, "500 sqlite: not authorized");
}
