//! Logs in files and in the system's log: nothing is lost while they are turned, and nothing in them is forged.

use crate::harness::{
    Connection, DEADLINE, Folder, Server, eventually, finished, get, guest, order, wasmserve,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The lines of all files of this folder whose names begin so.
fn lines(folder: &Folder, name: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let begins = |path: &Path| path.file_name()?.to_str()?.starts_with(name).then_some(());
        if begins(&path).is_some() {
            let text = fs::read_to_string(&path).unwrap();
            assert!(
                text.is_empty() || text.ends_with('\n'),
                "{}: {text}",
                path.display()
            );
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    lines
}

/// Clients that ask for one path after the other, each of which is asked for once, until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<thread::JoinHandle<usize>>,
}

impl Load {
    fn begin(server: &Server) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |client: usize| {
            let (address, stop) = (server.address, stop.clone());
            thread::spawn(move || {
                let mut connection = Connection::open(address);
                let mut asked = 0;
                while !stop.load(Ordering::Relaxed) {
                    let answer = connection
                        .get(&format!("/{client}/{asked}"))
                        .response()
                        .unwrap();
                    assert_eq!(answer.status, 200);
                    asked += 1;
                }
                asked
            })
        };
        let clients = (0..4).map(client).collect();
        Load { stop, clients }
    }

    /// Stops, and gives how many paths each client has asked for.
    fn end(self) -> Vec<usize> {
        self.stop.store(true, Ordering::Relaxed);
        let clients = self.clients.into_iter();
        clients.map(|client| client.join().unwrap()).collect()
    }
}

fn stopped(mut server: Server) {
    server.signal(Signal::SIGTERM);
    assert!(server.wait().success());
}

/// A worker that went on in the renamed file, or lines that were on their way while the file was opened again, would
/// be missing.
#[test]
fn logrotate_turns_the_log_under_load_and_no_line_is_lost() {
    let folder = Folder::new("rotate");
    let server = Server::component(guest("hello"))
        .workers(2)
        .option("--access-logfile", folder.file("access.log"))
        .arg("--access-logformat=%(U)s %(s)s")
        .start();
    let configuration = format!(
        "{} {{\n  rotate 1000\n  sharedscripts\n  postrotate\n    kill -USR1 {}\n  endscript\n}}\n",
        folder.file("access.log"),
        server.pid()
    );
    fs::write(folder.file("logrotate.conf"), configuration).unwrap();
    let load = Load::begin(&server);
    for turn in 1..=5 {
        let current = PathBuf::from(folder.file("access.log"));
        eventually("the new file is written to", || {
            fs::metadata(&current).is_ok_and(|file| file.len() > 0)
        });
        let turned = Command::new("logrotate")
            .args([
                "--force",
                "--state",
                &folder.file("state"),
                &folder.file("logrotate.conf"),
            ])
            .output()
            .expect("logrotate is there");
        assert!(turned.status.success(), "{turn}: {turned:?}");
    }
    eventually("the last file is written to", || {
        fs::metadata(folder.file("access.log")).is_ok_and(|file| file.len() > 0)
    });
    let asked = load.end();
    stopped(server);
    let mut seen: HashMap<String, usize> = HashMap::new();
    for line in lines(&folder, "access.log") {
        *seen.entry(line).or_default() += 1;
    }
    assert!(
        fs::metadata(folder.file("access.log.5")).is_ok(),
        "there were five turns"
    );
    for (client, count) in asked.iter().enumerate() {
        for number in 0..*count {
            let line = format!("/{client}/{number} 200");
            assert_eq!(seen.remove(&line), Some(1), "`{line}` of {count}");
        }
    }
    assert!(seen.is_empty(), "nobody asked for {seen:?}");
}

/// Workers that drain after USR2 write by the log process of their own executable: it would go on in a file that is
/// compressed and gone by the time they end.
#[test]
fn a_log_is_turned_for_workers_of_the_executable_before_too() {
    let folder = Folder::new("turned");
    let (log, turned) = (folder.file("access.log"), folder.file("access.log.1"));
    let server = Server::component(guest("behaviours"))
        .option("--access-logfile", &log)
        .args(["--min-rate=0", "--timeout-idle-body=300s"])
        .args(["--timeout-request=300s", "--timeout-graceful-shutdown=300s"])
        .start();
    let mut slow = server.connect();
    slow.write("POST /request HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        .unwrap();
    server.answers_now(1);
    server.signal(Signal::SIGUSR2);
    server.wait_for("The executable was replaced");
    eventually("the new executable answers", || {
        get(server.address, "/respond?new");
        lines(&folder, "access.log")
            .iter()
            .any(|line| line.contains("?new"))
    });
    fs::rename(&log, &turned).unwrap();
    server.signal(Signal::SIGUSR1);
    eventually("the log is there again", || Path::new(&log).exists());
    // Whoever obeys this is done with that.
    assert_eq!(order(&server, &["scale", "1"]).status.code(), Some(0));
    slow.write("cde").unwrap();
    assert_eq!(slow.response().unwrap().status, 200);
    let has = |path: &str| fs::read_to_string(path).unwrap().contains("POST /request");
    eventually("the line is in the new file", || has(&log));
    assert!(!has(&turned));
    stopped(server);
}

#[test]
fn the_log_goes_to_its_file_from_the_first_line_to_the_last() {
    let folder = Folder::new("file");
    let log = folder.file("error.log");
    let server = Server::component(guest("hello"))
        .option("--log-file", &log)
        .arg("--log-time")
        .until_logged(&log)
        .start();
    get(server.address, "/asked");
    server.wait_for("GET /asked");
    fs::rename(&log, folder.file("error.log.1")).unwrap();
    server.signal(Signal::SIGUSR1);
    eventually("the file is there again", || Path::new(&log).exists());
    stopped(server);
    let lines = lines(&folder, "error.log");
    for text in [
        "Started parent process",
        "Started server process",
        "Stopping parent process",
    ] {
        let line = lines.iter().find(|line| line.contains(text)).expect(text);
        assert!(
            line.starts_with('2') && line.contains("Z INFO:     "),
            "{line}"
        );
    }
    assert!(
        fs::read_to_string(&log)
            .unwrap()
            .contains("Stopping parent process")
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&log).unwrap().permissions());
    assert_eq!(mode & 0o007, 0, "others cannot read it");
}

