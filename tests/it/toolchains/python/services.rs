//! Databases and other services that an application in Python reaches over its sockets, by the libraries that people
//! use for them, with TLS and without: guards against a sandbox in which only a greeting works.

use super::{built_for, place, trials};
use crate::harness::certificates::Authority;
use crate::harness::peers::{echo, mail};
use crate::harness::{
    COMPILING, Postgres, Redis, Response, Server, SetAtEnd, eventually_within, get, guest,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::scope;

pub(super) const DATABASE: &str = "guests/python/database";
const WORKERS: usize = 4;

/// The application, whose working directory is one of the host's.
pub(super) struct Application {
    pub(super) server: Server,
    pub(super) directory: std::path::PathBuf,
}

impl Application {
    pub(super) fn served(name: &str, options: &[&str]) -> Application {
        Application::served_in(place(name), options)
    }

    pub(super) fn served_in(directory: std::path::PathBuf, options: &[&str]) -> Application {
        let files = format!("{}::/app", directory.display());
        let all = [&["--dir-rw", &files], options].concat();
        let component = built_for(DATABASE, &["--dir-rw", &files]);
        let server = trials::serve(&component, &all);
        Application { server, directory }
    }

    pub(super) fn ask(&self, path: &str) -> String {
        let response = get(self.server.address, path);
        format!("{} {}", response.status, response.text())
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub(super) fn posted(server: &Server, path: &str, body: &str) -> Option<Response> {
    let mut connection = server.connect();
    let request = connection
        .post(path)
        .header("Content-Type", "application/json");
    request.body(body).response().ok()
}

/// Four clients write numbers, while workers are killed; gives what was acknowledged.
pub(super) fn written_through_kills(
    server: &Server,
    write: impl Fn(usize) -> Option<Response> + Sync,
) -> BTreeSet<usize> {
    const ENOUGH: usize = 40;
    let (next, acknowledged) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    let stop = AtomicBool::new(false);
    scope(|scope| {
        let _end = SetAtEnd(&stop);
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if write(number).is_some_and(|response| response.status == 200) {
                        acknowledged.lock().unwrap().insert(number);
                    }
                }
            });
        }
        // Each kill waits for some more to be acknowledged, so that something is always in the middle.
        for kills in 1..=4 {
            eventually_within(COMPILING, "more is acknowledged", || {
                acknowledged.lock().unwrap().len() >= kills * ENOUGH / 5
            });
            let workers = server.workers();
            let victim = workers[kills % workers.len()];
            let _ = kill(Pid::from_raw(victim), Signal::SIGKILL);
        }
        eventually_within(COMPILING, "enough is acknowledged", || {
            acknowledged.lock().unwrap().len() >= ENOUGH
        });
    });
    acknowledged.into_inner().unwrap()
}

#[test]
fn what_was_acknowledged_is_in_the_file_of_sqlite_though_workers_are_killed() {
    let application = Application::served("services-sqlite", &[]);
    let server = &application.server;
    let hero = |number: usize| format!(r#"{{"name":"{number}","secret_name":"x","age":{number}}}"#);
    let acknowledged =
        written_through_kills(server, |number| posted(server, "/heroes/", &hero(number)));
    let native = rusqlite::Connection::open(application.directory.join("database.db")).unwrap();
    let mut names = native.prepare("select age from hero").unwrap();
    let names = names.query_map([], |row| row.get::<_, u32>(0)).unwrap();
    let kept: BTreeSet<usize> = names.map(|it| it.unwrap() as usize).collect();
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "{lost:?} of {}", acknowledged.len());
    let check = native.query_row("pragma integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(check.unwrap(), "ok");
}

#[test]
fn what_was_acknowledged_is_in_postgresql_though_workers_are_killed() {
    let authority = Authority::new();
    let postgres = Postgres::start(&authority.issue("postgres", &["localhost"]));
    postgres.ask("create table pairs (n int, half text)");
    let directory = std::path::Path::new(&authority.file())
        .parent()
        .unwrap()
        .to_owned();
    let certificates = format!("{}::/certs", directory.display());
    let peer = format!("localhost:{}", postgres.port);
    let environment = format!("POSTGRES={peer}");
    let options = [
        "--dir",
        &certificates,
        "--env",
        "AUTHORITY=/certs/ca.pem",
        "--env",
        &environment,
    ];
    let application = Application::served(
        "services-postgres",
        &[&options[..], &["--allow-net", &peer]].concat(),
    );
    assert_eq!(
        application.ask("/postgres"),
        r#"200 {"ssl":false,"version":null}"#
    );
    assert_eq!(
        application.ask("/postgres?tls=true"),
        r#"200 {"ssl":true,"version":"TLSv1.3"}"#
    );
    let server = &application.server;
    let acknowledged = written_through_kills(server, |number| {
        posted(
            server,
            &format!("/rows/{number}?tls={}", number % 2 == 0),
            "",
        )
    });
    let kept = postgres.ask("select n from pairs group by n having count(*) = 2");
    let kept: BTreeSet<usize> = kept.lines().map(|line| line.parse().unwrap()).collect();
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "{lost:?} of {}", acknowledged.len());
    let halves = postgres.ask("select n from pairs group by n having count(*) <> 2");
    assert_eq!(halves, "");
    // Whom no rule allows: the error names the rule.
    let application = Application::served("services-no-postgres", &options);
    let said = application.ask("/postgres");
    assert!(said.starts_with("5"), "{said}");
    let rule = format!("--allow-net {peer} would");
    application.server.wait_for(&rule);
}

