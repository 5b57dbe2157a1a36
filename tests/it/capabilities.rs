//! What a guest may use is what the command line names, and nothing else.

use crate::harness::limits::limit_files;
use crate::harness::{Connection, Server, finished, get, guest, wasmserve};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::signal::Signal;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A fresh directory of this test.
fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("capabilities-{name}"));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn files_are_read_whether_the_kernel_has_them_in_memory_or_not() {
    const SIZE: usize = 300_000;
    let home = directory("cached");
    let text: String = (0..SIZE / 10)
        .map(|number| format!("{number:09}\n"))
        .collect();
    let path = home.join("file");
    fs::write(&path, &text).unwrap();
    let file = fs::File::open(&path).unwrap();
    file.sync_all().unwrap();
    let server = Server::component(guest("behaviours"))
        .option("--dir", format!("{}::/data", home.display()))
        .start();
    let reads_all = || get(server.address, "/files?read=/data/file").text() == text;
    // None of it, a part in the middle, one at the end, and the beginning is left out.
    for (from, length) in [(0, 0), (40_000, 90_000), (130_000, 170_000), (0, 1)] {
        // A file system without a disk keeps all of it.
        let forget = PosixFadviseAdvice::POSIX_FADV_DONTNEED;
        posix_fadvise(&file, from, length, forget).unwrap();
        assert!(reads_all(), "without {length} from {from} on");
        assert!(reads_all());
    }
}

#[test]
fn directories_are_seen_read_only_or_writable_and_not_left() {
    let home = directory("files");
    for name in ["read", "write"] {
        fs::create_dir(home.join(name)).unwrap();
        fs::write(home.join(name).join("greeting"), "hello\n").unwrap();
    }
    fs::write(home.join("secret"), "secret\n").unwrap();
    std::os::unix::fs::symlink("../secret", home.join("read/link")).unwrap();
    let read = format!("{}::/read", home.join("read").display());
    let write = format!("{}::/write", home.join("write").display());
    let server = Server::component(guest("behaviours"))
        .option("--dir", &read)
        .option("--dir-rw", &write)
        .start();
    let ask = |query: &str| get(server.address, &format!("/files?{query}")).text();

    assert_eq!(ask("read=/read/greeting"), "hello\n");
    assert_eq!(ask("list=/read"), "greeting\nlink\n");
    assert_eq!(ask("write=/write/new&text=1"), "written\n");
    assert_eq!(fs::read_to_string(home.join("write/new")).unwrap(), "1");

    for denied in [
        "write=/read/new&text=1",
        "write=/read/greeting&text=1",
        "read=/read/link",
        "read=/read/../secret",
        "read=/write/../secret",
        "read=/etc/passwd",
    ] {
        let said = ask(denied);
        assert!(said.starts_with("error"), "{denied}: {said}");
    }
    assert!(!home.join("read/new").exists());
}

/// Opening a named pipe waits for its other end, in a thread that nothing stops: neither the time of the request ended it
/// nor the end of the worker, which was killed as one that hangs.
#[test]
fn a_named_pipe_is_not_opened_and_holds_up_nobody() {
    let home = directory("pipes");
    let all = nix::sys::stat::Mode::S_IRWXU;
    for name in ["pipe", "a.db"] {
        nix::unistd::mkfifo(&home.join(name), all).unwrap();
    }
    std::os::unix::fs::symlink("pipe", home.join("link")).unwrap();
    fs::write(home.join("file"), "text\n").unwrap();
    let data = format!("{}::/data", home.display());
    for (option, paths) in [
        ("--dir", &["read=/data/pipe", "read=/data/link"][..]),
        (
            "--dir-rw",
            &[
                "read=/data/pipe",
                "write=/data/pipe&text=1",
                "write=/data/link",
            ],
        ),
    ] {
        let mut server = Server::component(guest("behaviours"))
            .option(option, &data)
            .start();
        let ask = |query: &str| get(server.address, &format!("/files?{query}")).text();
        for path in paths {
            let said = ask(path);
            assert!(
                said.starts_with("error") && said.contains("Unsupported"),
                "{said}"
            );
        }
        // The host opens that whose times are set.
        if option == "--dir-rw" {
            for path in ["pipe", "pipe&follow=1", "link&follow=1"] {
                let said = get(server.address, &format!("/touch?path={path}")).text();
                assert!(
                    said.to_lowercase().contains("unsupported"),
                    "{path}: {said}"
                );
            }
        }
        assert_eq!(ask("read=/data/file"), "text\n");
        server.wait_for("denied the guest to open `pipe`: it is a named pipe, or");
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait().code(), Some(0));
        assert!(!server.printed().contains("killed"), "{}", server.printed());
    }
    // What looks like the lock of a database has the host open that.
    for (option, query, expected) in [
        ("--dir", "lock?path=a.db.lock", "not made"),
        (
            "--dir-rw",
            "touch?path=link&follow=1",
            "Err(ErrorCode::Unsupported)",
        ),
    ] {
        let mut server = Server::component(guest("behaviours-p3"))
            .option(option, &data)
            .start();
        let said = get(server.address, &format!("/{query}")).text();
        assert!(said.starts_with(expected), "{said}");
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait().code(), Some(0));
    }
}

