//! Workers have given up their rights before they serve, all of their threads, wherever they come from; the supervisor
//! has not. What they can do then is tried beside src/config/sandbox.rs.

use crate::harness::{
    HELLO, Server, compiled, eventually, finished, get, guest, number, root, strike, wasmserve,
};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getsid};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Filters of system calls that each thread of a process has, above those that it shares with this test.
fn filters(pid: i32) -> Vec<u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let task = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
    let ours = number(std::process::id() as i32, "status", "Seccomp_filters:");
    let filters = |task: String| number(pid, &format!("task/{task}/status"), "Seccomp_filters:");
    tasks
        .map(|entry| filters(task(entry).unwrap()) - ours)
        .collect()
}

/// A line of what the kernel tells of a process.
fn status(pid: i32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().to_owned()
}

fn assert_confined(server: &Server) {
    for worker in server.workers() {
        assert_eq!(get(server.address, "/").status, 200);
        let filters = filters(worker);
        assert!(filters.len() > 1, "{filters:?}");
        assert!(filters.iter().all(|count| *count >= 1), "{filters:?}");
        assert_has_no_rights(worker);
    }
    assert_eq!(filters(server.pid()), [0]);
}

fn assert_has_no_rights(pid: i32) {
    assert_eq!(number(pid, "status", "NoNewPrivs:"), 1);
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(status(pid, set), "0".repeat(16), "{set}");
    }
    assert_eq!(getsid(Some(Pid::from_raw(pid))), Ok(Pid::from_raw(pid)));
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let core: Vec<&str> = core.unwrap().split_whitespace().skip(4).collect();
    assert_eq!(core, ["0", "0", "bytes"]);
}

/// Kills one of two workers, and waits until there are two again.
fn replace_a_worker(server: &Server) {
    let first = server.workers()[0];
    strike(first, Signal::SIGKILL);
    eventually("the worker is replaced", || {
        let workers = server.workers();
        workers.len() == 2 && !workers.contains(&first)
    });
    server.wait_for_count("Application startup complete.", 3);
}

#[test]
fn workers_are_confined() {
    let server = Server::component(guest("behaviours")).workers(2).start();
    assert_confined(&server);
    replace_a_worker(&server);
    assert_confined(&server);
}

#[test]
fn so_are_those_of_a_large_component() {
    let server = Server::component(compiled("behaviours")).workers(2).start();
    let zygote = server.zygote().unwrap();
    assert_eq!(filters(zygote), [1]);
    assert_has_no_rights(zygote);
    assert_confined(&server);
    // It goes on forking workers.
    replace_a_worker(&server);
    assert_confined(&server);
    assert_eq!(server.zygote(), Some(zygote));
}

#[test]
fn an_operator_can_do_without() {
    for off in [&["--no-sandbox"][..], &["--sandbox", "off"]] {
        let component = guest("behaviours");
        let server = Server::component(&component).args(off).start();
        let worker = server.workers()[0];
        assert!(filters(worker).iter().all(|count| *count == 0));
        let [its, ours] =
            [worker, std::process::id() as i32].map(|pid| number(pid, "status", "NoNewPrivs:"));
        assert_eq!(its, ours);
    }
}

#[test]
fn two_options_that_contradict_each_other_are_a_mistake() {
    let mut command = wasmserve();
    command.args([&guest("behaviours"), "--sandbox", "strict", "--no-sandbox"]);
    let output = finished(command);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("--no-sandbox") && text.contains("--sandbox"),
        "{text}"
    );
}

/// A wasmserve for which the kernel has no landlock.
fn without_landlock(arguments: &[&str]) -> Command {
    let mut command = wasmserve();
    command
        .args([&guest("behaviours"), "--port", "0"])
        .args(arguments);
    let machine = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let rules = [(libc::SYS_landlock_create_ruleset, Vec::new())];
    let missing = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let filter = SeccompFilter::new(rules.into(), SeccompAction::Allow, missing, machine);
    let filter = BpfProgram::try_from(filter.unwrap()).unwrap();
    // SAFETY: prctl(2) and seccomp(2) may be called between fork and exec (signal-safety(7)).
    unsafe {
        command.pre_exec(move || apply_filter(&filter).map_err(std::io::Error::other));
    }
    command
}

