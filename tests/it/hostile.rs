//! A worker that was taken over: it does with what it has been given whatever it likes. What it can reach are its
//! descriptors and its memory, and the test takes hold of both.

use crate::harness::{Folder, HELLO, Server, compiled, eventually, get, guest, scoreboard, strike};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The descriptors of a process, and what each is of.
fn descriptors(pid: i32) -> BTreeMap<i32, String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let numbers = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let target = |number: String| {
        let target = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
        Some((number.parse().unwrap(), target.display().to_string()))
    };
    numbers.filter_map(target).collect()
}

/// The same open file as a descriptor of another process (pidfd_getfd(2)).
fn stolen(pid: i32, number: i32) -> OwnedFd {
    // SAFETY: the calls take numbers alone, and give descriptors that nobody else has.
    unsafe {
        let process = libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32;
        assert!(process >= 0, "{}", std::io::Error::last_os_error());
        let process = OwnedFd::from_raw_fd(process);
        let number = libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) as i32;
        assert!(number >= 0, "{}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(number)
    }
}

/// What a worker has and the supervisor too, but no sibling, nor this test: what it talks to the supervisor by.
fn own_channels(server: &Server, worker: i32) -> Vec<i32> {
    let above: Vec<String> = descriptors(server.pid()).into_values().collect();
    let siblings = server.workers().into_iter().filter(|pid| *pid != worker);
    let siblings: Vec<String> = siblings
        .flat_map(|pid| descriptors(pid).into_values())
        .collect();
    let shared = |target: &String| target.starts_with("pipe:") || target.starts_with("socket:");
    let own = descriptors(worker).into_iter().filter(|(_, target)| {
        shared(target) && above.contains(target) && !siblings.contains(target)
    });
    own.map(|(number, _)| number).collect()
}

/// The one socket that a worker shares with the supervisor: what it accepts from.
fn listener(server: &Server, worker: i32) -> OwnedFd {
    let above: Vec<String> = descriptors(server.pid()).into_values().collect();
    let mut shared: Vec<(i32, String)> = descriptors(worker).into_iter().collect();
    shared.retain(|(_, target)| target.starts_with("socket:") && above.contains(target));
    shared.dedup_by(|one, other| one.1 == other.1);
    assert_eq!(shared.len(), 1, "{shared:?}");
    stolen(worker, shared[0].0)
}

fn shut_down(listener: OwnedFd) {
    TcpStream::from(listener).shutdown(Shutdown::Both).unwrap();
}

#[test]
fn a_worker_has_nothing_that_could_send_the_supervisor_a_descriptor() {
    for component in [HELLO.to_owned(), compiled("behaviours")] {
        let server = Server::component(&component).workers(2).start();
        for worker in server.workers() {
            let channels = own_channels(&server, worker);
            assert_eq!(channels.len(), 1, "{channels:?}");
            assert!(descriptors(worker)[&channels[0]].starts_with("pipe:"));
            // The listening socket can carry none.
            listener(&server, worker);
        }
    }
}

#[test]
fn a_worker_that_sends_garbage_or_without_end_is_ended_and_nobody_else() {
    let ready = [&2_u32.to_ne_bytes()[..], &[0; 4092]].concat().repeat(16);
    for bytes in [vec![0xff; 4096], b"r".to_vec(), ready] {
        let server = Server::component(HELLO).workers(2).start();
        let workers = server.workers();
        let before = descriptors(server.pid()).len();
        let number = own_channels(&server, workers[0])[0];
        let mut channel = File::from(stolen(workers[0], number));
        channel.write_all(&bytes).unwrap();
        let ended = format!(
            "Child process [{}] died: it sent what no worker sends",
            workers[0]
        );
        server.wait_for(&ended);
        server.wait_for_count("Application startup complete.", 3);
        assert_eq!(server.workers().len(), 2);
        assert!(server.workers().contains(&workers[1]));
        assert_eq!(get(server.address, "/").status, 200);
        eventually("the supervisor has as many descriptors as before", || {
            descriptors(server.pid()).len() == before
        });
    }
}

#[test]
fn a_listener_that_a_worker_shut_down_is_bound_anew() {
    for component in [HELLO.to_owned(), compiled("behaviours")] {
        let server = Server::component(&component).workers(2).start();
        let before = server.workers();
        shut_down(listener(&server, before[0]));
        server.wait_for("was shut down by one of its processes: it is bound anew");
        server.wait_for_count("recycled for its listening socket", 2);
        eventually("every worker is another", || {
            let workers = server.workers();
            workers.len() == 2 && !workers.iter().any(|worker| before.contains(worker))
        });
        // Each of them takes connections, also those that come later.
        for worker in server.workers() {
            strike(worker, Signal::SIGKILL);
            server.wait_for(&format!("Child process [{worker}] died"));
            assert_eq!(get(server.address, "/").status, 200);
        }
    }
}

