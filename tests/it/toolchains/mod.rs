//! Applications of other languages, each built by `wasmserve build` with that language's own toolchain; and
//! the commands `build`, `new` and `dev` themselves.

mod build;
mod c;
mod dev;
mod dev_javascript;
mod failures;
mod go;
mod javascript;
mod javascript_lacks;
mod javascript_light;
mod javascript_packages;
mod javascript_responses;
mod new;
mod protocols;
mod python;
mod reused;
mod rust;
mod trials;
mod websockets;

use crate::harness::{
    RESTORED, Response, Server, eventually_within, finished, freshness, get, root, wasmserve,
};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// A directory of the project's own, made by what `./test` runs first.
fn directory_that(script: &str) -> PathBuf {
    let output = finished(Command::new(root().join(script)));
    assert!(output.status.success(), "{script} fails");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// `wasmserve` with the toolchains that the project has, none of which looks for anything elsewhere.
fn with_toolchains() -> Command {
    let mut command = wasmserve();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let ours = ["guests/c/toolchain", "guests/go/toolchain"].map(directory_that);
    let path = ours.into_iter().chain(std::env::split_paths(&path));
    command
        .current_dir(root())
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("RUSTC", directory_that("guests/toolchain"))
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TARGET_DIR", root().join("target/guests-build"))
        .env("ZIG_GLOBAL_CACHE_DIR", root().join("target/zig/cache"))
        .env("GOCACHE", root().join("target/go/cache"))
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("npm_config_offline", "true")
        .env("XDG_CACHE_HOME", root().join("target/python/cache"))
        .env(
            "PIP_CONSTRAINT",
            root().join("guests/python/constraints.txt"),
        )
        .env("PIP_NO_INDEX", "1");
    command
}

/// A place for what one test makes, empty.
fn place(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// How long a build and a compile may take on a machine that does much else.
const REBUILD: Duration = Duration::from_secs(180);

/// Asks until the answer is as wanted; every answer until then is one that `meanwhile` allows.
fn becomes(
    server: &Server,
    wanted: impl Fn(&Response) -> bool,
    meanwhile: impl Fn(&Response) -> bool,
) {
    eventually_within(REBUILD, "the answer changes", || {
        let response = get(server.address, "/");
        let there = wanted(&response);
        assert!(
            there || meanwhile(&response),
            "{} {}",
            response.status,
            response.text()
        );
        there
    });
}

/// The component of an application in the repository, built where it or the way it is built has changed.
fn built(application: &str) -> String {
    built_for(application, &[])
}

/// The same of one that does not start without these options.
fn built_for(application: &str, options: &[&str]) -> String {
    kept(application, options, |file| {
        let mut command = with_toolchains();
        command.arg("build").arg(application).arg("-o").arg(file);
        command
    })
}

/// The same for whatever builds it.
fn kept(application: &str, options: &[&str], build: impl FnOnce(&Path) -> Command) -> String {
    // Whoever else wants the same one waits for it; others are built meanwhile.
    static MADE: Mutex<BTreeMap<String, Arc<OnceLock<String>>>> = Mutex::new(BTreeMap::new());
    let mut all = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let made = all.entry(application.to_owned()).or_default().clone();
    drop(all);
    made.get_or_init(|| {
        let path = built_where_it_changed(application, build);
        Server::compile_with(&path, options);
        is_as_it_should(application, &path);
        path
    })
    .clone()
}

/// The component, by a name that changes with the application; the one before goes.
fn built_where_it_changed(application: &str, build: impl FnOnce(&Path) -> Command) -> String {
    let directory = root().join("target/guests/built");
    std::fs::create_dir_all(&directory).unwrap();
    let name = application.replace(['/', '.'], "-");
    let file = directory.join(format!("{name}-{:016x}.wasm", state_of(application)));
    if !file.exists() {
        for earlier in std::fs::read_dir(&directory).unwrap().flatten() {
            let earlier_name = earlier.file_name().to_string_lossy().into_owned();
            let hash = earlier_name.strip_prefix(&format!("{name}-"));
            if hash.is_some_and(|hash| !hash.contains('-')) {
                let _ = std::fs::remove_file(earlier.path());
            }
        }
        let output = finished(build(&file));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(!said.contains("could not be rehearsed"), "{said}");
    }
    file.display().to_string()
}

/// Instances are restored for what every toolchain makes: safety must not be had by restoring nothing.
fn is_as_it_should(application: &str, component: &str) {
    assert_eq!(freshness(component), RESTORED, "{application}");
}

/// A number that changes with an application, and with what builds it.
fn state_of(application: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    application.hash(&mut hasher);
    let project = Path::new(application);
    let project = match project.extension() {
        Some(_) => project.parent().unwrap(),
        None => project,
    };
    let parts = [
        Path::new("src/build"),
        Path::new("wit"),
        Path::new("guests/python/constraints.txt"),
        project,
    ];
    for part in parts {
        hash(&root().join(part), &mut hasher);
    }
    hasher.finish()
}

fn hash(path: &Path, hasher: &mut DefaultHasher) {
    if path.ends_with("node_modules") || path.ends_with("__pycache__") {
        return;
    }
    match std::fs::read(path) {
        Ok(bytes) => (path, bytes).hash(hasher),
        Err(_) => {
            let entries = std::fs::read_dir(path).unwrap();
            let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
            entries.sort();
            entries.iter().for_each(|entry| hash(entry, hasher));
        }
    }
}