#[test]
fn a_kernel_that_cannot_enforce_it_is_warned_about_or_refused() {
    let server = Server::command(without_landlock(&[])).start();
    server.wait_for("the kernel has no landlock");
    assert_eq!(get(server.address, "/").status, 200);
    let output = finished(without_landlock(&["--sandbox", "strict"]));
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("option --sandbox") && text.contains("no landlock"),
        "{text}"
    );
}

#[test]
fn everything_but_the_supervisor_runs_as_the_user_who_is_named() {
    if !nix::unistd::geteuid().is_root() {
        let mut command = wasmserve();
        command.args([&guest("behaviours"), "--user", "0"]);
        return assert_eq!(finished(command).status.code(), Some(2));
    }
    let home = std::env::temp_dir().join(format!("wasmserve-user-{}", std::process::id()));
    fs::create_dir(&home).unwrap();
    let (component, cache) = (home.join("app.wasm"), home.join("cache"));
    fs::copy(guest("behaviours"), &component).unwrap();
    fs::create_dir(&cache).unwrap();
    std::os::unix::fs::chown(&cache, Some(65534), Some(65534)).unwrap();
    fs::set_permissions(&cache, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    // The first time it is compiled, the second it is found; a reload works as well.
    for _ in 0..2 {
        let server = Server::component(&component)
            .workers(2)
            .option("--cache-dir", &cache)
            .args(["--user=65534", "--group=65534"])
            .start();
        assert_confined(&server);
        server.signal(Signal::SIGHUP);
        server.wait_for_count("Application startup complete.", 4);
        server.wait_for_count("ended: replaced by a reload", 2);
        for worker in server.workers() {
            assert_eq!(status(worker, "Uid:"), ["65534"; 4].join("\t"));
            assert_eq!(status(worker, "Gid:"), ["65534"; 4].join("\t"));
        }
        assert_eq!(status(server.pid(), "Uid:"), ["0"; 4].join("\t"));
    }
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    fs::remove_dir_all(home).unwrap();
}

/// Guards against a directory that was granted and that every request fails to write to, without a word at the start.
#[test]
fn a_directory_that_guests_cannot_write_to_is_named_at_the_start() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let home = std::env::temp_dir().join(format!("wasmserve-reach-it-{}", std::process::id()));
    fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(65534), Some(65534)).unwrap();
    let grant = format!("{}::/data", home.display());
    let server = Server::component(guest("behaviours"))
        .option("--dir-rw", &grant)
        .start();
    let line = server.wait_for("guests cannot write in");
    let path = format!("`{}`", home.display());
    assert!(
        line.contains(&path) && line.contains("--user 65534"),
        "{line}"
    );
    drop(server);
    let server = Server::component(guest("behaviours"))
        .option("--dir-rw", &grant)
        .arg("--sandbox=off")
        .start();
    assert!(!server.printed().contains("guests cannot"));
    fs::remove_dir_all(home).unwrap();
}

#[test]
fn a_user_who_is_not_there_is_a_mistake() {
    let mut command = wasmserve();
    command.args([&guest("behaviours"), "--user", "nobody-of-this-name"]);
    let output = finished(command);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("option --user: there is no user"), "{text}");
}

/// An application that never gets through its start, so that its compiler can be looked at.
fn endless() -> String {
    let hello = fs::read_to_string(root().join(HELLO)).unwrap();
    let first = "    (func $value (result i32)";
    assert!(hello.contains(first));
    let spin = "    (func $spin (loop $again (br $again))) (start $spin)\n";
    hello.replace(first, &format!("{spin}{first}"))
}

#[test]
fn what_compiles_is_confined() {
    let path = std::env::temp_dir().join(format!("wasmserve-endless-{}.wat", std::process::id()));
    fs::write(&path, endless()).unwrap();
    let mut command = wasmserve();
    command.args([path.as_os_str(), "--port".as_ref(), "0".as_ref()]);
    let mut supervisor = command.spawn().unwrap();
    let pid = supervisor.id();
    let mut compiler = None;
    eventually("the compiler confines itself", || {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        compiler = children
            .unwrap_or_default()
            .split_whitespace()
            .next()
            .map(|pid| pid.parse().unwrap());
        compiler.is_some_and(|pid| {
            status(pid, "NoNewPrivs:") == "1" && filters(pid).iter().all(|count| *count == 1)
        })
    });
    let rights = u64::from_str_radix(&status(compiler.unwrap(), "CapEff:"), 16).unwrap();
    assert_eq!(rights & !(1 << 2), 0, "{rights:x}");
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    fs::remove_file(path).unwrap();
}
