//! In C, a compiler for wasm32-wasi makes a module of the sources and of the bindings, which are generated here, and
//! that is made a component. The sources include `application.h`, and define
//! `exports_wasi_http_incoming_handler_handle`.

use super::tool::{Tools, needed};
use super::wit;
use super::{advice, embedded};
use crate::sys::exec::on_path;
use anyhow::{Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The bindings refer to this symbol so that an object with the types is linked, for whose like we add
/// them later ourselves.
const TYPES: (&str, &[u8]) = (
    "application_component_type.c",
    b"void __component_type_object_force_link_application(void) {}\n",
);

/// `path` is one source, or a directory all of whose sources belong to the application.
pub fn build(tools: &mut Tools<'_>, path: &Path, output: &Path) -> Result<()> {
    let sources = sources(path)?;
    let mut command = compiler()?;
    let packages = tools.scratch().join("wit");
    wit::write(&packages)?;
    let bindings = tools.scratch().join("bindings");
    wit::write_c_bindings(&packages, &bindings)?;
    embedded::write_all(&bindings, [TYPES])?;
    let module = tools.scratch().join("module.wasm");
    command
        .args([
            "--target=wasm32-wasi",
            "-mexec-model=reactor",
            "-O2",
            "-Wall",
        ])
        .args(["-Wl,--strip-debug", "-I"])
        .arg(&bindings)
        .args(sources)
        .args(["application.c", TYPES.0].map(|name| bindings.join(name)))
        .arg("-o")
        .arg(&module);
    tools.run("cc", command)?;
    tools.say("making a component of it");
    wit::component(&module, &packages, wit::WORLD, output)
}

/// Finds the compiler: what `WASI_CC` says, or else zig, which brings a C library and a linker along.
fn compiler() -> Result<Command> {
    if let Ok(words) = std::env::var("WASI_CC") {
        let mut words = words.split_whitespace();
        let program = words.next().unwrap_or("cc");
        let mut command = Command::new(needed(
            program,
            "the package that has it, or unset WASI_CC",
        )?);
        command.args(words);
        return Ok(command);
    }
    if let Some(zig) = on_path("zig") {
        let mut command = Command::new(zig);
        command.arg("cc");
        return Ok(command);
    }
    let package = on_path("python3").filter(|python| imports(python, "ziglang"));
    let Some(python) = package else {
        bail!(
            "zig is missing; install it with {}, or name another compiler for wasm32-wasi in \
             WASI_CC, such as the clang of the WASI SDK",
            advice::ZIG
        );
    };
    let mut command = Command::new(python);
    command.args(["-m", "ziglang", "cc"]);
    Ok(command)
}

fn imports(python: &Path, module: &str) -> bool {
    let mut command = Command::new(python);
    command.arg("-c").arg(format!("import {module}"));
    let status = command.stdin(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn sources(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        if file.extension() == Some(OsStr::new("c")) {
            sources.push(file);
        }
    }
    sources.sort();
    Ok(sources)
}
