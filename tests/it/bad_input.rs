//! Mistakes: each ends at once, with one line that names the thing and the remedy, and leaves nothing
//! behind.

use crate::harness::{
    Server, Unprivileged, file, finished, hello, refused, refused_by, refused_with, under,
    wasmserve,
};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

fn serving(component: &str) -> [&str; 3] {
    [component, "--port", "0"]
}

#[test]
fn a_missing_file() {
    refused(
        &serving("no/such.wasm"),
        3,
        &["`no/such.wasm`", "No such file"],
    );
}

#[test]
fn a_directory() {
    refused(
        &serving("/tmp"),
        3,
        &["`/tmp`", "directory", "name the .wasm file"],
    );
}

#[test]
fn an_unreadable_file() {
    let unprivileged = Unprivileged::new("unreadable");
    let path = unprivileged.file("unreadable.wasm", 0o000);
    let mut command = unprivileged.command();
    command.args(serving(&path));
    refused_by(command, 3, &[&path, "Permission denied"]);
}

#[test]
fn a_file_that_is_none() {
    let path = file("socket", "");
    fs::remove_file(&path).unwrap();
    let _socket = UnixListener::bind(&path).unwrap();
    refused(&serving(&path), 3, &[&path, "not a file"]);
}

#[test]
fn an_empty_file() {
    let path = file("empty.wasm", "");
    refused(&serving(&path), 3, &[&path, "empty"]);
}

#[test]
fn random_bytes() {
    let path = file("random.wasm", [0x8f, 3, 9, 200, 7, 1, 0, 255, 13, 10]);
    refused(&serving(&path), 3, &[&path, "no WebAssembly"]);
}

#[test]
fn a_truncated_component() {
    let whole = fs::read(crate::harness::guest("hello")).unwrap();
    let path = file("truncated.wasm", &whole[..whole.len() / 2]);
    refused(
        &serving(&path),
        3,
        &[&path, "not a whole WebAssembly component"],
    );
}

#[test]
fn text_that_is_none() {
    let path = file("broken.wat", "(component (oops))");
    refused(&serving(&path), 3, &[&path, "not valid WebAssembly text"]);
}

#[test]
fn a_core_module() {
    let path = file("module.wat", "(module (func (export \"f\")))");
    refused(
        &serving(&path),
        3,
        &[&path, "core module", "wasm-tools component new"],
    );
}

#[test]
fn a_component_without_a_handler() {
    let text = r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#;
    let path = file("command.wat", text);
    refused(
        &serving(&path),
        3,
        &[
            &path,
            "no wasi:http handler",
            "`wasi:cli/run@0.2.0`",
            "wasi:http/proxy",
        ],
    );
}

#[test]
fn an_import_that_is_not_offered() {
    let text = r#"(component
        (import "acme:widgets/gadget@1.2.0" (instance))
        (import "wasi:http/types@0.9.0" (instance))
        (instance $i) (export "wasi:http/incoming-handler@0.2.0" (instance $i)))"#;
    let path = file("imports.wat", text);
    refused(
        &serving(&path),
        3,
        &[
            &path,
            "`acme:widgets/gadget@1.2.0`",
            "`wasi:http/types@0.9.0`",
            "of `wasi:http` there are versions 0.2.x and 0.3.0",
        ],
    );
}

#[test]
fn a_handler_that_is_none() {
    let text =
        r#"(component (instance $i) (export "wasi:http/incoming-handler@0.2.0" (instance $i)))"#;
    let path = file("hollow.wat", text);
    refused(&serving(&path), 3, &[&path, "handle"]);
}

#[test]
fn wrong_options() {
    let hello = hello();
    refused(&[&hello, "--workers", "0"], 2, &["--workers", "at least 1"]);
    refused(&[&hello, "--workers", "many"], 2, &["--workers", "many"]);
    refused(&[&hello, "--wrokers", "4"], 2, &["--wrokers", "--workers"]);
    refused(&[&hello, "--host", "no where"], 2, &["--host", "no where"]);
    refused(
        &[&hello, "--timeout-request", "soon"],
        2,
        &["--timeout-request", "soon"],
    );
    refused(
        &[&hello, "--max-memory", "lots"],
        2,
        &["--max-memory", "lots"],
    );
    refused_with(
        &[("WEB_CONCURRENCY", "none")],
        &[&hello],
        2,
        &["variable WEB_CONCURRENCY: `none`"],
    );
    refused_with(
        &[("PORT", "http")],
        &[&hello],
        2,
        &["variable PORT: `http`"],
    );
    let variable = [("FORWARDED_ALLOW_IPS", "x")];
    refused_with(
        &variable,
        &[&hello],
        2,
        &["variable FORWARDED_ALLOW_IPS: `x`"],
    );
    refused_with(
        &[("WASMSERVE_PORT", "http")],
        &[&hello],
        2,
        &["--port", "http"],
    );
}

