//! Rust: cargo builds for wasm32-wasip2, and its linker makes the component.

use super::tool::{Tools, needed};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

pub fn build(tools: &mut Tools<'_>, directory: &Path, output: &Path) -> Result<()> {
    let cargo = needed("cargo", "curl https://sh.rustup.rs -sSf | sh")?;
    has_target(tools, directory)?;
    let mut command = Command::new(cargo);
    command
        .current_dir(directory)
        .args(["build", "--release", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        // What the host's own builds are told is not for this one.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET");
    let messages = tools.read("cargo build", command)?;
    let component = component(&String::from_utf8_lossy(&messages))?;
    std::fs::copy(&component, output)
        .with_context(|| format!("cannot copy `{}`", component.display()))?;
    Ok(())
}

/// The Rust in use is the one that cargo would use: `RUSTC`, or the one on the path.
fn has_target(tools: &mut Tools<'_>, directory: &Path) -> Result<()> {
    let rustc = match std::env::var_os("RUSTC") {
        Some(rustc) => PathBuf::from(rustc),
        None => needed("rustc", "curl https://sh.rustup.rs -sSf | sh")?,
    };
    let mut command = Command::new(rustc);
    command.current_dir(directory);
    command.args(["--print", "target-libdir", "--target", TARGET]);
    let printed = tools.read("looking for the Rust target", command)?;
    let library = PathBuf::from(String::from_utf8_lossy(&printed).trim());
    if !library.is_dir() {
        bail!("this Rust does not build for {TARGET}; add it with `rustup target add {TARGET}`");
    }
    Ok(())
}

/// The one component among what cargo says that it has made.
fn component(messages: &str) -> Result<PathBuf> {
    let mut made: Vec<PathBuf> = messages.lines().flat_map(files_of).collect();
    made.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "wasm")
    });
    match &made[..] {
        [component] => Ok(component.clone()),
        [] => bail!(
            "cargo made no component; an application has `crate-type = [\"cdylib\"]` under [lib] in its \
             Cargo.toml"
        ),
        several => {
            let stems = several.iter().filter_map(|file| file.file_stem());
            let names: Vec<_> = stems.map(|stem| stem.to_string_lossy()).collect();
            bail!(
                "cargo made several components ({}); give the directory of one package",
                names.join(", ")
            )
        }
    }
}

/// What one message of cargo's says was made, unless that is for the host (`compiler-artifact`, the cargo
/// book, External tools).
fn files_of(message: &str) -> Vec<PathBuf> {
    let Ok(message) = serde_json::from_str::<serde_json::Value>(message) else {
        return Vec::new();
    };
    if message["reason"] != "compiler-artifact" {
        return Vec::new();
    }
    let files = message["filenames"].as_array();
    let files = files.into_iter().flatten();
    files
        .filter_map(|file| Some(file.as_str()?.into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(name: &str) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","filenames":["/t/lib{name}.rlib","/t/{name}.wasm"]}}"#
        )
    }

    #[test]
    fn cargo_tells_what_it_made() {
        let other = r#"{"reason":"build-finished","success":true}"#;
        let one = format!("{}\n{other}\n", artifact("app"));
        assert_eq!(component(&one).unwrap(), PathBuf::from("/t/app.wasm"));
        let error = component(other).unwrap_err().to_string();
        assert!(error.contains("cdylib"), "{error}");
        let two = format!("{}\n{}", artifact("app"), artifact("other"));
        let error = component(&two).unwrap_err().to_string();
        assert!(error.contains("(app, other)"), "{error}");
    }
}