/// What the host says of a guest was not bounded as the guest's own words are: one request wrote 100 MB in a second.
#[test]
fn what_is_said_of_a_guest_is_bounded() {
    let home = directory("insisting");
    nix::unistd::mkfifo(&home.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let server = Server::component(guest("behaviours"))
        .option("--dir", format!("{}::/data", home.display()))
        .start();
    let said = get(server.address, "/insist?path=pipe&n=5000").text();
    assert_eq!(said, "opened 0\n");
    server.wait_for("more such warnings about guests are left out, for up to a second");
    let lines = server.printed().matches("denied the guest to open").count();
    // A busy machine takes more than a second for all of it.
    assert!((100..2500).contains(&lines), "{lines}");
}

/// The sandbox lets a worker change the times of what is open alone: those of a name were not set.
#[test]
fn times_are_set_by_name() {
    let home = directory("times");
    fs::create_dir(home.join("folder")).unwrap();
    fs::write(home.join("file"), "").unwrap();
    fs::write(home.join("aim"), "").unwrap();
    std::os::unix::fs::symlink("aim", home.join("link")).unwrap();
    let set = Duration::new(1_000_000_000, 5);
    for name in ["behaviours", "behaviours-p3"] {
        let server = Server::component(guest(name))
            .option("--dir-rw", format!("{}::/data", home.display()))
            .start();
        for (query, there) in [
            ("file", "file"),
            ("file&follow=1", "file"),
            ("folder", "folder"),
            ("link&follow=1", "aim"),
        ] {
            let there = fs::File::open(home.join(there)).unwrap();
            there.set_modified(SystemTime::now()).unwrap();
            let said = get(server.address, &format!("/touch?path={query}")).text();
            assert_eq!(said, "Ok(())\n", "{name}: {query}");
            let modified = there.metadata().unwrap().modified().unwrap();
            assert_eq!(modified, SystemTime::UNIX_EPOCH + set, "{name}: {query}");
        }
        // Those of the link itself cannot be.
        let said = get(server.address, "/touch?path=link").text();
        assert!(said.to_lowercase().contains("unsupported"), "{said}");
    }
}

/// Of some devices the open alone does something, and others are waited for.
#[test]
fn a_device_is_not_opened() {
    let server = |name| {
        let server = Server::component(guest(name));
        server.option("--dir", "/dev::/data").start()
    };
    let by_name = server("behaviours");
    let said = get(by_name.address, "/files?read=/data/zero").text();
    assert!(
        said.starts_with("error") && said.contains("Unsupported"),
        "{said}"
    );
    by_name.wait_for("denied the guest to open `zero`: it is a device");
    // What looks like the lock of a database has the host open that.
    let by_lock = server("behaviours-p3");
    let said = get(by_lock.address, "/lock?path=zero.lock").text();
    assert!(said.starts_with("not made"), "{said}");
}

/// An open file goes on after its end, and after a write that had no room: SQLite took a database that others had filled
/// meanwhile for no database.
/// Each kept one of the 512 threads that all of a worker's files have, until the guest had read it.
#[test]
fn listings_that_a_guest_does_not_read_keep_no_thread_from_others() {
    let directory = directory("unread");
    for name in ["a", "b", "c"] {
        fs::write(directory.join(name), "").unwrap();
    }
    fs::create_dir(directory.join("d")).unwrap();
    let server = Server::component(guest("behaviours-p3"))
        .option("--dir", &directory)
        .start();
    let mut holds = Connection::open(server.address);
    let asks = "GET /list?n=600&read=1&ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n";
    holds.write(asks).unwrap();
    server.wait_for("holds 600 listings");
    assert_eq!(
        get(server.address, "/list?n=1&read=5").text(),
        "4 entries\n"
    );
    let threads = fs::read_dir(format!("/proc/{}/task", server.workers()[0]));
    assert!(threads.unwrap().count() < 100);
}

#[test]
fn an_open_file_goes_on_where_it_grows_and_where_there_is_room_again() {
    let home = directory("going-on");
    let record = directory("going-on-recordings");
    for recorded in [false, true] {
        let mut server = Server::component(guest("behaviours"))
            .workers(1)
            .option("--dir-rw", format!("{}::/data", home.display()));
        if recorded {
            server = server.option("--record-failures", &record);
        }
        let server = server.start();
        limit_files(server.workers()[0], Some(64 << 10));
        let ask = |path: &str| get(server.address, path).text();
        fs::write(home.join("text"), "begun").unwrap();
        assert_eq!(ask("/grow?path=text"), "begun grown");
        let said = ask("/files?overfill=/data/much");
        assert_eq!(said, "[true, true] written appended\n");
    }
}

#[test]
fn a_guest_sees_no_directory_that_is_not_named() {
    let server = Server::component(guest("behaviours")).start();
    for path in ["/", ".", "/etc"] {
        let said = get(server.address, &format!("/files?list={path}")).text();
        assert!(said.starts_with("error"), "{path}: {said}");
    }
}

#[test]
fn the_environment_comes_from_files_and_from_the_command_line() {
    let home = directory("environment");
    let file = home.join("env");
    fs::write(
        &file,
        "# a comment\nFIRST=\"one two\"\nexport SECOND=2\nTHIRD=3\nSECRET=p@$$w0rd!\nJSON={\"a\":1}\n",
    )
    .unwrap();
    let server = Server::component(guest("behaviours"))
        .arg("--env=THIRD=three")
        .arg("--env=PASSED")
        .option("--env-file", &file)
        .env("PASSED", "on")
        .env("HELD", "back")
        .start();
    let seen = get(server.address, "/environment").text();
    for line in [
        "FIRST=one two\n",
        "SECOND=2\n",
        "THIRD=three\n",
        "PASSED=on\n",
        "SECRET=p@$$w0rd!\n",
        "JSON={\"a\":1}\n",
    ] {
        assert!(seen.contains(line), "no {line:?} in:\n{seen}");
    }
    assert!(!seen.contains("HELD") && !seen.contains("PATH="), "{seen}");
}

#[test]
fn what_is_named_and_not_there_is_a_mistake() {
    let home = directory("mistakes");
    let file = home.join("env");
    fs::write(&file, "TOKEN s3cret word\n").unwrap();
    let file = file.display().to_string();
    for (arguments, said) in [
        (
            ["--dir", "/not/there::/data"],
            "option --dir: directory `/not/there`",
        ),
        (["--dir-rw", "/etc/passwd::/data"], "is not a directory"),
        (
            ["--env-file", "/not/there"],
            "option --env-file: `/not/there`: it cannot be read",
        ),
        (
            ["--config", "nothing"],
            "option --config: `nothing` is not NAME=VALUE",
        ),
        (["--env-file", &file], "a line that is not NAME=VALUE"),
    ] {
        let mut command = wasmserve();
        command
            .args([&guest("behaviours"), "--port", "0"])
            .args(arguments);
        let output = finished(command);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        assert!(printed.contains(said), "{printed}");
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}

#[test]
fn a_guest_is_told_its_configuration() {
    let arguments = ["--config", "greeting=hello=you", "--config", "empty="];
    let guest = guest("behaviours");
    let server = Server::component(&guest).args(arguments).start();
    let ask = |query: &str| get(server.address, &format!("/settings{query}")).text();
    assert_eq!(ask("?name=greeting"), "Some(\"hello=you\")\n");
    assert_eq!(ask("?name=empty"), "Some(\"\")\n");
    assert_eq!(ask("?name=other"), "None\n");
    assert_eq!(
        ask(""),
        "[(\"empty\", \"\"), (\"greeting\", \"hello=you\")]\n"
    );
}

#[test]
fn what_a_guest_logs_has_its_level_and_context_and_forges_nothing() {
    let server = Server::component(guest("behaviours"))
        .arg("--log-level=debug")
        .start();
    get(server.address, "/log");
    for (level, text) in [
        ("DEBUG: ", "] shop: as Level::Debug"),
        ("INFO: ", "] shop: as Level::Info"),
        ("WARNING: ", "] shop: as Level::Warn"),
        ("ERROR: ", "] shop: as Level::Error"),
        ("CRITICAL: ", "] shop: as Level::Critical"),
        ("INFO: ", "] without context"),
        ("INFO: ", "] a\\nERROR:: b"),
        ("    INFO: ", "    forged\\u{1b}[2J"),
        ("INFO: ", "] üüü"),
    ] {
        let line = server.wait_for(text);
        assert!(line.starts_with(level), "{line}");
    }
    let printed = server.printed();
    assert!(!printed.contains("Level::Trace"), "{printed}");
    let longest = printed.lines().map(str::len).max().unwrap();
    assert!((8000..9000).contains(&longest), "{longest}");
}
