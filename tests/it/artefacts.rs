//! What is shipped: how it is built, and what comes with it.

use crate::harness::{finished, root, wasmserve};
use std::fs::{self, read_to_string};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn text(path: &str) -> String {
    read_to_string(root().join(path)).unwrap()
}

/// The lines of one table of Cargo.toml.
fn table(name: &str) -> Vec<String> {
    let manifest = text("Cargo.toml");
    let lines = manifest
        .lines()
        .skip_while(|line| *line != format!("[{name}]"));
    let lines = lines.skip(1).take_while(|line| !line.starts_with('['));
    let lines = lines.filter(|line| line.contains('=') && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// What `release` leaves unoptimised to be built sooner, `dist` inherits unless it says otherwise.
#[test]
fn what_is_shipped_is_optimised_throughout() {
    let (tried, shipped) = (
        table("profile.release.package"),
        table("profile.dist.package"),
    );
    assert!(!tried.is_empty());
    for package in tried {
        let name = package.split(' ').next().unwrap();
        let optimised = format!("{name} = {{ opt-level = 3 }}");
        assert!(shipped.contains(&optimised), "{name}");
    }
}

/// The package's template and `wasmserve unit` protect a service in the same way.
#[test]
fn the_packages_unit_protects_as_the_printed_one_does() {
    let template = text("deploy/debian/wasmserve@.service");
    let mut command = wasmserve();
    command
        .args(["unit", "guests/hello/hello.wat"])
        .current_dir(root());
    let printed = String::from_utf8(finished(command).stdout).unwrap();
    let protections = printed
        .lines()
        .skip_while(|line| *line != "DynamicUser=yes")
        .take_while(|line| !line.starts_with("CapabilityBoundingSet="));
    let mut count = 0;
    for protection in protections {
        assert!(
            template.lines().any(|line| line == protection),
            "{protection}"
        );
        count += 1;
    }
    assert!(count > 15, "{printed}");
}

/// A crate without the bridges would build, and fail when somebody builds an application.
#[test]
fn the_packaged_crate_has_all_that_it_is_built_of() {
    let mut command = Command::new(env!("CARGO"));
    command.args(["package", "--list", "--allow-dirty", "--offline", "--quiet"]);
    command.current_dir(root());
    let listed = String::from_utf8(finished(command).stdout).unwrap();
    for file in [
        "build.rs",
        "src/build/go/bridge/server.go",
        "src/build/javascript/bridge.js",
        "src/build/python/build.py",
        "src/build/python/wasi_gateway/entry.py",
        "src/build/python/wit/application.wit",
        "src/build/python/builder/project.py",
        "wit/world.wit",
    ] {
        assert!(listed.lines().any(|line| line == file), "{file}: {listed}");
    }
    for other in ["guests/", "tests/"] {
        assert!(
            !listed.lines().any(|line| line.starts_with(other)),
            "{other}: {listed}"
        );
    }
}

/// Counts the scripts in this directory, all of which can be run.
fn scripts(directory: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            count += scripts(&path);
        } else if kind.is_file() && fs::read(&path).unwrap().starts_with(b"#!/") {
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o111, 0o111, "{} cannot be run", path.display());
            count += 1;
        }
    }
    count
}

/// Guards against a release that fails on a clean checkout, and nowhere else.
#[test]
fn whatever_is_called_can_be_run() {
    for directory in [".ci", "deploy"] {
        assert!(scripts(&root().join(directory)) > 0, "{directory}");
    }
}
