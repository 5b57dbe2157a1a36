//! For Rust, cargo builds for wasm32-wasip2, and its linker makes the component. A project that is meant for
//! cargo-component is built by that where it is there.

use super::advice;
use super::tool::{Tools, needed};
use crate::sys::exec::on_path;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use toml::de::DeTable;

const TARGET: &str = "wasm32-wasip2";

/// cargo-component builds for this target: it makes the component itself.
const ITS_TARGET: &str = "wasm32-wasip1";

/// For `wasmserve dev`, a build of the profile `release` without what takes long at each change: optimisation across all
/// crates, and the package as a whole.
const DEVELOPMENT: [(&str, &str); 2] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "true"),
];

pub fn build(
    tools: &mut Tools<'_>,
    directory: &Path,
    is_development: bool,
    output: &Path,
) -> Result<()> {
    let cargo = needed("cargo", advice::RUST)?;
    let cargo = || {
        let mut command = cargo_in(&cargo, directory);
        command.envs(is_development.then_some(DEVELOPMENT).into_iter().flatten());
        command
    };
    let component = match is_for_cargo_component(directory)? {
        true => by_cargo_component(tools, &cargo, directory)?,
        false => by_cargo(tools, &cargo, directory)?,
    };
    std::fs::copy(&component, output)
        .with_context(|| format!("cannot copy `{}`", component.display()))?;
    Ok(())
}

fn by_cargo(
    tools: &mut Tools<'_>,
    cargo: &dyn Fn() -> Command,
    directory: &Path,
) -> Result<PathBuf> {
    has_target(tools, directory, TARGET)?;
    let mut command = cargo();
    command
        .args(["build", "--release", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics");
    let messages = tools.read("cargo build", command)?;
    component(&String::from_utf8_lossy(&messages))
}

/// Makes a command of cargo's. What the host's own builds are told is not for this one.
fn cargo_in(cargo: &Path, directory: &Path) -> Command {
    let mut command = Command::new(cargo);
    command
        .current_dir(directory)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET");
    command
}

/// Says whether the project's Cargo.toml has `[package.metadata.component]`, and its code needs what cargo-component
/// writes.
fn is_for_cargo_component(directory: &Path) -> Result<bool> {
    let file = directory.join("Cargo.toml");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read `{}`", file.display()))?;
    // What is wrong with it is cargo's to say.
    let manifest = DeTable::parse(&text).ok();
    let mut table = manifest.as_ref().map(|manifest| manifest.get_ref());
    for name in ["package", "metadata", "component"] {
        table = table.and_then(|table| table.get(name)?.get_ref().as_table());
    }
    Ok(table.is_some())
}

/// Builds with cargo-component, which writes its bindings into the project, as `cargo component build` does there.
fn by_cargo_component(
    tools: &mut Tools<'_>,
    cargo: &dyn Fn() -> Command,
    directory: &Path,
) -> Result<PathBuf> {
    if on_path("cargo-component").is_none() {
        let source = std::fs::read_to_string(directory.join("src/lib.rs")).unwrap_or_default();
        if source.contains("mod bindings;") && !directory.join("src/bindings.rs").is_file() {
            bail!(
                "cargo-component is missing, which `[package.metadata.component]` in Cargo.toml asks for; install \
                 it with `cargo install cargo-component`"
            );
        }
        return by_cargo(tools, cargo, directory);
    }
    // It would have rustup fetch the target without asking.
    has_target(tools, directory, ITS_TARGET)?;
    let mut command = cargo();
    command.args(["component", "build", "--release", "--target", ITS_TARGET]);
    tools.run("cargo component build", command)?;
    let mut command = cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let facts = tools.read("cargo metadata", command)?;
    let facts = serde_json::from_slice(&facts).context("cargo's metadata is no JSON")?;
    let name = library(&facts, &directory.join("Cargo.toml"))
        .context("the package has no library of the type cdylib, which a component is made of")?;
    let target = facts["target_directory"].as_str().unwrap_or("target");
    Ok(Path::new(target).join(format!("{ITS_TARGET}/release/{name}.wasm")))
}

/// Gives the name of a package's library that becomes a module, as its file has it.
fn library(facts: &serde_json::Value, manifest: &Path) -> Option<String> {
    let manifest = manifest.canonicalize().ok()?;
    let packages = facts["packages"].as_array()?.iter();
    let is_it = |package: &&serde_json::Value| {
        package["manifest_path"].as_str().map(Path::new) == Some(&manifest)
    };
    let targets = packages.into_iter().find(is_it)?["targets"].as_array()?;
    let is_module = |target: &&serde_json::Value| {
        let kinds = target["crate_types"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "cdylib"))
    };
    let name = targets.iter().find(is_module)?["name"].as_str()?;
    Some(name.replace('-', "_"))
}

/// The Rust in use is the one that cargo would use: `RUSTC`, or the one on the path.
fn has_target(tools: &mut Tools<'_>, directory: &Path, target: &str) -> Result<()> {
    let rustc = match std::env::var_os("RUSTC") {
        Some(rustc) => PathBuf::from(rustc),
        None => needed("rustc", advice::RUST)?,
    };
    let mut command = Command::new(&rustc);
    command.current_dir(directory);
    command.args(["--print", "target-libdir", "--target", target]);
    // None is from one that is too old to know of it.
    let library = tools.ask("looking for the Rust target", command)?;
    if library.is_some_and(|library| Path::new(&library).is_dir()) {
        return Ok(());
    }
    let rustc = rustc.display();
    match on_path("rustup") {
        Some(_) => {
            bail!("`{rustc}` does not build for {target}; add it with `rustup target add {target}`")
        }
        None => bail!(
            "`{rustc}` does not build for {target}, and without rustup that cannot be added; install Rust with {}, \
             and the target with `rustup target add {target}`",
            advice::RUST
        ),
    }
}

/// Finds the one component among what cargo says that it has made.
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

/// Lists what one message of cargo's says was made, unless that is for the host (`compiler-artifact`, the cargo book,
/// External tools).
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
    use crate::build::Scratch;

    #[test]
    fn a_library_is_named_as_its_file() {
        let scratch = Scratch::new().unwrap();
        let manifest = scratch.path().canonicalize().unwrap().join("Cargo.toml");
        std::fs::write(&manifest, "[package.metadata.component]\n").unwrap();
        assert!(is_for_cargo_component(scratch.path()).unwrap());
        let facts = serde_json::json!({"packages": [{
            "manifest_path": manifest,
            "targets": [{"name": "my-app", "crate_types": ["cdylib"]}],
        }]});
        assert_eq!(library(&facts, &manifest).as_deref(), Some("my_app"));
    }

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
