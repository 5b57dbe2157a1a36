//! For Go, the standard toolchain builds for wasip1, and what comes of it is made a component here. An application
//! that serves with net/http is built as it is: our bridge is laid over its module, over one method of net/http, and
//! beside Go's runtime, without a file of any being changed (`go help build`, -overlay).

use super::advice;
use super::files::{self, Embedded};
use super::project::nearest;
use super::tool::{Tools, needed};
use super::wit;
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The minor versions of Go that can be used.
const OLDEST: u32 = 24;
const NEWEST: u32 = 27;

/// The bridge is here within the application's module.
const WITHIN: &str = "internal/wasmserve";

/// The packages of the bridge: the bindings are as wit-bindgen writes them (`guests/go/bindings`).
const PACKAGES: [Embedded; 10] = [
    (
        "bridge/lifecycle.go",
        include_str!("go/bridge/lifecycle.go"),
    ),
    ("bridge/server.go", include_str!("go/bridge/server.go")),
    (
        "bridge/transport.go",
        include_str!("go/bridge/transport.go"),
    ),
    (
        "wasi_http_outgoing_handler/bindings.go",
        include_str!("go/bindings/wasi_http_outgoing_handler.go"),
    ),
    (
        "wasi_http_types/bindings.go",
        include_str!("go/bindings/wasi_http_types.go"),
    ),
    (
        "wasi_io_error/bindings.go",
        include_str!("go/bindings/wasi_io_error.go"),
    ),
    (
        "wasi_io_poll/bindings.go",
        include_str!("go/bindings/wasi_io_poll.go"),
    ),
    (
        "wasi_io_streams/bindings.go",
        include_str!("go/bindings/wasi_io_streams.go"),
    ),
    (
        "wit/runtime/runtime.go",
        include_str!("go/bindings/wit_runtime.go"),
    ),
    (
        "wit/types/types.go",
        include_str!("go/bindings/wit_types.go"),
    ),
];

/// This is added to Go's runtime, and relies on these lines of it.
const RESEED: &str = include_str!("go/bridge/reseed.go");
const RELIED_ON: [&str; 3] = [
    "\nvar globalRand struct {",
    "\nfunc randinit() {",
    "\nfunc mrandinit(mp *m) {",
];

/// Those packages call each other so, before they have a place.
const NAMED: [&str; 2] = ["\"wit_component/", "\"go.bytecodealliance.org/pkg/"];

/// The method of net/http that asks the bridge first.
const SERVE: &str = "func (s *Server) Serve(l net.Listener) error {\n";

pub fn build(tools: &mut Tools<'_>, directory: &Path, output: &Path) -> Result<()> {
    let go = needed("go", advice::GO)?;
    let directory = directory
        .canonicalize()
        .with_context(|| format!("cannot find `{}`", directory.display()))?;
    is_known(tools, &go, &directory)?;
    let root = nearest(&directory, "go.mod")
        .context("there is no go.mod; make one with `go mod init example.com/app`")?;
    let module = module(&root.join("go.mod"))?;
    let overlay = overlay(tools, &go, &directory, &root, &module)?;
    let core = tools.scratch().join("module.wasm");
    let mut command = Command::new(&go);
    command
        .current_dir(&directory)
        .args([
            "build",
            "-buildmode=c-shared",
            "-trimpath",
            "-ldflags=-s -w -checklinkname=0",
        ])
        .arg("-overlay")
        .arg(overlay)
        .arg("-o")
        .arg(&core)
        .arg(".")
        .envs([("GOOS", "wasip1"), ("GOARCH", "wasm")]);
    tools.run("go build", command)?;
    tools.say("making a component of it");
    let packages = tools.scratch().join("wit");
    wit::write(&packages)?;
    wit::component(&core, &packages, wit::BRIDGED, output)
}

/// Says whether this Go can make what is needed. Debian 12 has one that cannot, and says so in words that nobody
/// understands.
fn is_known(tools: &mut Tools<'_>, go: &Path, directory: &Path) -> Result<()> {
    let mut command = Command::new(go);
    command.args(["env", "GOVERSION"]).current_dir(directory);
    let version = tools.ask("asking go for its version", command)?;
    let version = version.unwrap_or_default();
    match minor(&version) {
        Some(minor) if minor < OLDEST => bail!(
            "`{}` is of version {}, and Go 1.{OLDEST} to 1.{NEWEST} is needed; install it with {}",
            go.display(),
            version.trim_start_matches("go"),
            advice::GO
        ),
        _ => Ok(()),
    }
}

