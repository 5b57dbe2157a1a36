//! Compiled code is executed as it was written, or not at all; what compiling may take is bounded, and it is told.

use crate::harness::{
    HELLO, Server, eventually, files, finished, folder, get, guest, root, wasmserve, with_cache,
    with_start,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder of the test's own, empty.
fn only_file(cache: &Path) -> PathBuf {
    let mut files = files(cache);
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn code_that_was_changed_cut_short_or_exchanged_is_compiled_again() {
    let cache = folder("damaged");
    let other = folder("other");
    let behaviours = guest("behaviours");
    drop(with_cache(HELLO, &cache).start());
    drop(with_cache(&behaviours, &other).start());
    let file = only_file(&cache);
    let good = fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        bytes
    };
    let last = good.len() - 1;
    let zeroed = [&good[..4096], &vec![0; good.len() - 4096][..]].concat();
    for (what, bytes) in [
        ("flipped in the middle", flipped(good.len() / 2)),
        ("flipped in the first page", flipped(100)),
        ("flipped in the seal", flipped(last - 20)),
        ("flipped in the mark", flipped(last)),
        ("cut short", good[..good.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("lost pages", zeroed),
        ("of another component", fs::read(only_file(&other)).unwrap()),
    ] {
        fs::write(&file, bytes).unwrap();
        let server = with_cache(HELLO, &cache).start();
        assert_eq!(get(server.address, "/").text(), "Hello, world!\n", "{what}");
        let printed = server.printed();
        let told = "compiled code in the cache is not used, and made again";
        assert_eq!(printed.matches(told).count(), 1, "{what}: {printed}");
        assert!(!printed.contains("died"), "{what}: {printed}");
        drop(server);
        let server = with_cache(HELLO, &cache).start();
        server.wait_for("Found the compiled code of guests/hello/hello.wat in the cache");
        assert!(!server.printed().contains(told), "{what}");
    }
}

#[test]
fn native_code_of_the_operators_own_is_checked_too() {
    let folder = folder("precompiled");
    let code = folder.join("hello.cwasm");
    let mut compile = wasmserve();
    compile.args(["compile", HELLO, "-o"]).arg(&code);
    assert!(finished(compile).status.success());
    let serve = || with_cache(&code, &folder.join("cache")).arg("--allow-precompiled");
    let server = serve().start();
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
    drop(server);
    // An image has no cache, and nothing that the next start would compile.
    let uncached = with_cache(&code, "/proc/none".as_ref());
    let uncached = uncached.arg("--allow-precompiled").start();
    assert!(!uncached.printed().contains("is not kept"));
    drop(uncached);
    let mut bytes = fs::read(&code).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&code, bytes).unwrap();
    let output = serve().finished();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("damaged"), "{said}");
}

#[test]
fn compiling_is_told_with_its_size_and_time_and_so_is_what_was_found() {
    let cache = folder("told");
    let server = with_cache(HELLO, &cache).start();
    let printed = server.printed();
    assert!(
        printed.contains("Compiling guests/hello/hello.wat, "),
        "{printed}"
    );
    assert!(
        printed.contains("Compiled guests/hello/hello.wat in "),
        "{printed}"
    );
    drop(server);
    let server = with_cache(HELLO, &cache).start();
    let printed = server.printed();
    assert!(
        printed.contains("Found the compiled code of guests"),
        "{printed}"
    );
    assert!(!printed.contains("Compiling"), "{printed}");
}

#[test]
fn code_that_cannot_be_kept_is_a_warning() {
    let server = Server::component(HELLO)
        .prepared(|command| {
            for name in ["HOME", "XDG_CACHE_HOME", "CACHE_DIRECTORY"] {
                command.env_remove(name);
            }
        })
        .start();
    let line = server.wait_for("is not kept, and the next start compiles it again");
    assert!(
        line.contains("HOME") && line.contains("--cache-dir"),
        "{line}"
    );
    assert_eq!(get(server.address, "/").status, 200);
}

#[test]
fn the_cache_keeps_within_its_size_what_was_used_last() {
    let cache = folder("bounded");
    drop(with_cache(HELLO, &cache).start());
    let first = only_file(&cache);
    let behaviours = guest("behaviours");
    let server = with_cache(&behaviours, &cache)
        .arg("--cache-size=1")
        .start();
    eventually("the older file is gone", || !first.exists());
    only_file(&cache);
    assert_eq!(get(server.address, "/ok").status, 200);
}

#[test]
fn memory_that_is_taken_before_the_start_is_bounded_and_not_kept() {
    let folder = folder("start-memory");
    let component = folder.join("app.wat");
    // 2.9 GiB.
    let body = "(drop (memory.grow (i32.const 48000)))
                (memory.fill (i32.const 1048576) (i32.const 1) (i32.const 3144000000))";
    fs::write(&component, with_start(body)).unwrap();
    let cache = folder.join("cache");
    let mut child = with_cache(&component, &cache)
        .arg("--max-memory=64MiB")
        .command()
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (pid, mut largest) = (child.id(), 0);
    eventually("it has ended", || {
        largest = largest.max(resident_below(pid));
        child.try_wait().unwrap().is_some()
    });
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("--max-memory"), "{said}");
    assert!(largest < 500 << 20, "{largest} bytes");
    let kept: u64 = files(&cache)
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .sum();
    assert!(kept < 1 << 20, "{kept} bytes are in the cache");
}

