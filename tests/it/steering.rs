//! A server that runs is found and steered by commands, and by nobody else.

use crate::harness::{
    Connection, HELLO, Server, Target, Unprivileged, finished, get, order, root, said, wasmserve,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// A folder of the test's own.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ws-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A copy of the greeting that can be replaced.
fn application(folder: &Path) -> PathBuf {
    let path = folder.join("app.wat");
    fs::copy(root().join(HELLO), &path).unwrap();
    path
}

#[test]
fn a_server_is_found_and_steered_by_commands() {
    let mut server = Server::component(HELLO).start();
    let status = order(&server, &["status"]);
    assert_eq!(status.status.code(), Some(0), "{}", said(&status));
    assert!(
        said(&status).contains("serving, ready"),
        "{}",
        said(&status)
    );
    let scaled = order(&server, &["scale", "3"]);
    assert_eq!(scaled.status.code(), Some(0), "{}", said(&scaled));
    assert_eq!(server.workers().len(), 3);
    let first = server.workers()[0];
    let restarted = order(&server, &["restart-worker", &first.to_string()]);
    assert_eq!(restarted.status.code(), Some(0), "{}", said(&restarted));
    assert!(
        said(&restarted).contains("is replaced"),
        "{}",
        said(&restarted)
    );
    let again = order(&server, &["restart-worker", &first.to_string()]);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
    let most = order(&server, &["scale", "5000"]);
    assert_eq!(most.status.code(), Some(2), "{}", said(&most));
    let json = order(&server, &["status", "--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["workers_wanted"], 3);
    let stopped = order(&server, &["stop"]);
    assert_eq!(stopped.status.code(), Some(0), "{}", said(&stopped));
    assert_eq!(server.wait().code(), Some(0));
    let nobody = order(&server, &["status"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(
        said(&nobody).contains("no server is running"),
        "{}",
        said(&nobody)
    );
}

/// A person who deploys has to know whether the new version serves.
#[test]
fn a_reload_says_what_came_of_it() {
    let folder = folder("reload");
    let path = application(&folder);
    let server = Server::component(&path).workers(2).start();
    let before = server.workers();
    let reloaded = order(&server, &["reload"]);
    assert_eq!(reloaded.status.code(), Some(0), "{}", said(&reloaded));
    assert!(
        said(&reloaded).contains("version 2 is served"),
        "{}",
        said(&reloaded)
    );
    let serving = order(&server, &["status", "--json"]);
    let serving: Value = serde_json::from_slice(&serving.stdout).unwrap();
    let workers = serving["workers"].as_array().unwrap().iter();
    for worker in workers.filter(|worker| worker["state"] == "ready") {
        assert!(!before.contains(&(worker["pid"].as_i64().unwrap() as i32)));
    }
    fs::write(&path, "this is no component").unwrap();
    let failed = order(&server, &["reload"]);
    assert_eq!(failed.status.code(), Some(3), "{}", said(&failed));
    assert!(
        said(&failed).contains("the old version goes on serving: "),
        "{}",
        said(&failed)
    );
    assert_eq!(get(server.address, "/").status, 200);
    let status = order(&server, &["status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["reloads"]["last"]["outcome"], "failure");
    fs::copy(root().join(HELLO), &path).unwrap();
    assert_eq!(order(&server, &["reload"]).status.code(), Some(0));
    fs::remove_dir_all(&folder).unwrap();
}

/// Serves with an admin socket at this path.
fn watched_at(path: &Path) -> Server {
    Server::component(HELLO)
        .option("--admin", format!("unix:{}", path.display()))
        .start()
}

/// Who can reach the port of the metrics must not be able to stop the server.
#[test]
fn orders_are_taken_on_sockets_of_the_owner_alone() {
    let watched = Server::component(HELLO).watched();
    for target in ["/stop", "/reload", "/scale?workers=2"] {
        assert_eq!(
            Connection::open(watched.admin)
                .post(target)
                .body("")
                .response()
                .unwrap()
                .status,
            403,
            "{target}"
        );
        assert_eq!(watched.ask(target).status, 405, "{target}");
    }
    assert_eq!(watched.ask("/nothing").status, 404);
    let path = folder("owner").join("admin.sock");
    let server = watched_at(&path);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let mut connection = Connection::open(path.as_path());
    let scaled = connection.post("/scale?workers=2").body("").response();
    assert_eq!(scaled.unwrap().status, 200);
    assert_eq!(server.workers().len(), 2);
}

/// One that reads nothing would keep others from seeing the server.
#[test]
fn a_scraper_that_never_reads_and_an_admin_process_that_dies_hinder_nobody() {
    let watched = Server::component(HELLO).watched();
    let mut silent: Vec<Connection> = (0..20).map(|_| Connection::open(watched.admin)).collect();
    for connection in &mut silent {
        for _ in 0..50 {
            connection.get("/metrics").send().unwrap();
        }
    }
    assert_eq!(watched.ask("/livez").status, 200);
    let admin = watched.server.admin().expect("there is an admin process");
    kill(Pid::from_raw(admin), Signal::SIGKILL).unwrap();
    assert_eq!(watched.ask("/livez").status, 200);
    assert_ne!(watched.server.admin(), Some(admin));
    assert_eq!(watched.server.workers().len(), 1);
}

/// There is a process for questions only once somebody has one.
#[test]
fn a_server_that_nobody_looks_at_has_no_admin_process_and_without_a_socket_none_at_all() {
    let server = Server::component(HELLO).start();
    assert_eq!(server.admin(), None);
    assert_eq!(order(&server, &["status"]).status.code(), Some(0));
    assert!(server.admin().is_some());
    let hidden = Server::component(HELLO).arg("--no-admin").start();
    assert_eq!(order(&hidden, &["status"]).status.code(), Some(1));
}

#[test]
fn an_admin_address_that_cannot_be_had_ends_the_start() {
    let refused = |address: &str| {
        let mut command = wasmserve();
        command.args([HELLO, "--port", "0", "--admin", address]);
        let output = finished(command);
        (output.status.code(), said(&output))
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (status, text) = refused(&taken.local_addr().unwrap().to_string());
    assert_eq!(status, Some(4), "{text}");
    assert!(text.contains("--admin"), "{text}");
    let folder = folder("refused");
    let (status, text) = refused(&format!("unix:{}/no/such/x.sock", folder.display()));
    assert_eq!(status, Some(4), "{text}");
    let path = folder.join("used.sock");
    let used = UnixListener::bind(&path).unwrap();
    let (status, text) = refused(&format!("unix:{}", path.display()));
    assert_eq!(status, Some(4), "{text}");
    // Whose server is gone: it is replaced.
    drop(used);
    let server = watched_at(&path);
    assert_eq!(get(Target::from(path.as_path()), "/livez").status, 200);
    drop(server);
    if nix::unistd::geteuid().is_root() {
        let foreign = folder.join("foreign.sock");
        drop(UnixListener::bind(&foreign).unwrap());
        std::os::unix::fs::chown(&foreign, Some(65534), None).unwrap();
        let (status, text) = refused(&format!("unix:{}", foreign.display()));
        assert_eq!(status, Some(4), "{text}");
        assert!(text.contains("belongs to user 65534"), "{text}");
    }
    let (status, text) = refused("https://127.0.0.1:0");
    assert_eq!(status, Some(2), "{text}");
    fs::remove_dir_all(&folder).unwrap();
}

/// A directory that others can write to could lead commands elsewhere; the server does without, and says so.
#[test]
fn a_runtime_directory_that_cannot_be_had_is_told_of_and_nothing_else() {
    let folder = folder("runtime");
    for parent in [folder.join("missing"), folder.clone()] {
        let directory = folder.join("wasmserve");
        fs::create_dir_all(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
        let server = Server::component(HELLO)
            .env("XDG_RUNTIME_DIR", &parent)
            .start();
        server.wait_for("there is no socket for commands");
        assert_eq!(get(server.address, "/").status, 200);
    }
    if nix::unistd::geteuid().is_root() {
        let directory = folder.join("wasmserve");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(&directory, Some(65534), None).unwrap();
        let server = Server::component(HELLO)
            .env("XDG_RUNTIME_DIR", &folder)
            .start();
        server.wait_for("it belongs to user 65534");
        assert_eq!(get(server.address, "/").status, 200);
    }
    fs::remove_dir_all(&folder).unwrap();
}

/// A service of systemd that is another user's is found by root's commands, in the directory that it was given.
#[test]
fn root_steers_a_service_that_runs_as_somebody_else() {
    if !nix::unistd::geteuid().is_root() {
        println!("only root has services of others");
        return;
    }
    let place = Unprivileged::new("service");
    let component = place.0.join("app.wasm");
    fs::copy(root().join(HELLO), &component).unwrap();
    let given = PathBuf::from(format!("/run/wasmserve-of-tests-{}", std::process::id()));
    fs::create_dir(&given).unwrap();
    fs::set_permissions(&given, fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(&given, Some(65534), Some(65534)).unwrap();
    let mut command = place.command();
    command.env_remove("XDG_RUNTIME_DIR");
    command.env("RUNTIME_DIRECTORY", &given);
    command.arg(&component).arg("--port=0");
    let server = Server::command(command).start();
    let pid = server.pid().to_string();
    let mut status = wasmserve();
    status.args(["status", "--pid", &pid]);
    let output = finished(status);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&format!("[{pid}]: serving")), "{said}");
    drop(server);
    fs::remove_dir_all(&given).unwrap();
}

#[test]
fn sockets_of_servers_that_are_gone_are_removed_by_the_next() {
    let folder = folder("gone");
    let start = || {
        Server::component(HELLO)
            .env("XDG_RUNTIME_DIR", &folder)
            .start()
    };
    let first = start();
    let path = folder.join(format!("wasmserve/{}.sock", first.pid()));
    assert!(path.exists());
    drop(first);
    assert!(path.exists(), "it was killed");
    let mut second = start();
    assert!(!path.exists());
    let own = folder.join(format!("wasmserve/{}.sock", second.pid()));
    assert!(own.exists());
    second.signal(Signal::SIGTERM);
    second.wait();
    assert!(!own.exists());
    fs::remove_dir_all(&folder).unwrap();
}

/// Somebody else's server could say what acts on a terminal.
#[test]
fn what_another_server_says_forges_nothing() {
    let folder = folder("forged");
    let path = folder.join("evil.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J";
    let document = serde_json::json!({
        "version": evil, "pid": 7, "state": evil, "reasons": [evil], "listeners": [evil],
        "component": {"path": evil, "digest": evil, "instances": evil},
        "workers": [{"pid": 1, "state": evil}],
        "outcome": "done", "detail": evil,
    });
    let answer = format!("HTTP/1.0 200 OK\r\n\r\n{document}{evil}");
    let good = format!("HTTP/1.0 200 OK\r\n\r\n{document}");
    let serving = std::thread::spawn(move || {
        for answer in [&good, &good, &answer] {
            let (mut client, _) = socket.accept().unwrap();
            let mut head = [0; 1024];
            let _ = client.read(&mut head).unwrap();
            client.write_all(answer.as_bytes()).unwrap();
        }
    });
    let socket = ["--socket", path.to_str().unwrap()];
    for arguments in [&["status"][..], &["reload"], &["status", "--json"]] {
        let mut command = wasmserve();
        command.args(arguments).args(socket);
        let output = finished(command);
        let printed = [output.stdout, output.stderr].concat();
        assert!(!printed.is_empty());
        let acts = |byte: &u8| byte.is_ascii_control() && *byte != b'\n';
        assert!(
            !printed.iter().any(acts),
            "{}",
            String::from_utf8_lossy(&printed)
        );
    }
    serving.join().unwrap();
    fs::remove_dir_all(&folder).unwrap();
}