#[test]
fn so_is_a_unix_socket_and_its_file_is_removed_at_the_end() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hostile.socket");
    let mut server = Server::component(HELLO)
        .option("--uds", &path)
        .without_port()
        .start();
    let worker = server.workers()[0];
    shut_down(listener(&server, worker));
    server.wait_for("was shut down by one of its processes: it is bound anew");
    server.wait_for("recycled for its listening socket");
    UnixStream::connect(&path).unwrap();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn so_is_the_socket_of_a_mount() {
    let server = Server::component(HELLO)
        .option("--mount", format!("/api={}", guest("behaviours")))
        .start();
    assert_eq!(get(server.address, "/api/x").text(), "ok\n");
    let mount = &server.status()["mounts"][0];
    let worker = mount["workers"][0]["pid"].as_i64().unwrap();
    shut_down(listener(&server, i32::try_from(worker).unwrap()));
    server.wait_for("The socket of mount `/api` was shut down by one of its processes");
    server.wait_for("recycled for its listening socket");
    eventually("the mount answers", || {
        get(server.address, "/api/x").text() == "ok\n"
    });
    for worker in server.workers() {
        strike(worker, Signal::SIGKILL);
        server.wait_for(&format!("Child process [{worker}] died"));
        assert_eq!(get(server.address, "/api/x").text(), "ok\n");
    }
}

#[test]
fn a_listener_that_was_made_to_wait_keeps_no_worker() {
    let server = Server::component(HELLO)
        .workers(2)
        .arg("--timeout-worker-healthcheck=2s")
        .start();
    let before = server.workers();
    let listener = listener(&server, before[0]);
    // SAFETY: the call takes numbers alone.
    let done = unsafe { libc::fcntl(listener.as_raw_fd(), libc::F_SETFL, 0) };
    assert_eq!(done, 0);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        assert_eq!(get(server.address, "/").status, 200);
    }
    server.wait_for(
        "was switched to blocking mode by one of its processes: it is non-blocking again",
    );
    assert_eq!(server.workers(), before);
}

#[test]
fn a_worker_can_write_its_own_slot_alone() {
    for component in [HELLO.to_owned(), compiled("behaviours")] {
        let folder = Folder::new("own-slot");
        let log = folder.path().join("log");
        let server = Server::component(&component).workers(3);
        let server = server.option("--access-logfile", &log).start();
        let mut slots: Vec<u64> = Vec::new();
        for worker in server.workers() {
            let (writable, could) = scoreboard(worker);
            // Its slot, and where its own last lines are.
            assert_eq!((writable.len(), could), (2, false), "{writable:?}");
            assert!(
                !writable.iter().any(|own| slots.contains(own)),
                "{slots:?} {writable:?}"
            );
            slots.extend(writable);
            let kept = descriptors(worker);
            assert!(
                !kept.values().any(|target| target.contains("scoreboard")),
                "{kept:?}"
            );
        }
        // Nor can who writes the log, and what they are forked from.
        assert_eq!(scoreboard(server.log_writer().unwrap()), (vec![], false));
        if let Some(zygote) = server.zygote() {
            assert_eq!(scoreboard(zygote), (vec![], false));
            let kept = descriptors(zygote);
            assert!(
                !kept.values().any(|target| target.contains("scoreboard")),
                "{kept:?}"
            );
        }
    }
}

/// What a worker writes into its slot is read by its siblings and by the supervisor.
#[test]
fn a_worker_that_writes_anything_into_its_slot_keeps_nobody_from_serving() {
    let server = Server::component(HELLO).workers(2).start();
    let [hostile, _] = server.workers()[..] else {
        panic!("not two")
    };
    let maps = fs::read_to_string(format!("/proc/{hostile}/maps")).unwrap();
    let mut lines = maps
        .lines()
        .filter(|line| line.contains("wasmserve scoreboard"));
    let own = lines.find(|line| line.contains("rw-s")).unwrap();
    let place = u64::from_str_radix(own.split('-').next().unwrap(), 16).unwrap();
    let memory = File::options()
        .write(true)
        .open(format!("/proc/{hostile}/mem"))
        .unwrap();
    strike(hostile, Signal::SIGSTOP);
    std::os::unix::fs::FileExt::write_all_at(&memory, &[0xff; 512], place).unwrap();
    for _ in 0..20 {
        assert_eq!(get(server.address, "/").status, 200);
    }
    server.wait_for(&format!("Child process [{hostile}] ended: hung"));
    eventually("there are two again", || {
        server.workers().len() == 2 && !server.workers().contains(&hostile)
    });
    server.signal(Signal::SIGHUP);
    server.wait_for_count("ended: replaced by a reload", 2);
    assert_eq!(get(server.address, "/").status, 200);
}
