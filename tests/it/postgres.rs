//! Guests use databases of PostgreSQL over connections of their worker: nothing of one request is left for the next,
//! and nothing half done stays.

mod hostile;
mod resets;
mod ungranted;

use crate::harness::certificates::Authority;
use crate::harness::databases::{ask, assert_whole, path, write_while_workers_are_killed};
use crate::harness::{Connection, Postgres, Server, eventually, finished, get, guest, wasmserve};

const GUEST: &str = "behaviours-postgres";

fn postgres() -> Postgres {
    let authority = Authority::new();
    Postgres::start(&authority.issue("postgres", &["localhost"]))
}

fn serve(url: &str, options: &[&str]) -> Server {
    Server::component(guest(GUEST))
        .option("--postgres", format!("app={url}"))
        .args(options)
        .start()
}

/// One worker with one connection: each request has the one of the last.
const ONE: [&str; 4] = ["--workers", "1", "--limit-sql-connections", "1"];

#[test]
fn values_of_all_types_come_back_as_they_went() {
    let postgres = postgres();
    let server = serve(&postgres.socket_url(), &["--workers", "1"]);
    let ask = |behaviour, statement: &str| ask(&server, behaviour, &[statement]);
    assert_eq!(get(server.address, "/types").text(), "33 right; wrong: []");
    assert_eq!(ask("query", "select 1 as a, null as b"), "a,b: 1,null");
    assert_eq!(ask("query", "select 1 as a where false"), "a: ");
    assert_eq!(ask("query", "create type mood as enum ('sad', 'ok')"), ": ");
    for _ in 0..3 {
        assert_eq!(ask("query", "select 'ok'::mood as m"), "m: ok");
    }
    let other = "select '10.0.0.1'::inet as a, 'infinity'::date as b, 'empty'::int4range as c";
    let said = ask("query", other);
    assert_eq!(said.matches("Unsupported").count(), 3, "{said}");
    assert_eq!(ask("execute", "create table t (n int primary key)"), "0");
    assert_eq!(
        ask("execute", "insert into t select generate_series(1, 5)"),
        "5"
    );
    assert_eq!(ask("execute", "update t set n = -n where n > 2"), "3");
    let said = ask("execute", "insert into t values (1)");
    assert!(said.starts_with("error 23505 duplicate key"), "{said}");
    assert!(said.contains(" constraint=t_pkey"), "{said}");
    let said = ask("query", "select 1; select 2");
    assert!(said.starts_with("error 42601 "), "{said}");
}

#[test]
fn nothing_of_a_request_is_left_in_its_connection() {
    let postgres = postgres();
    postgres.ask("create table t (n int)");
    let server = serve(&postgres.url(), &ONE);
    let process = "select pg_backend_pid() as pid";
    let first = ask(&server, "query", &[process]);
    for (nth, behaviour) in ["query", "trap", "query"].iter().enumerate() {
        let insert = format!("insert into t values ({nth})");
        let said = ask(
            &server,
            behaviour,
            &["begin", &insert, "select count(*) as n from t"],
        );
        if *behaviour == "query" {
            assert_eq!(said, "n: 1");
        }
        assert_eq!(
            ask(&server, "query", &["select count(*) as n from t"]),
            "n: 0"
        );
        assert_eq!(
            ask(&server, "query", &[process]),
            first,
            "it is the same connection"
        );
    }
    // A transaction that has failed, too.
    ask(&server, "query", &["begin", "select 1/0"]);
    assert_eq!(ask(&server, "query", &[process]), first);
    // The server is not bothered with the end of a transaction that is none.
    let log = postgres.log();
    assert!(!log.contains("no transaction in progress"), "{log}");
    let left = [
        "set search_path to pg_catalog",
        "set my.secret = 'theirs'",
        "create temporary table t (n int)",
        "listen something",
        "select pg_advisory_lock(7)",
        "declare c cursor with hold for select 1",
        "set role pg_monitor",
        "select 1",
    ];
    assert!(ask(&server, "query", &left).ends_with(": 1"));
    let seen = "select current_setting('search_path') as a, coalesce(current_setting('my.secret', true), '') as b, \
                (select count(*) from pg_class where relname = 't') as c, \
                (select count(*) from pg_listening_channels()) as d, \
                (select count(*) from pg_locks where locktype = 'advisory') as e, \
                (select count(*) from pg_cursors where name <> '') as f, current_user as g";
    assert_eq!(
        ask(&server, "query", &[seen]),
        "a,b,c,d,e,f,g: \"$user\", public,,1,0,0,0,tester"
    );
    assert_eq!(ask(&server, "query", &[process]), first);
    // What a guest has prepared cannot be told from the host's own by its name: the connection is closed.
    ask(&server, "query", &["prepare s9 as select 2", "select 1"]);
    let prepared = ["select count(*) as n from pg_prepared_statements where from_sql"];
    assert_eq!(ask(&server, "query", &prepared), "n: 0");
    assert_ne!(ask(&server, "query", &[process]), first);
}

