//! Connections are spread over the workers, and never refused for want of descriptors.

use crate::harness::{Connection, HELLO, Server, Target, eventually, get, guest};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Sockets that a process has open.
fn sockets(pid: i32) -> usize {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let targets = links.filter_map(|link| fs::read_link(link.unwrap().path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

/// Four workers that listen at an address and at a Unix socket, whose path this is.
fn four_workers(name: &str) -> (Server, PathBuf) {
    let name = format!("wasmserve-{}-{name}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let server = Server::component(HELLO)
        .workers(4)
        .arg("--no-access-log")
        .option("--uds", &path)
        .start();
    (server, path)
}

#[test]
fn a_burst_of_connections_is_spread_over_the_workers() {
    let (server, path) = four_workers("burst");
    is_spread(&server, &server.address.into());
    is_spread(&server, &path.as_path().into());
    std::fs::remove_file(path).unwrap();
}

/// Clients that connect for each request are left to as many workers as there are processors, and those who stay are
/// not: what was learnt of the former does not hold for the latter.
#[test]
fn a_burst_is_spread_also_after_many_short_connections() {
    let path = std::env::temp_dir().join(format!("wasmserve-{}-short.sock", std::process::id()));
    let server = Server::component(HELLO)
        .workers(4)
        .arg("--no-access-log")
        .option("--uds", &path)
        .under(["taskset", "-c", "0"])
        .start();
    std::thread::scope(|scope| {
        for client in 0..8 {
            let target: Target = match client % 2 {
                0 => server.address.into(),
                _ => path.as_path().into(),
            };
            scope.spawn(move || {
                for _ in 0..100 {
                    assert_eq!(get(target.clone(), "/").text(), "Hello, world!\n");
                }
            });
        }
    });
    is_spread(&server, &server.address.into());
    is_spread(&server, &path.as_path().into());
    std::fs::remove_file(path).unwrap();
}

fn is_spread(server: &Server, target: &Target) {
    let workers = server.workers();
    let all = || -> Vec<usize> { workers.iter().map(|worker| sockets(*worker)).collect() };
    let mut before = all();
    eventually("the clients before are gone", || {
        std::thread::sleep(Duration::from_millis(200));
        let earlier = std::mem::replace(&mut before, all());
        before == earlier
    });
    let connections: Vec<Connection> = (0..200).map(|_| Connection::open(target)).collect();
    let counts = || -> Vec<usize> {
        let now = workers.iter().map(|worker| sockets(*worker));
        now.zip(&before).map(|(now, before)| now - before).collect()
    };
    eventually("all are accepted", || {
        counts().iter().sum::<usize>() == connections.len()
    });
    let counts = counts();
    let (least, most) = (*counts.iter().min().unwrap(), *counts.iter().max().unwrap());
    assert!(most * 4 <= least * 5, "{counts:?}");
    drop(connections);
    eventually("all are closed", || {
        workers
            .iter()
            .map(|worker| sockets(*worker))
            .eq(before.iter().copied())
    });
}

#[test]
fn a_worker_that_is_busy_leaves_connections_to_one_that_is_not() {
    let server = Server::component(guest("behaviours")).workers(2).start();
    let first = server.workers()[0];
    let mut busy: Vec<Connection> = (0..4).map(|_| server.connect()).collect();
    for connection in &mut busy {
        connection.get("/sleep?ms=1000").send().unwrap();
    }
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(first),
        nix::sys::signal::Signal::SIGSTOP,
    )
    .unwrap();
    for _ in 0..20 {
        assert_eq!(
            get(server.address, "/").text(),
            "ok\n",
            "a hung worker holds nothing back"
        );
    }
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(first),
        nix::sys::signal::Signal::SIGCONT,
    )
    .unwrap();
}

#[test]
fn accepting_pauses_while_there_are_no_descriptors_and_goes_on_when_there_are() {
    let server = Server::component(HELLO)
        .arg("--no-access-log")
        .under(["sh", "-c", "ulimit -n 40; exec \"$0\" \"$@\""])
        .start();
    let worker = server.workers()[0];
    let held: Vec<Connection> = (0..60).map(|_| server.connect()).collect();
    server.wait_for("accepting pauses");
    let ticks = |pid: i32| -> u64 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks(worker);
    std::thread::sleep(Duration::from_millis(600));
    let spent = ticks(worker) - before;
    assert!(spent < 20, "it spins: {spent} of 60 ticks");
    drop(held);
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
    assert_eq!(server.workers(), [worker]);
}

/// Those who were there first kept everybody else out until they left, though they asked for nothing: `--limit-connections`
/// allows more connections than there may be open files.
#[test]
fn who_is_idle_makes_room_where_open_files_are_limited() {
    for limit in ["40", "200"] {
        let server = Server::component(HELLO)
            .args(["--no-access-log", "--timeout-keep-alive", "600s"])
            .under([
                "sh",
                "-c",
                &format!("ulimit -n {limit}; exec \"$0\" \"$@\""),
            ])
            .start();
        server.wait_for(&format!("the limit of open files, {limit}, has room for"));
        let mut held = Vec::new();
        for number in 0..300 {
            let mut connection = server.connect();
            let answer = connection.get("/").response();
            assert_eq!(answer.unwrap().text(), "Hello, world!\n", "{number}");
            held.push(connection);
        }
        let told = server.printed().matches("accepting pauses").count();
        assert!(told <= 1, "it is told {told} times");
    }
}

/// Whoever held all of them kept every client out until its request had ended.
#[test]
fn guests_leave_descriptors_to_clients() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("left-to-clients");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("a"), "").unwrap();
    for name in ["behaviours", "behaviours-p3"] {
        let server = Server::component(guest(name))
            .option("--dir", &directory)
            .args(["--allow-net", "127.0.0.1:1"])
            .under(["sh", "-c", "ulimit -n 200; exec \"$0\" \"$@\""])
            .start();
        for (of, what) in [("file", "file"), ("tcp", "socket"), ("udp", "socket")] {
            let mut holds = server.connect();
            let asks = format!("/hold-open?of={of}&n=500&ms=60000");
            holds.get(&asks).send().unwrap();
            server.wait_for(&format!("holds descriptors of {of}: "));
            let told = format!("denied the guest a {what}: few descriptors are left");
            server.wait_for(&told);
            let clients: Vec<Connection> = (0..10).map(|_| server.connect()).collect();
            for mut client in clients {
                assert_eq!(client.get("/").response().unwrap().text(), "ok\n");
            }
            holds.reset();
            eventually("they are free again", || {
                get(server.address, &format!("/hold-open?of={of}&n=100")).text() == "held 100\n"
            });
        }
        assert!(!server.printed().contains("accepting pauses"));
    }
}

#[test]
fn a_worker_that_is_stopped_or_killed_delays_no_connection() {
    let (server, path) = four_workers("stop");
    let workers = server.workers();
    let send = |worker: usize, signal| {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(workers[worker]), signal).unwrap();
    };
    // Each has connections that it keeps, so that those who go seem to have room.
    let held: Vec<Connection> = (0..20).map(|_| server.connect()).collect();
    send(0, nix::sys::signal::Signal::SIGSTOP);
    for number in 0..200 {
        if number == 100 {
            send(1, nix::sys::signal::Signal::SIGKILL);
        }
        let target: Target = match number % 2 {
            0 => server.address.into(),
            _ => path.as_path().into(),
        };
        let start = std::time::Instant::now();
        assert_eq!(get(target, "/").text(), "Hello, world!\n", "{number}");
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "{number}: {:?}",
            start.elapsed()
        );
    }
    send(0, nix::sys::signal::Signal::SIGCONT);
    drop(held);
    std::fs::remove_file(path).unwrap();
}
