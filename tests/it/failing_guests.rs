//! A guest that fails: what its client sees, what the log says, and that the worker goes on.

use crate::harness::{DEADLINE, HELLO, Server, eventually, get, guest, root};
use std::time::{Duration, Instant};

fn behaviours(arguments: &[&str]) -> Server {
    Server::component(guest("behaviours"))
        .args(arguments)
        .start()
}

fn goes_on(server: &Server) {
    assert_eq!(get(server.address, "/ok").text(), "ok\n");
    assert!(!server.printed().contains("died"), "{}", server.printed());
}

#[test]
fn a_trap_before_the_head_is_a_500_with_its_cause_and_backtrace_in_the_log() {
    let server = behaviours(&[]);
    assert_eq!(get(server.address, "/trap-before-head").status, 500);
    let line = server.wait_for(": the guest trapped: ");
    assert!(line.contains(" \"GET /trap-before-head\" ["), "{line}");
    assert!(line.contains("unreachable"), "{line}");
    server.wait_for("error while executing at wasm backtrace:");
    server.wait_for("\"GET /trap-before-head HTTP/1.1\" 500 Internal Server Error");
    goes_on(&server);
}

/// A line of text has this for people; an object has it where tools find it.
#[test]
fn a_trap_is_recorded_with_all_that_leads_to_it() {
    let text = behaviours(&[]);
    let path = "/trap-before-head?a=b";
    assert_eq!(get(text.address, path).status, 500);
    let line = text.wait_for("    component ");
    let digest = line.trim().trim_start_matches("component ").to_owned();
    assert!(
        digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{line}"
    );
    text.wait_for("behaviours::");
    let server = behaviours(&["--log-format", "json"]);
    let mut connection = server.connect();
    assert_eq!(
        connection
            .get(path)
            .header("X-Request-Id", "me")
            .response()
            .unwrap()
            .status,
        500
    );
    let line = server.wait_for("the guest trapped");
    let record: serde_json::Value = serde_json::from_str(&line).unwrap();
    for (name, value) in [
        ("level", "ERROR"),
        ("failure", "trap"),
        ("method", "GET"),
        ("target", path),
        ("request_id", "me"),
        ("component", &digest),
    ] {
        assert_eq!(record[name], value, "{name} in {line}");
    }
    let client = record["client"].as_str().unwrap();
    assert!(client.starts_with("127.0.0.1:"), "{line}");
    let backtrace = record["backtrace"].as_str().unwrap();
    // Names are as people write them.
    assert!(
        backtrace.contains("behaviours::") && !backtrace.contains("_ZN"),
        "{backtrace}"
    );
    assert_eq!(get(server.address, "/no-response").status, 500);
    let line = server.wait_for("\"failure\":\"no_response\"");
    assert!(!line.contains("backtrace"), "{line}");
}

fn dumps(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|it| it == "wasm"))
        .collect()
}

#[test]
fn each_distinct_failure_has_one_core_dump_and_there_are_no_more_than_wanted() {
    let name = format!("core-dumps-{}", std::process::id());
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    let place = directory.to_str().unwrap();
    let arguments = [
        "--workers",
        "2",
        "--coredump-dir",
        place,
        "--coredump-count",
        "2",
    ];
    let server = behaviours(&arguments);
    for _ in 0..6 {
        assert_eq!(get(server.address, "/trap-before-head").status, 500);
    }
    let line = server.wait_for("    core dump ");
    let first = dumps(&directory);
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(line.ends_with(first[0].to_str().unwrap()), "{line}");
    let bytes = std::fs::read(&first[0]).unwrap();
    let mut sections = Vec::new();
    let mut memory = 0;
    for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
        match payload.unwrap() {
            wasmparser::Payload::CustomSection(section) => sections.push(section.name().to_owned()),
            wasmparser::Payload::DataSection(data) => memory = data.count(),
            _ => {}
        }
    }
    for name in ["core", "coremodules", "coreinstances", "corestack"] {
        assert!(
            sections.iter().any(|section| section == name),
            "{sections:?}"
        );
    }
    assert!(memory > 0, "it has what the memory held");
    // Two more failures that differ, of which one has room.
    let _ = server.connect().get("/trap-after-head").response();
    let _ = server.connect().get("/trap-after-answer").response();
    server.wait_for_count("the guest trapped", 8);
    assert_eq!(dumps(&directory).len(), 2);
    let mode = std::fs::metadata(&first[0]).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o077, 0);
    goes_on(&server);
    std::fs::remove_dir_all(&directory).unwrap();
}