/// Guards against a connection that fails everybody after somebody's DISCARD ALL.
#[test]
fn statements_of_the_client_that_a_guest_takes_away_are_missed_by_nobody_else() {
    let postgres = postgres();
    for kind in ["one", "two", "three"] {
        postgres.ask(&format!("create type {kind} as enum ('a')"));
    }
    let server = serve(&postgres.url(), &ONE);
    for away in ["discard all", "deallocate all"] {
        let said = ask(
            &server,
            "query",
            &["select 'a'::one", away, "select 1 as a"],
        );
        assert_eq!(said, "a: 1");
        assert_eq!(ask(&server, "query", &["select 'a'::two as a"]), "a: a");
        assert_eq!(ask(&server, "query", &["select 'a'::three as a"]), "a: a");
    }
    // What comes of random() was nobody's to choose.
    let seeded = ["select setseed(0.5)", "select random()::text as a"];
    let chosen = ask(&server, "query", &seeded);
    assert_eq!(ask(&server, "query", &seeded), chosen);
    ask(&server, "query", &seeded[..1]);
    assert_ne!(ask(&server, "query", &seeded[1..]), chosen);
}

#[test]
fn a_statement_ends_with_its_request_and_its_time() {
    let postgres = postgres();
    let name = "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_sleep(600)'";
    let mut options = ONE.to_vec();
    options.extend(["--timeout-sql", "2s"]);
    let server = serve(&postgres.url(), &ONE);
    let sleeps = path("query", &["select pg_sleep(600)"]);
    let mut client = Connection::open(server.address);
    client.get(&sleeps).send().unwrap();
    eventually("the statement runs", || postgres.ask(name) == "1");
    client.reset();
    eventually("the statement is cancelled", || postgres.ask(name) == "0");
    assert_eq!(ask(&server, "query", &["select 1 as a"]), "a: 1");
    drop(server);
    let server = serve(&postgres.url(), &options);
    let said = get(server.address, &sleeps).text();
    assert!(
        said.contains("took longer than 2s (--timeout-sql)"),
        "{said}"
    );
    eventually("the statement is cancelled", || postgres.ask(name) == "0");
    assert_eq!(ask(&server, "query", &["select 1 as a"]), "a: 1");
    server.wait_for("WARNING:  database `app` failed a guest: the statement took longer");
}

#[test]
fn connections_are_bounded_and_waited_for() {
    let postgres = postgres();
    let url = format!("{}?connect_timeout=1", postgres.url());
    let server = serve(&url, &ONE);
    let said = ask(&server, "second", &["select 1 as a"]);
    assert!(
        said.contains("all 1 connections of this worker are lent"),
        "{said}"
    );
    assert!(said.contains("--limit-sql-connections"), "{said}");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let said = ask(
                    &server,
                    "query",
                    &["select pg_sleep(0.05)", "select 1 as a"],
                );
                assert_eq!(said, "a: 1");
            });
        }
    });
    let backends = "select count(*) from pg_stat_activity where application_name = 'wasmserve'";
    assert_eq!(postgres.ask(backends), "1");
}

#[test]
fn a_result_is_no_larger_than_the_guest_has_memory_for() {
    let postgres = postgres();
    let mut options = ONE.to_vec();
    options.extend(["--max-memory", "64MiB"]);
    let server = serve(&postgres.url(), &options);
    let large = |bytes: u32| format!("select repeat('x', {bytes}) as a");
    assert_eq!(
        ask(&server, "query", &[&large(1_000_000)]),
        "a: 1000000 bytes"
    );
    let before = crate::harness::peak(server.workers()[0]);
    let rows = "select repeat('x', 100000) as a from generate_series(1, 5000)";
    // Of few bytes, until they are texts.
    let numbers = "select 1e131071::numeric from generate_series(1, 5000)";
    let many = "select array_agg(1e131071::numeric) from generate_series(1, 5000)";
    let nulls = "select array_fill(null::text, array[9000000])";
    for statement in [large(500_000_000).as_str(), rows, numbers, many, nulls] {
        let said = ask(&server, "query", &[statement]);
        assert!(said.contains("more than the memory that is left"), "{said}");
        assert_eq!(ask(&server, "query", &["select 1 as a"]), "a: 1");
    }
    let taken = crate::harness::peak(server.workers()[0]) - before;
    assert!(taken < 128 << 20, "{taken} bytes");
}