/// The largest of a process's children, in bytes.
fn resident_below(pid: u32) -> u64 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let sizes = children.split_whitespace().filter_map(|child| {
        let statm = fs::read_to_string(format!("/proc/{child}/statm")).ok()?;
        let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
        Some(pages * 4096)
    });
    sizes.max().unwrap_or(0)
}

/// What a server of this component says as it refuses what it was given.
fn refused(arguments: &[&str]) -> String {
    let mut command = wasmserve();
    command.args([HELLO, "--port", "0"]).args(arguments);
    let output = finished(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    said
}

#[test]
fn nobody_is_given_the_cache_or_a_key() {
    let folder = folder("overlap");
    let path = |name: &str| folder.join(name).display().to_string();
    fs::create_dir_all(path("data/cache")).unwrap();
    symlink(path("data"), path("alias")).unwrap();
    let (cache, data) = (path("data/cache"), path("data"));
    for given in [
        ["--dir-rw".to_owned(), format!("{data}::/d")],
        ["--dir".to_owned(), format!("{}::/d", path("alias"))],
        ["--static".to_owned(), format!("/s={data}")],
        ["--keyvalue".to_owned(), format!("sqlite:{data}/a.db")],
    ] {
        let said = refused(&["--cache-dir", &cache, &given[0], &given[1]]);
        let names = said.contains(&cache) && said.contains(&given[0]);
        assert!(names && said.contains("must not overlap"), "{said}");
    }
}

#[test]
fn a_fifo_in_the_place_of_a_file_is_an_error_at_once() {
    let fifo = folder("fifo").join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let fifo = fifo.display().to_string();
    for option in [
        "--ssl-certfile",
        "--env-file",
        "--config-file",
        "--outbound-ca",
        "--dir",
    ] {
        let said = refused(&[option, &fifo]);
        assert!(said.contains(&fifo), "{said}");
    }
    // The authorities of those that a guest may ask: a worker would wait for them.
    let mut command = wasmserve();
    command
        .env("SSL_CERT_FILE", &fifo)
        .args([HELLO, "--port", "0", "--allow-http", "*"]);
    let output = finished(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("variable SSL_CERT_FILE"), "{said}");
    let mut command = wasmserve();
    command.args([&fifo, "--port", "0"]);
    let output = finished(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("FIFO"), "{said}");
}

#[test]
fn a_reload_reads_from_where_the_name_of_the_working_directory_leads_now() {
    let folder = folder("release");
    let source = fs::read_to_string(root().join(HELLO)).unwrap();
    for (release, text) in [("one", "Hello, one!!!"), ("two", "Hello, two!!!")] {
        fs::create_dir(folder.join(release)).unwrap();
        let component = source.replace("Hello, world!", text);
        fs::write(folder.join(release).join("app.wat"), component).unwrap();
    }
    let current = folder.join("current");
    symlink("one", &current).unwrap();
    // As a shell does.
    let server = with_cache("app.wat", &folder.join("cache"))
        .current_dir(&current)
        .env("PWD", &current)
        .start();
    assert_eq!(get(server.address, "/").text(), "Hello, one!!!\n");
    let next = folder.join("next");
    symlink("two", &next).unwrap();
    fs::rename(&next, &current).unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for("ended: replaced by a reload");
    assert_eq!(get(server.address, "/").text(), "Hello, two!!!\n");
}

/// Replaces a file as build tools do.
fn replace(file: &Path, content: &str) {
    let next = file.with_extension("next");
    fs::write(&next, content).unwrap();
    fs::rename(&next, file).unwrap();
}

#[test]
fn a_start_function_that_loops_ends_the_first_start_in_time() {
    let folder = folder("start-loop");
    let component = folder.join("app.wat");
    fs::write(&component, with_start("(loop $l (br $l))")).unwrap();
    let output = with_cache(&component, &folder.join("cache"))
        .arg("--limit-compile-time=1s")
        .finished();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("longer than --limit-compile-time (1 s)"),
        "{said}"
    );
}

