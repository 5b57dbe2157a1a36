//! `wasmserve new`: what it writes is built and served as it is.

use super::{place, trials, with_toolchains};
use crate::harness::{Server, finished, root};
use std::path::Path;

fn new(language: &str, directory: &Path) -> std::process::Output {
    let mut command = with_toolchains();
    command.args(["new", "--lang", language]).arg(directory);
    finished(command)
}

/// Writes, builds and serves a project.
fn served(language: &str, prepare: impl FnOnce(&Path)) -> Server {
    let at = place(&format!("new-{language}"));
    // A folder may be called what no module of Go's may.
    let project = at.join(if language == "go" { "go" } else { "my_app" });
    assert!(new(language, &project).status.success());
    prepare(&project);
    let file = at.join("app.wasm");
    let mut command = with_toolchains();
    command.arg("build").arg(&project).arg("-o").arg(&file);
    let output = finished(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Server::compile(file.to_str().unwrap());
    trials::serve(file.to_str().unwrap(), &[])
}

/// Asks a project what every one of them answers.
fn is_served(language: &str, prepare: impl FnOnce(&Path)) {
    let server = served(language, prepare);
    let mut connection = server.connect();
    assert_eq!(
        connection.get("/").response().unwrap().text(),
        "Hello, world!\n"
    );
    let echoed = trials::post(&mut connection, "/echo", b"the same");
    assert_eq!((echoed.status, echoed.text()), (200, "the same".into()));
    assert_eq!(connection.get("/nowhere").response().unwrap().status, 404);
}

#[test]
fn a_project_in_rust_is_served() {
    is_served("rust", |project| {
        // The versions that are here already.
        std::fs::copy(root().join("guests/Cargo.lock"), project.join("Cargo.lock")).unwrap();
    });
}

#[test]
fn a_project_in_javascript_is_served() {
    is_served("javascript", |project| {
        let installed = root().join("guests/javascript/node_modules");
        std::os::unix::fs::symlink(installed, project.join("node_modules")).unwrap();
    });
}

#[test]
fn a_project_in_go_is_served() {
    is_served("go", |_| {});
}

#[test]
fn a_project_in_python_is_served() {
    let server = served("python", |_| {});
    let mut connection = server.connect();
    let greeting = connection.get("/").response().unwrap().text();
    assert_eq!(greeting, r#"{"message":"Hello, world!"}"#);
    let body = r#"{"text":"the same"}"#;
    let echo = connection.post("/echo");
    let echo = echo.header("Content-Type", "application/json").body(body);
    assert_eq!(echo.response().unwrap().text(), body);
    assert_eq!(connection.get("/nowhere").response().unwrap().status, 404);
}

#[test]
fn a_directory_that_is_not_empty_is_refused() {
    let at = place("new-taken");
    std::fs::write(at.join("mine"), "").unwrap();
    for language in ["python", "javascript", "rust", "go"] {
        let output = new(language, &at);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("is not empty"), "{said}");
    }
    assert_eq!(std::fs::read_dir(&at).unwrap().count(), 1);
}