#[test]
fn a_database_that_is_away_is_an_error_and_one_that_is_back_is_used() {
    let mut postgres = postgres();
    let server = serve(&postgres.url(), &ONE);
    assert_eq!(ask(&server, "query", &["select 1 as a"]), "a: 1");
    postgres.stop();
    let said = ask(&server, "query", &["select 1 as a"]);
    assert!(
        said.starts_with("error Error::ConnectionFailed(\""),
        "{said}"
    );
    server.wait_for("WARNING:  database `app` failed a guest: the database cannot be reached");
    postgres.begin();
    eventually("the database is used again", || {
        ask(&server, "query", &["select 1 as a"]) == "a: 1"
    });
    // The server ends the connection in the middle.
    let said = ask(
        &server,
        "query",
        &["select pg_terminate_backend(pg_backend_pid())"],
    );
    assert!(said.starts_with("error"), "{said}");
    assert_eq!(ask(&server, "query", &["select 1 as a"]), "a: 1");
}

#[test]
fn whom_the_operator_did_not_grant_is_not_connected_to_and_no_password_is_told() {
    let postgres = postgres();
    let wrong = postgres.url().replace("secret", "hush%21");
    let server = serve(&wrong, &ONE);
    let said = ask(&server, "query", &["select 1"]);
    assert!(
        said.contains("password authentication failed for user"),
        "{said}"
    );
    let own = "/query?db=postgres%3A%2F%2Fu%3Atheirs%40localhost&sql=select";
    let said = get(server.address, own).text();
    assert!(
        said.contains("grant the database with --postgres NAME=URL"),
        "{said}"
    );
    let said = get(server.address, "/query?db=other&sql=select").text();
    assert!(
        said.contains("there is no database `other`; --postgres other=postgres://"),
        "{said}"
    );
    server.wait_for("there is no database `other`");
    let printed = server.printed();
    assert!(!printed.contains("hush"), "{printed}");
    let mut check = wasmserve();
    check.args([
        "check",
        &guest(GUEST),
        "--postgres",
        &format!("app={wrong}"),
    ]);
    let output = finished(check);
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(
        printed.contains("app=…") && !printed.contains("hush"),
        "{printed}"
    );
}

#[test]
fn tls_is_spoken_where_the_url_asks_for_it_and_the_certificate_is_checked() {
    let authority = Authority::new();
    let postgres = Postgres::start(&authority.issue("postgres", &["localhost"]));
    let ssl = "select ssl::text as a from pg_stat_ssl where pid = pg_backend_pid()";
    let server = serve(&postgres.url(), &ONE);
    assert_eq!(ask(&server, "query", &[ssl]), "a: false");
    let url = format!("{}?sslmode=verify-full", postgres.url());
    let ca = authority.file();
    let server = serve(&url, &[&ONE[..], &["--outbound-ca", &ca]].concat());
    assert_eq!(ask(&server, "query", &[ssl]), "a: true");
    let name = "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_sleep(600)'";
    let mut client = Connection::open(server.address);
    client
        .get(&path("query", &["select pg_sleep(600)"]))
        .send()
        .unwrap();
    eventually("the statement runs", || postgres.ask(name) == "1");
    // What is told to stop is told over TLS, too.
    client.reset();
    eventually("the statement is cancelled", || postgres.ask(name) == "0");
    let other = Authority::new();
    let server = serve(
        &url,
        &[&ONE[..], &["--outbound-ca", &other.file()]].concat(),
    );
    let said = ask(&server, "query", &[ssl]);
    assert!(said.contains("invalid peer certificate"), "{said}");
    let by_address = url.replace("localhost", "127.0.0.1");
    let server = serve(&by_address, &[&ONE[..], &["--outbound-ca", &ca]].concat());
    let said = ask(&server, "query", &[ssl]);
    assert!(said.contains("invalid peer certificate"), "{said}");
}

#[test]
fn workers_that_are_killed_leave_no_half_transaction_and_lose_nothing_acknowledged() {
    let postgres = postgres();
    postgres.ask("create table pairs (n int, half text)");
    let server = serve(&postgres.url(), &["--workers", "4"]);
    let acknowledged = write_while_workers_are_killed(&server, "execute", "begin", "0");
    let numbers = |query: &str| -> Vec<u32> {
        let lines = postgres.ask(query);
        lines.lines().map(|line| line.parse().unwrap()).collect()
    };
    let halves = numbers("select n from pairs group by n having count(*) <> 2");
    let kept = numbers("select distinct n from pairs");
    assert_whole(&acknowledged, &halves, &kept);
}
