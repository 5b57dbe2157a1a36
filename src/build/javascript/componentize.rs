//! This file has componentize-js make a component of a module.

use super::{NodeProject, installed};
use crate::build::project::nearest;
use crate::build::tool::Tools;
use crate::build::{embedded, wit};
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const COMPONENTIZE: &str = "@bytecodealliance/componentize-js";

/// componentize-js takes this package from where its dependency jco has it, and asks for no version of jco: newer ones
/// have it where it is not found.
const SHIM: &str = "@bytecodealliance/preview2-shim";
const JCO: &str = "@bytecodealliance/jco@1.15.4";

/// componentize-js runs a program of this name last, in place of its own.
const WIZER: &str = "wizer";
const BINDINGS: &str = "bindings.mjs";

/// Makes a component of the module `bundle.js`, which imports these interfaces of the host beside what `world` has.
pub fn componentize(
    tools: &mut Tools<'_>,
    project: &NodeProject<'_>,
    world: &str,
    imports: &[String],
    output: &Path,
) -> Result<()> {
    let packages = tools.scratch().join("wit");
    let world = wit::write_for(&packages, world, imports)?;
    let script = componentizer(project.root)?;
    let kind = match world == wit::WORLD {
        true => "plain",
        false => "bridged",
    };
    let wizer = write_wizer(tools, project, &script, kind)?;
    let mut command = match script.extension() {
        None => Command::new(script),
        Some(_) => {
            let mut command = Command::new(project.node);
            command.arg(script);
            command
        }
    };
    command
        .current_dir(tools.scratch())
        .arg("bundle.js")
        .arg("--wit")
        .arg(packages)
        .arg("--wizer-bin")
        .arg(wizer)
        .args(["--world-name", world, "--out"])
        .arg(output);
    tools.run("componentize-js", command)
}

/// Writes the program that makes the bindings lighter (`bindings.mjs`) and then does what componentize-js wants of it.
/// That gives it no environment.
fn write_wizer(
    tools: &mut Tools<'_>,
    project: &NodeProject<'_>,
    script: &Path,
    kind: &str,
) -> Result<PathBuf> {
    let script = script.canonicalize();
    let script = script.context("componentize-js cannot be read")?;
    let bindings = tools.scratch().join(BINDINGS);
    let mut text = b"#!/bin/sh\nexec".to_vec();
    for word in [project.node, &bindings, &script] {
        text.push(b' ');
        quote(word.as_os_str(), &mut text);
    }
    text.extend(format!(" {kind} \"$@\"\n").bytes());
    let wizer = tools.scratch().join(WIZER);
    embedded::write(&wizer, &text)?;
    std::fs::set_permissions(&wizer, Permissions::from_mode(0o700))?;
    Ok(wizer)
}

/// Writes a word as a shell reads it (POSIX.1-2024, section 2.2.2).
fn quote(word: &OsStr, text: &mut Vec<u8>) {
    text.push(b'\'');
    for byte in word.as_bytes() {
        match byte {
            b'\'' => text.extend(b"'\\''"),
            byte => text.push(*byte),
        }
    }
    text.push(b'\'');
}

/// Finds componentize-js: its script, or the program of that name.
pub fn componentizer(root: &Path) -> Result<PathBuf> {
    let script = format!("{COMPONENTIZE}/src/cli.js");
    let packages = format!("{COMPONENTIZE}@0.23 {JCO}");
    let script = installed(root, &script, "componentize-js", &packages)?;
    if script.extension().is_some() {
        has_shim(&script, root)?;
    }
    Ok(script)
}

/// Fails where Node would not find what componentize-js imports.
fn has_shim(script: &Path, root: &Path) -> Result<()> {
    let real = script.canonicalize();
    let real = real.with_context(|| format!("`{}` cannot be read", script.display()))?;
    let found = nearest(&real, &format!("node_modules/{SHIM}"));
    ensure!(
        found.is_some(),
        "componentize-js does not find {SHIM}, because the jco that is installed is too new for it; \
         run `npm install --save-dev {JCO}` in `{}`",
        root.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_a_path_as_it_is() {
        let path = "/a folder/it's $HOME";
        let mut text = b"printf %s ".to_vec();
        quote(OsStr::new(path), &mut text);
        let printed = Command::new("sh")
            .arg("-c")
            .arg(OsStr::from_bytes(&text))
            .output();
        assert_eq!(printed.unwrap().stdout, path.as_bytes());
    }
}
