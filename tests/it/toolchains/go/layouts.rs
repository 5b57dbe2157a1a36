//! Where a program in Go may be in its module, and what is said where it is not clear which is meant.

use crate::harness::{Server, finished};
use crate::toolchains::{place, with_toolchains};
use std::path::Path;

const SERVES: &str = "package main\n\nimport (\n\t\"fmt\"\n\t\"net/http\"\n\n\t\"example.com/m/internal/said\"\n)\n\n\
    func main() {\n\thttp.HandleFunc(\"/\", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, said.Word) })\n\
    \t_ = http.ListenAndServe(\":1\", nil)\n}\n";
const TOOL: &str = "package main\n\nfunc main() {}\n";

fn write(at: &Path, name: &str, text: &str) {
    let file = at.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

/// A workspace with a module that has a program that serves, one that does not, and a package that both may import.
fn module(at: &Path) {
    write(at, "go.work", "go 1.24\n\nuse ./service\n");
    let at = at.join("service");
    write(
        &at,
        "go.mod",
        "module example.com/m // as usual\n\ngo 1.24\n",
    );
    write(&at, "cmd/server/main.go", SERVES);
    write(&at, "cmd/tool/main.go", TOOL);
    write(
        &at,
        "internal/said/said.go",
        "package said\n\nconst Word = \"said\"\n",
    );
}

/// The status, what was said, and the component where there is one.
fn build(at: &Path, path: &str) -> (Option<i32>, String) {
    let mut command = with_toolchains();
    let file = at.join("app.wasm");
    command
        .current_dir(at)
        .args(["build", path, "-o"])
        .arg(file);
    let output = finished(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn a_program_is_built_wherever_it_is_in_its_module() {
    let at = place("go-layouts");
    module(&at);
    for path in [
        ".",
        "service",
        "service/...",
        "service/go.mod",
        "service/cmd/server",
        "service/cmd/server/main.go",
    ] {
        let (status, said) = build(&at, path);
        assert_eq!(status, Some(0), "{path}: {said}");
    }
    let component = at.join("app.wasm").display().to_string();
    Server::compile_with(&component, &[]);
    let server = Server::component(&component).start();
    let answer = server.connect().get("/").response().unwrap();
    assert_eq!(answer.text(), "said");
}

#[test]
fn which_program_is_meant_is_asked_with_their_names() {
    let at = place("go-several");
    module(&at);
    write(&at, "service/cmd/admin/main.go", SERVES);
    let (status, said) = build(&at, "service");
    assert_eq!(status, Some(3), "{said}");
    let names =
        "has 2 programs that could be meant, cmd/admin, cmd/server; name the one that serves";
    assert!(said.contains(names), "{said}");
    let (status, said) = build(&at, "service/internal");
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("has no `package main`"), "{said}");
    // What Go cannot read is its own to tell.
    write(&at, "service/cmd/server/main.go", "packag main\n");
    let (status, said) = build(&at, "service/cmd/server");
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("expected 'package', found packag"), "{said}");
    write(&at, "alone/main.go", TOOL);
    std::fs::remove_file(at.join("go.work")).unwrap();
    let (_, said) = build(&at, "alone/main.go");
    assert!(said.contains("make one with `go mod init"), "{said}");
}
