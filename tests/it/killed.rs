//! Whenever a server or a command is killed, whatever its disk lacks: what is left behind is whole, and the next start
//! works.

use crate::harness::registry::Registry;
use crate::harness::{
    HELLO, Server, eventually, files, finished, folder, get, guest, root, wasmserve, with_cache,
    with_much_code,
};
use nix::sys::signal::Signal;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Has the supervisor killed, and waits until nobody of it is left.
fn kill(mut server: Server) {
    let children = server.children();
    server.signal(Signal::SIGKILL);
    server.wait();
    eventually("nobody is left", || {
        children.iter().all(|pid| !crate::harness::lives(*pid))
    });
}

/// Its names, but for what is under way.
fn names(directory: &Path) -> Vec<String> {
    let names = files(directory).into_iter();
    let names = names.map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn after_a_kill_at_any_point_of_a_start_the_next_start_works() {
    let folder = folder("killed-start");
    let (component, pid) = (folder.join("app.wat"), folder.join("pid"));
    fs::create_dir(folder.join("store")).unwrap();
    let store = format!("sqlite:{}", folder.join("store/steps.db").display());
    fs::write(&component, with_much_code(500)).unwrap();
    for point in [
        "Started parent process",
        "Compiling ",
        "Compiled ",
        "is done, after",
        "Started server process",
        "Application startup complete.",
        "wasmserve running on",
    ] {
        let cache = folder.join("cache");
        let _ = fs::remove_dir_all(&cache);
        let start = || {
            with_cache(&component, &cache)
                .option("--before-start", guest("behaviours-step"))
                .option("--keyvalue", &store)
                .option("--pid", &pid)
                .workers(2)
        };
        kill(start().until(point).start());
        let server = start().start();
        assert_eq!(
            get(server.address, "/").text(),
            "Hello, world!\n",
            "{point}"
        );
        // That of the application, and that of the step.
        assert_eq!(names(&cache).len(), 2, "{point}: {:?}", names(&cache));
    }
}

#[test]
fn after_a_kill_at_any_point_of_a_reload_the_next_start_serves_the_new_version() {
    let folder = folder("killed-reload");
    let component = folder.join("app.wat");
    let source = fs::read_to_string(root().join(HELLO)).unwrap();
    for (number, (point, count)) in [
        ("Compiling ", 2),
        ("Compiled ", 2),
        ("Started server process", 3),
        ("Application startup complete.", 3),
        ("ended: replaced by a reload", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let cache = folder.join(format!("cache{number}"));
        let start = || with_cache(&component, &cache).workers(2);
        fs::write(&component, &source).unwrap();
        let server = start().start();
        let next = folder.join("next.wat");
        let text = with_much_code(500).replace("Hello, world!", "Hello, there!");
        fs::write(&next, text).unwrap();
        fs::rename(&next, &component).unwrap();
        server.signal(Signal::SIGHUP);
        server.wait_for_count(point, count);
        kill(server);
        let server = start().start();
        assert_eq!(
            get(server.address, "/").text(),
            "Hello, there!\n",
            "{point}"
        );
        assert_eq!(names(&cache).len(), 2, "{point}: {:?}", names(&cache));
    }
}

#[test]
fn compiling_that_is_killed_leaves_the_code_that_was_there() {
    let folder = folder("killed-compile");
    let (component, code) = (folder.join("app.wat"), folder.join("app.cwasm"));
    // It is far from done when it is killed.
    fs::write(&component, with_much_code(6000)).unwrap();
    fs::write(&code, "what was there").unwrap();
    let mut command = wasmserve();
    command.arg("compile").arg(&component).arg("-o").arg(&code);
    kill(Server::command(command).until("Compiling ").start());
    assert_eq!(fs::read(&code).unwrap(), b"what was there");
    assert_eq!(names(&folder), ["app.cwasm", "app.wat"]);
}

/// Guards against a server that cannot go on because somebody has tidied up.
#[test]
fn a_cache_that_goes_away_while_it_serves_is_made_again() {
    let folder = folder("cache-gone");
    let (component, cache) = (folder.join("app.wat"), folder.join("cache"));
    let source = fs::read_to_string(root().join(HELLO)).unwrap();
    fs::write(&component, &source).unwrap();
    let server = with_cache(&component, &cache).start();
    fs::remove_dir_all(&cache).unwrap();
    fs::write(&component, source.replace("Hello, world!", "Hello, there!")).unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for("ended: replaced by a reload");
    assert_eq!(get(server.address, "/").text(), "Hello, there!\n");
    assert_eq!(names(&cache).len(), 1);
}

/// Wraps a command so that this directory is on a file system of its own that has little room.
fn with_little_room(directory: &Path) -> [String; 6] {
    let script = "mount -t tmpfs -o size=64k,mode=700 tmpfs \"$0\" && exec \"$@\"";
    let directory = directory.display().to_string();
    let words = ["unshare", "--mount", "sh", "-c", script, &directory];
    words.map(str::to_owned)
}

/// Only root can make a file system that is full.
fn may_mount() -> bool {
    let may = Command::new("unshare").args(["--mount", "true"]).output();
    let may = may.is_ok_and(|tried| tried.status.success());
    if !may {
        eprintln!("not tried: only root can make a file system that is full");
    }
    may
}

/// Runs a command whose cache is on a file system without room.
fn run(arguments: &[&str], cache: &Path) -> Output {
    let mut command = wasmserve();
    command.args(arguments).env("WASMSERVE_CACHE_DIR", cache);
    let wrapper = with_little_room(cache);
    let command = Server::command(command);
    command
        .under(wrapper.each_ref().map(String::as_str))
        .finished()
}

#[test]
fn commands_say_that_the_disk_is_full() {
    if !may_mount() {
        return;
    }
    let home = folder("full-disk");
    fs::create_dir(home.join("small")).unwrap();
    let registry = Registry::start(&home, false);
    let (named, large) = (registry.named("large:1"), guest("hello"));
    let mut push = wasmserve();
    push.args(["push", &large, &named]);
    assert!(finished(push).status.success());
    let code = home.join("small/app.cwasm");
    for (arguments, status) in [
        (&["compile", &large, "-o", code.to_str().unwrap()][..], 2),
        (&["pull", &named][..], 3),
        (&[&named, "--port", "0"][..], 3),
    ] {
        let output = run(arguments, &home.join("small"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains("No space left on device"), "{said}");
        assert!(said.contains("small"), "it names no place: {said}");
    }
}

#[test]
fn a_version_that_there_is_no_room_for_leaves_the_old_one_serving() {
    if !may_mount() {
        return;
    }
    let home = folder("full-reload");
    let (small, tag) = (home.join("small"), "hello:now");
    fs::create_dir(&small).unwrap();
    let registry = Registry::start(&home, false);
    let push = |component: &str| {
        let mut push = wasmserve();
        push.args(["push", component, &registry.named(tag)]);
        assert!(finished(push).status.success());
    };
    push(HELLO);
    let wrapper = with_little_room(&small);
    let server = with_cache(registry.named(tag), &small)
        .args(["--pull", "always"])
        .under(wrapper.each_ref().map(String::as_str))
        .start();
    push(&guest("hello"));
    server.signal(Signal::SIGHUP);
    server.wait_for("The reload failed, and the old version goes on serving");
    assert!(server.printed().contains("No space left on device"));
    // What came of it takes no room from others.
    let seen = format!("/proc/{}/root{}/registry", server.pid(), small.display());
    let parts = files(Path::new(&seen)).into_iter();
    let mut parts = parts.filter(|path| path.extension().is_some_and(|it| it == "part"));
    assert!(parts.all(|path| path.metadata().unwrap().len() == 0));
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
    push(HELLO);
    server.signal(Signal::SIGHUP);
    server.wait_for("ended: replaced by a reload");
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
}