#[test]
fn a_bad_deploy_does_not_keep_the_next_one_waiting() {
    let folder = folder("wedge");
    let component = folder.join("app.wat");
    let source = fs::read_to_string(root().join(HELLO)).unwrap();
    let says = |text: &str| source.replace("Hello, world!", text);
    fs::write(&component, &source).unwrap();
    let server = with_cache(&component, &folder.join("cache"))
        .workers(2)
        .start();
    replace(&component, &with_start("(loop $l (br $l))"));
    server.signal(Signal::SIGHUP);
    server.wait_for_count("Compiling ", 2);
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
    replace(&component, &says("Hello, again!"));
    server.signal(Signal::SIGHUP);
    server.wait_for_count("ended: replaced by a reload", 2);
    assert_eq!(get(server.address, "/").text(), "Hello, again!\n");
    // So does what is no file that can be read at once.
    fs::remove_file(&component).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&component)
            .status()
            .unwrap()
            .success()
    );
    server.signal(Signal::SIGHUP);
    server.wait_for("The reload failed, and the old version goes on serving");
    replace(&component, &says("Hello, third!"));
    server.signal(Signal::SIGHUP);
    server.wait_for_count("ended: replaced by a reload", 4);
    assert_eq!(get(server.address, "/").text(), "Hello, third!\n");
}

#[test]
fn a_new_executable_does_not_wait_for_a_version_that_does_not_compile() {
    let folder = folder("wedge-upgrade");
    let component = folder.join("app.wat");
    let source = fs::read_to_string(root().join(HELLO)).unwrap();
    fs::write(&component, &source).unwrap();
    let server = with_cache(&component, &folder.join("cache")).start();
    replace(&component, &with_start("(loop $l (br $l))"));
    server.signal(Signal::SIGHUP);
    server.wait_for_count("Compiling ", 2);
    replace(&component, &source);
    server.signal(Signal::SIGUSR2);
    server.wait_for_count("Application startup complete.", 2);
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
}

#[test]
fn memory_that_compiling_takes_is_bounded() {
    let folder = folder("compile-memory");
    let output = with_cache(guest("behaviours"), &folder.join("cache"))
        .arg("--limit-compile-memory=20MiB")
        .finished();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("--limit-compile-memory (20 MiB)"), "{said}");
}

#[test]
fn code_that_is_damaged_while_it_serves_is_compiled_again() {
    let cache = folder("damaged-later");
    drop(with_cache(HELLO, &cache).start());
    let server = with_cache(HELLO, &cache).start();
    let file = only_file(&cache);
    let mut bytes = fs::read(&file).unwrap();
    // Of what no worker has in use.
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    fs::write(&file, bytes).unwrap();
    let worker = Pid::from_raw(server.workers()[0]);
    kill(worker, Signal::SIGKILL).unwrap();
    server.wait_for("The compiled code in the cache is dropped, and made again");
    server.wait_for_count("Application startup complete.", 2);
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
}
