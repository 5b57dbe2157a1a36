//! Packages that hand work and news on to others, or files through a folder for temporary ones. Guards against imports that
//! fail for want of what is hardly used (`fcntl`, `ctypes`, `bz2`, a home, `django.test`), and against news that are never sent.

use super::ask::get;
use super::{REUSE, built, trials};
use crate::harness::certificates::Authority;
use crate::harness::objects::http;
use crate::harness::{Redis, Server, eventually};
use std::sync::{Arc, Mutex};

const HANDED: &str = "guests/python/handed";

const ANSWERS: [(&str, &str); 7] = [
    (
        "/spreadsheet",
        "[[1, 'zwei', 2.5], [None, None, None], ['=SUM(A1:A1)', None, None]] True []",
    ),
    (
        "/upload",
        r#"{"kind": "TemporaryUploadedFile", "size": 3000000, "begins": "abc"}"#,
    ),
    ("/logged", "['early', 'one of 2'] 1"),
    ("/measured", "4 2 4"),
    // None that was there when the component was built.
    ("/names", "['while it starts']"),
    ("/graph", "[0, 1, 2, 3] 1"),
    ("/home", "/app /app /app/a ~root/a"),
];

#[test]
fn work_and_news_are_handed_on_and_temporary_files_are_there() {
    let told = Arc::new(Mutex::new(Vec::<String>::new()));
    let all = told.clone();
    let collector = http(move |asked| {
        assert_eq!(asked.target, "/v1/traces");
        let text = String::from_utf8_lossy(&asked.body).into_owned();
        all.lock().unwrap().push(text);
        (200, String::new(), Vec::new())
    });
    let authority = Authority::new();
    let pair = authority.issue("redis", &["localhost"]);
    let (_redis, [port, _]) = Redis::at_ports(&pair);
    let file = built(HANDED);
    for (round, reuse) in REUSE.into_iter().enumerate() {
        let (collector, redis) = (collector.to_string(), format!("127.0.0.1:{port}"));
        let variable = format!("COLLECTOR=http://{collector}");
        let peers = ["--allow-net", &collector, "--allow-net", &redis];
        let options = ["--no-request-id", "--reuse", reuse, "--env", &variable];
        let server = trials::serve(&file, &[&options[..], &peers].concat());
        let asked = |path: &str| get(path).of(server.address).text();
        assert_eq!(asked(&format!("/celery?{port}")), "3 PENDING");
        // Both queues have what came to them, and each request of the round before left one.
        let count = round + 1;
        let queued = format!("queued {count} {count}");
        assert_eq!(asked(&format!("/rq?{port}")), queued);
        for (path, answer) in ANSWERS {
            assert_eq!(asked(path), answer, "{path}, --reuse {reuse}");
        }
        names_are_told_once(&server, &told);
    }
}

/// Each span is sent, by the one who has it.
fn names_are_told_once(server: &Server, told: &Mutex<Vec<String>>) {
    let marks = ["/logged", "/upload", "/spreadsheet"];
    let count = |mark: &str| {
        let told = told.lock().unwrap();
        told.iter().filter(|text| text.contains(mark)).count()
    };
    eventually("spans are sent", || {
        marks
            .iter()
            .all(|mark| count(&format!("asked for {mark}")) >= 1)
    });
    for mark in marks {
        assert_eq!(
            count(&format!("asked for {mark}")),
            1,
            "{}",
            server.printed()
        );
    }
    // By whoever has started: for the snapshot, and by instances that start for themselves.
    assert!(count("while it starts") >= 1);
    told.lock().unwrap().clear();
}