#[test]
fn redis_is_asked_by_its_own_client_with_threads_and_with_asyncio_and_by_tls() {
    let authority = Authority::new();
    let (_redis, [plain, secure]) = Redis::at_ports(&authority.issue("redis", &["localhost"]));
    let directory = std::path::Path::new(&authority.file())
        .parent()
        .unwrap()
        .to_owned();
    let certificates = format!("{}::/certs", directory.display());
    let peers = [plain, secure].map(|port| format!("localhost:{port}"));
    let application = Application::served(
        "services-redis",
        &[
            "--dir",
            &certificates,
            "--env",
            "AUTHORITY=/certs/ca.pem",
            "--env",
            &format!("REDIS={}", peers[0]),
            "--env",
            &format!("REDIS_TLS={}", peers[1]),
            "--allow-net",
            &peers[0],
            "--allow-net",
            &peers[1],
        ],
    );
    for tls in [false, true] {
        let ask = |path| application.ask(&format!("{path}?tls={tls}"));
        assert_eq!(ask("/redis"), r#"200 "value""#, "TLS: {tls}");
        assert_eq!(ask("/redis-async"), r#"200 "other""#, "TLS: {tls}");
    }
}

/// By requests: the host's authorities are believed, and others where the application says so.
#[test]
fn certificates_are_judged_by_the_host_as_the_application_asks() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["localhost"]);
    let upstream = Server::component(guest("behaviours"))
        .certificate(&pair)
        .start();
    let port = upstream.address.port();
    let file = authority.file();
    let directory = std::path::Path::new(&file).parent().unwrap().to_owned();
    let certificates = format!("{}::/certs", directory.display());
    let (by_name, by_address) = (format!("localhost:{port}"), format!("127.0.0.1:{port}"));
    let options = [
        "--allow-net",
        &by_name,
        "--allow-net",
        &by_address,
        "--dir",
        &certificates,
    ];
    let believing = [&options[..], &["--outbound-ca", &file]].concat();
    let application = Application::served("services-tls", &believing);
    let ask = |application: &Application, host: &str, verify: &str| {
        application.ask(&format!(
            "/requests?url=https://{host}:{port}/&verify={verify}"
        ))
    };
    assert_eq!(ask(&application, "localhost", ""), "200 200");
    let said = ask(&application, "127.0.0.1", "");
    assert!(
        said.contains("SSLError") && said.contains("certificate verify failed"),
        "{said}"
    );

    let application = Application::served("services-tls-system", &options);
    let said = ask(&application, "localhost", "");
    assert!(
        said.contains("SSLError") && said.contains("certificate verify failed"),
        "{said}"
    );
    assert_eq!(ask(&application, "localhost", "/certs/ca.pem"), "200 200");
    assert_eq!(ask(&application, "localhost", "no"), "200 200");
}

#[test]
fn sockets_and_streams_work_and_what_is_not_there_says_so() {
    let authority = Authority::new();
    let (echo, mail) = (echo(), mail(&authority));
    let file = authority.file();
    let directory = std::path::Path::new(&file).parent().unwrap().to_owned();
    let certificates = format!("{}::/certs", directory.display());
    let peers = [format!("127.0.0.1:{echo}"), format!("localhost:{mail}")];
    let application = Application::served(
        "services-sockets",
        &[
            "--dir",
            &certificates,
            "--env",
            "AUTHORITY=/certs/ca.pem",
            "--allow-net",
            &peers[0],
            "--allow-net",
            &peers[1],
        ],
    );
    let at = format!("host=127.0.0.1&port={echo}");
    assert_eq!(
        application.ask(&format!("/socket?{at}")),
        r#"200 "a line\n""#
    );
    assert_eq!(
        application.ask(&format!("/streams?{at}")),
        r#"200 [300000,"late","slept"]"#
    );
    assert_eq!(
        application.ask(&format!("/datagrams?{at}")),
        r#"200 "a datagram""#
    );
    let at = format!("host=localhost&port={mail}");
    assert_eq!(application.ask(&format!("/smtp?{at}")), r#"200 "TLSv1.3""#);
    assert_eq!(application.ask(&format!("/smtp-async?{at}")), "200 250");
    // Whom no rule allows, by either way.
    for path in ["/socket", "/streams"] {
        let said = application.ask(&format!("{path}?host=127.0.0.1&port=1"));
        assert!(
            said.starts_with("502") && said.contains("--allow-net 127.0.0.1:1 would"),
            "{said}"
        );
        let said = application.ask(&format!("{path}?host=db.example.com&port=5432"));
        assert!(
            said.starts_with("502") && said.contains("--allow-net db.example.com:5432 would"),
            "{said}"
        );
    }
    assert!(application.ask("/server").contains("cannot listen"));
    assert_eq!(
        application.ask("/threads"),
        r#"200 ["a loop in a thread",false]"#
    );
    for (what, said) in [
        ("daemon", "WASI has no threads"),
        ("event", "waits for another thread"),
        ("subprocess", "does not support processes"),
        ("process", "WASI starts no processes"),
    ] {
        let answer = application.ask(&format!("/refused/{what}"));
        assert!(
            answer.starts_with("502") && answer.contains(said),
            "{what}: {answer}"
        );
    }
    assert_eq!(application.ask("/log"), r#"200 "logged""#);
    application.server.wait_for("stock is out");
    let log = application.server.printed();
    let line = |text: &str| {
        log.lines()
            .find(|line| line.contains(text))
            .unwrap()
            .to_owned()
    };
    assert!(line("stock is low").starts_with("WARNING:"), "{log}");
    assert!(line("stock is out").starts_with("ERROR:"), "{log}");
}