/// The names of functions are the component's to choose.
#[test]
fn the_name_of_a_function_forges_no_line() {
    let source = std::fs::read_to_string(root().join(HELLO));
    let named = r#"(func $named (@name "x\0aERROR:    forged\0d\1b[2J\07\e2\80\aeback") unreachable)
    (func (export "handle") (param $request i32) (param $out i32)"#;
    let source = source.unwrap().replace(
        r#"(func (export "handle") (param $request i32) (param $out i32)"#,
        named,
    );
    let source = source.replace("(call $drop-request (local.get $request))", "(call $named)");
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("named.wat");
    std::fs::write(&path, source).unwrap();
    for format in ["text", "json"] {
        let server = Server::component(&path)
            .option("--log-format", format)
            .start();
        assert_eq!(get(server.address, "/").status, 500);
        server.wait_for("wasm backtrace:");
        server.wait_for("forged");
        let printed = server.printed();
        assert!(!printed.contains("\nERROR:    forged"), "{printed}");
        assert!(
            !printed.contains(['\x1b', '\x07', '\r', '\u{202e}']),
            "{printed:?}"
        );
    }
}

#[test]
fn a_guest_that_answers_nothing_or_an_error_is_a_500() {
    let server = behaviours(&[]);
    assert_eq!(get(server.address, "/no-response").status, 500);
    let line = server.wait_for(": the guest returned without a response");
    assert!(line.contains(" \"GET /no-response\" ["), "{line}");
    assert_eq!(get(server.address, "/error-code").status, 500);
    server.wait_for("as asked");
    goes_on(&server);
}

#[test]
fn a_failure_after_the_head_never_looks_like_an_end() {
    let server = behaviours(&["--timeout-idle-body", "300ms"]);
    for path in [
        "/trap-after-head",
        "/unfinished",
        "/spin-after-head",
        "/short",
    ] {
        let mut connection = server.connect();
        connection.get(path).send().unwrap();
        let mut response = connection.head().unwrap();
        if path == "/short" && response.status == 500 {
            continue;
        }
        assert_eq!(response.status, 200, "{path}");
        assert!(
            connection.body(&mut response).is_err(),
            "{path} looks whole: {}",
            response.text()
        );
    }
    goes_on(&server);
}

#[test]
fn a_body_that_ends_with_the_connection_is_reset_when_it_is_not_whole() {
    let server = behaviours(&[]);
    let mut connection = server.connect();
    connection
        .write("GET /trap-after-head HTTP/1.0\r\n\r\n")
        .unwrap();
    connection.head().unwrap();
    let error = connection.rest().expect_err("the connection is reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_guest_that_runs_past_its_time_is_a_504_soon_after() {
    let server = behaviours(&["--timeout-request", "300ms"]);
    for path in ["/spin", "/sleep?ms=600000"] {
        let start = Instant::now();
        assert_eq!(get(server.address, path).status, 504, "{path}");
        let took = start.elapsed();
        assert!(
            took >= Duration::from_millis(300) && took < DEADLINE,
            "{took:?}"
        );
    }
    server.wait_for("the guest ran past its time");
    goes_on(&server);
}

#[test]
fn a_guest_that_burns_its_processor_time_is_a_504_and_one_that_waits_is_not() {
    let server = behaviours(&["--limit-cpu", "200ms"]);
    assert_eq!(get(server.address, "/spin").status, 504);
    server.wait_for("the guest used up its processor time (--limit-cpu)");
    assert_eq!(get(server.address, "/sleep?ms=600").status, 200);
    // After the head there is nothing left to say but that it was not the end.
    let mut late = server.connect();
    assert!(late.get("/spin-after-head").response().is_err());
    goes_on(&server);
}

#[test]
fn others_are_answered_while_a_guest_spins() {
    let server = behaviours(&["--timeout-request", "8s"]);
    let mut spinning = server.connect();
    spinning.get("/spin").send().unwrap();
    server.answers_now(1);
    for _ in 0..5 {
        assert_eq!(get(server.address, "/ok").status, 200);
    }
    assert_eq!(
        server.status()["requests"]["in_flight"],
        1,
        "it spins still"
    );
    assert_eq!(spinning.response().unwrap().status, 504);
}

#[test]
fn a_guest_that_takes_too_much_memory_is_told_so_and_said_so() {
    let server = behaviours(&["--max-memory", "32MiB"]);
    assert_eq!(get(server.address, "/hog").status, 500);
    server.wait_for("it had reached its memory limit (--max-memory)");
    goes_on(&server);
}

#[test]
fn endless_recursion_is_a_trap() {
    let server = behaviours(&[]);
    assert_eq!(get(server.address, "/recurse").status, 500);
    goes_on(&server);
}

/// The same in both worlds.
fn worlds(options: &[&str], test: impl Fn(&Server)) {
    for name in ["behaviours", "behaviours-p3"] {
        let server = Server::component(guest(name)).args(options).start();
        test(&server);
        goes_on(&server);
    }
}

#[test]
fn memory_and_stack_are_bounded_in_both_worlds() {
    worlds(&["--max-memory", "16MiB"], |server| {
        assert_eq!(get(server.address, "/hog").status, 500);
        server.wait_for("it had reached its memory limit (--max-memory)");
        assert_eq!(get(server.address, "/recurse").status, 500);
        let line = server.wait_for("\"GET /recurse\"");
        assert!(line.contains("the guest trapped"), "{line}");
    });
}

#[test]
fn a_guest_that_has_the_host_work_burns_its_own_time() {
    worlds(&["--limit-cpu", "200ms"], |server| {
        let mut toils = server.connect();
        toils.get("/toil").send().unwrap();
        goes_on(server);
        assert_eq!(toils.response().unwrap().status, 504);
    });
}

#[test]
fn what_a_guest_holds_of_the_host_is_bounded() {
    worlds(&[], |server| {
        let held = get(server.address, "/resources?n=5000");
        assert_eq!(held.text(), "held 5000\n");
        assert_eq!(get(server.address, "/resources").status, 500);
        server.wait_for("resource table has no free keys");
        let fields = get(server.address, "/fields?bytes=1000").text();
        assert!(fields.starts_with("Ok"), "{fields}");
        let fields = get(server.address, "/fields").text();
        assert!(!fields.starts_with("Ok"), "{fields}");
    });
}

#[test]
fn descriptors_that_a_guest_does_not_close_are_closed_with_it() {
    // Not the directory of all tests: the cache is in there, which no guest may be given.
    let directory = concat!(env!("CARGO_TARGET_TMPDIR"), "/descriptors");
    std::fs::create_dir_all(directory).unwrap();
    let server = behaviours(&["--dir", &format!("{directory}::/data")]);
    let open = || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", server.workers()[0]));
        open.unwrap().count()
    };
    get(server.address, "/descriptors?n=1");
    let before = open();
    for _ in 0..3 {
        let opened = get(server.address, "/descriptors?n=500");
        assert_eq!(opened.text(), "opened 500\n");
        assert_eq!(get(server.address, "/descriptors").status, 500);
    }
    eventually("they are closed", || open() <= before + 2);
    goes_on(&server);
}

#[test]
fn a_parser_that_recurses_is_stopped_by_its_stack() {
    let server = behaviours(&[]);
    let shallow = get(server.address, "/nested?depth=100");
    assert_eq!(shallow.text(), "100\n");
    assert_eq!(get(server.address, "/nested").status, 500);
    server.wait_for("call stack exhausted");
    goes_on(&server);
}

#[test]
fn a_guest_that_talks_too_much_is_cut_short_and_its_neighbours_are_heard() {
    let server = behaviours(&[]);
    assert_eq!(get(server.address, "/chatter?n=20000").status, 200);
    // A traceback says at its end what happened: the last lines are there, without another request.
    server.wait_for("line 19999 of many");
    get(server.address, "/stdio?text=neighbour");
    let line = server.wait_for("] out: neighbour");
    let id = line.split(['[', ']', ' ']).find(|word| word.len() == 8);
    assert!(id.is_some(), "the line does not name its request: {line}");
    server.wait_for("lines of the guest's were left out");
    let lines = server.printed().matches(" of many").count();
    assert!((200..2000).contains(&lines), "{lines} lines");
}

/// What a guest says before it fails was INFO, and not there with `--log-level warning`.
#[test]
fn last_words_are_errors() {
    let server = behaviours(&[]);
    assert_eq!(get(server.address, "/trap-before-head").status, 500);
    let line = server.wait_for("panicked at");
    assert!(line.starts_with("ERROR:    [guest "), "{line}");
    let line = server.wait_for("the guest trapped");
    assert!(line.starts_with("ERROR:"), "{line}");
}

#[test]
fn what_an_earlier_request_began_to_say_is_not_the_next_ones() {
    let server = behaviours(&["--reuse", "10"]);
    let first = get(server.address, "/stdio?text=a");
    let second = get(server.address, "/stdio?text=b");
    server.wait_for_count("] unfinished", 2);
    let said = server.printed();
    let names = [&first, &second].map(|answer| answer.header("x-request-id").unwrap());
    for name in names {
        assert!(
            said.lines()
                .any(|line| line.contains(&name[..8]) && line.ends_with("] unfinished")),
            "{said}"
        );
    }
}