#[test]
fn what_is_no_utf8_is_named() {
    let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let hello = hello();
    let mut option = wasmserve();
    option.args([&hello, "--static"]).arg(bytes(b"/a=\xff"));
    refused_by(option, 2, &["option --static: ", "not UTF-8"]);
    let mut variable = wasmserve();
    variable
        .arg(&hello)
        .env("WASMSERVE_HEADER", bytes(b"a:\xff"));
    refused_by(variable, 2, &["variable WASMSERVE_HEADER: ", "not UTF-8"]);
    let mut passed_on = wasmserve();
    passed_on.args([&hello, "--env", "OLD_NAME"]);
    passed_on.env("OLD_NAME", bytes(b"\xff"));
    refused_by(passed_on, 2, &["--env", "`OLD_NAME` is not UTF-8"]);
}

#[test]
fn too_little_memory_to_begin_with() {
    let hello = hello();
    refused(
        &[&hello, "--port", "0", "--max-memory", "1KiB"],
        3,
        &["--max-memory", "65536 bytes"],
    );
}

#[test]
fn a_limit_of_the_system_that_is_too_low_is_named_with_its_remedy() {
    let unprivileged = Unprivileged::new("limits");
    let mut command = unprivileged.command();
    let component = unprivileged.0.join("app.wat");
    fs::copy(hello(), &component).unwrap();
    command.args(serving(&component.display().to_string()));
    let mut alone = under(&["prlimit", "--nproc=1"], &command);
    if nix::unistd::geteuid().is_root() {
        alone.uid(65534).gid(65534);
    }
    refused_by(alone, 1, &["cannot start the compiler", "`ulimit -u`"]);
    let mut command = wasmserve();
    command.args(serving(&hello()));
    let narrow = under(&["prlimit", "--as=400000000"], &command);
    refused_by(narrow, 3, &["Cannot allocate memory", "raise `ulimit -v`"]);
}

#[test]
fn precompiled_code_that_nobody_vouched_for() {
    let output = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hello.cwasm");
    let mut command = wasmserve();
    command.args(["compile", &hello(), "-o"]).arg(&output);
    assert!(finished(command).status.success());
    let path = output.display().to_string();
    refused(&serving(&path), 3, &[&path, "--allow-precompiled"]);
    let server = Server::component(&path).arg("--allow-precompiled").start();
    assert_eq!(
        crate::harness::get(server.address, "/").text(),
        "Hello, world!\n"
    );
}

#[test]
fn a_limit_within_which_nothing_can_be_done_is_refused() {
    for option in [
        "--limit-compile-memory",
        "--limit-compile-time",
        "--limit-cpu",
        "--max-memory",
        "--max-worker-memory",
        "--timeout-before-start",
        "--timeout-every",
        "--timeout-handshake",
        "--timeout-header",
        "--timeout-idle-body",
        "--timeout-outbound-between-bytes",
        "--timeout-outbound-connect",
        "--timeout-outbound-first-byte",
        "--timeout-pull",
        "--timeout-request",
        "--timeout-sql",
        "--timeout-worker-healthcheck",
        "--timeout-worker-startup",
        "--timeout-write",
    ] {
        let expected = format!("option {option}: it is 0");
        refused(&[&hello(), option, "0"], 2, &[&expected]);
    }
}

#[test]
fn an_option_of_another_server_is_told_what_it_is_called_here() {
    for (option, advice) in [
        ("-b", "write --bind"),
        ("-k", "workers are of one kind"),
        ("--threads", "--limit-concurrency"),
        ("--max-requests", "write --limit-max-requests"),
    ] {
        refused(
            &[&hello(), option, "1"],
            2,
            &[&format!("option {option} "), advice],
        );
    }
}

#[test]
fn an_application_that_is_no_component_yet() {
    let main = file("main.py", "app = None\n");
    refused(
        &serving(&main),
        3,
        &["build it first", &format!("`wasmserve build {main}`")],
    );
    refused(
        &serving("main:app"),
        3,
        &["build it first: `wasmserve build main.py`"],
    );
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bad-input-project");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("package.json"), "{}").unwrap();
    refused(&serving(folder.to_str().unwrap()), 3, &["build it first"]);
}

#[test]
fn a_mistake_is_told_as_one_of_where_it_was_made() {
    let hello = hello();
    let environment = [("WASMSERVE_NO_ACCESS_LOG", "perhaps")];
    refused_with(
        &environment,
        &serving(&hello),
        2,
        &["variable WASMSERVE_NO_ACCESS_LOG", "perhaps"],
    );
    let environment = [("WASMSERVE_LIMIT_QUEUE", "many")];
    refused_with(
        &environment,
        &serving(&hello),
        2,
        &["variable WASMSERVE_LIMIT_QUEUE: ", "`many`"],
    );
    let file = file("mistake.toml", "port = 0\nlimit-queue = \"many\"\n");
    let arguments = [hello.as_str(), "--config-file", &file];
    refused(
        &arguments,
        2,
        &[&format!("`{file}` line 2: option --limit-queue"), "`many`"],
    );
}