/// Reads 24 from `go1.24.3`.
fn minor(version: &str) -> Option<u32> {
    let rest = version.strip_prefix("go1.")?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// The path of the module, which go.mod begins with.
fn module(file: &Path) -> Result<String> {
    let text = read(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix("module "));
    let path = line.with_context(|| format!("`{}` names no module", file.display()))?;
    let path = path.split("//").next().unwrap_or_default();
    Ok(path.trim().trim_matches('"').to_owned())
}

/// Writes the files that are laid over others, and which they are laid over.
fn overlay(
    tools: &mut Tools<'_>,
    go: &Path,
    directory: &Path,
    root: &Path,
    module: &str,
) -> Result<PathBuf> {
    let laid = tools.scratch().join("overlay");
    let mut replace = Map::new();
    let mut lay = |name: &str, over: PathBuf, text: String| -> Result<()> {
        let file = laid.join(name);
        files::write(&file, text.as_bytes())?;
        let (over, file) = (over.display().to_string(), file.display().to_string());
        replace.insert(over, Value::String(file));
        Ok(())
    };
    let within = format!("\"{module}/{WITHIN}/");
    for (name, text) in PACKAGES {
        let placed = NAMED
            .iter()
            .fold(text.to_owned(), |text, named| text.replace(named, &within));
        lay(name, root.join(WITHIN).join(name), placed)?;
    }
    let start = format!(
        "package main\n\nimport {within}bridge\"\n\nfunc init() {{ bridge.Start(main) }}\n"
    );
    lay("start.go", directory.join("wasmserve_start.go"), start)?;
    let mut command = Command::new(go);
    command.args(["env", "GOROOT"]).current_dir(directory);
    let goroot = tools.read("go env", command)?;
    let source = Path::new(String::from_utf8_lossy(&goroot).trim()).join("src");
    let server = source.join("net/http/server.go");
    lay("server.go", server.clone(), asking_first(&read(&server)?)?)?;
    check_runtime(&read(&source.join("runtime/rand.go"))?)?;
    lay(
        "reseed.go",
        source.join("runtime/wasmserve_reseed.go"),
        RESEED.to_owned(),
    )?;
    let table = tools.scratch().join("overlay.json");
    files::write(&table, json!({ "Replace": replace }).to_string().as_bytes())?;
    Ok(table)
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))
}

/// Says whether the runtime draws its seeds in the way that is known here.
fn check_runtime(text: &str) -> Result<()> {
    if RELIED_ON.iter().any(|relied_on| !text.contains(relied_on)) {
        bail!(
            "this version of Go has another runtime than is known here; use Go 1.{OLDEST} to 1.{NEWEST}"
        );
    }
    Ok(())
}

fn asking_first(text: &str) -> Result<String> {
    if !text.contains(SERVE) {
        bail!(
            "this version of Go has another net/http than is known here; use Go 1.{OLDEST} to 1.{NEWEST}"
        );
    }
    let asks =
        format!("{SERVE}\tif WasmserveServe != nil {{\n\t\treturn WasmserveServe(s)\n\t}}\n");
    let variable = "\nvar WasmserveServe func(*Server) error\n";
    Ok(text.replacen(SERVE, &asks, 1) + variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_go_writes_it() {
        assert_eq!(minor("go1.19.8"), Some(19));
        assert_eq!(minor("go1.27rc1"), Some(27));
        assert_eq!(minor("devel go1.28-abc"), None);
    }

    #[test]
    fn net_http_asks_the_bridge_first() {
        let text = format!("package http\n\n{SERVE}\treturn nil\n}}\n");
        let asking = asking_first(&text).unwrap();
        assert!(
            asking.contains("error {\n\tif WasmserveServe != nil {"),
            "{asking}"
        );
        assert!(asking_first("package http\n").is_err());
    }

    #[test]
    fn a_runtime_that_is_not_known_is_refused() {
        let text = format!("package runtime\n{}", RELIED_ON.join("}\n"));
        assert!(check_runtime(&text).is_ok());
        assert!(check_runtime("package runtime\nfunc randinit() {").is_err());
    }
}