/// A start that fails has no process yet that could write the log.
#[test]
fn why_a_start_fails_is_in_the_log_and_on_the_terminal() {
    let folder = Folder::new("fails");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = wasmserve();
    let port = taken.local_addr().unwrap().port().to_string();
    command.args([
        &guest("hello"),
        "--port",
        &port,
        "--log-file",
        &folder.file("log"),
    ]);
    let output = finished(command);
    assert_eq!(output.status.code(), Some(4));
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(printed.contains("in use"), "{printed}");
    let log = lines(&folder, "log").concat();
    assert!(log.contains("in use"), "{log}");
}

#[test]
fn who_writes_the_log_is_replaced() {
    let folder = Folder::new("replaced");
    let server = Server::component(guest("hello"))
        .option("--access-logfile", folder.file("access.log"))
        .start();
    eventually("there is one", || server.log_writer().is_some());
    let first = server.log_writer().unwrap();
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    server.wait_for("the process that writes the log");
    get(server.address, "/after");
    eventually("there is another", || {
        server.log_writer().is_some_and(|pid| pid != first)
    });
    eventually("the request is in the log", || {
        lines(&folder, "access.log")
            .iter()
            .any(|line| line.contains("/after"))
    });
    stopped(server);
}

fn received(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 8192];
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let length = socket.recv(&mut buffer).expect("something is sent");
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

/// Whoever keeps the system's log may be started again, which makes its socket anew.
#[test]
fn the_systems_log_gets_each_request_also_after_it_was_started_again() {
    let folder = Folder::new("syslog");
    let socket = UnixDatagram::bind(folder.file("log")).unwrap();
    let server = Server::component(guest("hello"))
        .option("--access-logfile", format!("syslog:{}", folder.file("log")))
        .start();
    let worker = server.workers()[0];
    get(server.address, "/first");
    let line = received(&socket);
    let begins = format!("<30>wasmserve[{worker}]: 127.0.0.1:");
    assert!(line.starts_with(&begins), "{line}");
    assert!(line.ends_with("\"GET /first HTTP/1.1\" 200 OK"), "{line}");
    drop(socket);
    get(server.address, "/between");
    fs::remove_file(folder.file("log")).unwrap();
    let socket = UnixDatagram::bind(folder.file("log")).unwrap();
    assert!(received(&socket).contains("/between"));
    stopped(server);
}

#[test]
fn the_journal_gets_fields() {
    let folder = Folder::new("journal");
    let socket = UnixDatagram::bind(folder.file("socket")).unwrap();
    let server = Server::component(guest("hello"))
        .option(
            "--access-logfile",
            format!("journald:{}", folder.file("socket")),
        )
        .start();
    let worker = server.workers()[0];
    get(server.address, "/asked");
    let entry = received(&socket);
    let fields: Vec<&str> = entry.lines().collect();
    let pid = format!("SYSLOG_PID={worker}");
    for field in ["PRIORITY=6", "SYSLOG_IDENTIFIER=wasmserve", &pid] {
        assert!(fields.contains(&field), "{field}: {entry}");
    }
    let message = fields
        .iter()
        .find_map(|field| field.strip_prefix("MESSAGE="));
    assert!(
        message.unwrap().ends_with("\"GET /asked HTTP/1.1\" 200 OK"),
        "{entry}"
    );
    stopped(server);
}

#[test]
fn mistakes_name_their_option() {
    let folder = Folder::new("mistakes");
    fs::create_dir(folder.file("directory")).unwrap();
    for (option, value, says) in [
        ("--access-logformat", "%(z)s", "`%(z)s` is no field"),
        ("--access-logformat", "$nothing", "`$nothing` is no field"),
        ("--access-logformat", "hello", "it has no field"),
        (
            "--log-file",
            "/nowhere/at/all",
            "cannot open `/nowhere/at/all`",
        ),
        ("--access-logfile", &folder.file("directory"), "cannot open"),
        (
            "--log-file",
            &format!("syslog:{}", folder.file("none")),
            "cannot open",
        ),
        ("--log-file", "", "it is empty"),
    ] {
        let mut command = wasmserve();
        command.args([&guest("hello"), "--port", "0", option, value]);
        let output = finished(command);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{option} {value}: {text}");
        assert!(
            text.contains(&format!("option {option}: ")) && text.contains(says),
            "{text}"
        );
    }
    let rw = format!("{}::/data", folder.path().display());
    let mut command = wasmserve();
    let log = folder.file("access.log");
    command.args([
        &guest("hello"),
        "--port",
        "0",
        "--dir-rw",
        &rw,
        "--access-logfile",
        &log,
    ]);
    let output = finished(command);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains("must not overlap"),
        "a guest could write the log: {text}"
    );
}
