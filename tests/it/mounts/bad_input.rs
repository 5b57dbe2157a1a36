//! What is wrong with a mount is told at the start, and nothing is left behind.

use super::Site;
use crate::harness::{HELLO, finished, wasmserve};

fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = wasmserve();
    command.args(arguments).args(["--port", "0"]);
    let output = finished(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = said.lines().last().unwrap_or_default().to_owned();
    (output.status.code(), last)
}

#[test]
fn options_that_mount_nothing_are_named() {
    for (arguments, said) in [
        (
            &["--mount", "/api"][..],
            "option --mount: `/api` says not what is mounted",
        ),
        (
            &["--mount", "api=x.wasm"],
            "option --mount: `api` is no route",
        ),
        (&["--mount", "/a/../b=x.wasm"], "its path must not have"),
        (&["--mount", "a:80/=x.wasm"], "has a port"),
        (
            &["--mount", "/a=x.wasm", "--mount", "/a/=y.wasm"],
            "`/a` is mounted twice",
        ),
        (
            &["--mount", "/a=x.wasm", "--env", "A=b"],
            "option --env: there is no application",
        ),
        (
            &["--mount", "/a=x.wasm", "--timeout-request", "5s"],
            "option --timeout-request: there is no application",
        ),
        (
            &["--mount", "/a=x.wasm", "--canary", "10%"],
            "option --canary: there is no application",
        ),
        (
            &["--mount", "/a=x.wasm", "--compress"],
            "option --compress: there is no application",
        ),
        (
            &["--mount", "/a=x.wasm", "--request-header", "A: b"],
            "option --request-header: there is no application",
        ),
    ] {
        let (status, last) = refused(arguments);
        assert_eq!(status, Some(2), "{last}");
        assert!(last.contains(said), "{said} in {last}");
    }
}

#[test]
fn mistakes_in_a_table_name_the_line() {
    for (text, said) in [
        (
            "[mount.\"/a\"]\nport = 1\n",
            "line 2: `port` is for the whole server",
        ),
        (
            "[mount.\"/a\"]\ncomponent = \"x\"\nlimit-concurency = 1\n",
            "line 3: `limit-concurency` is not an option; did you mean",
        ),
        (
            "[mount.\"/a\"]\nreuse = 2\n",
            "line 1: `mount.\"/a\"` names no component",
        ),
        (
            "[mount.\"/a\"]\ncomponent = \"{hello}\"\nmax-memory = \"lots\"\n",
            "line 1: mount `/a`: option --max-memory: ",
        ),
        (
            "max-memory = \"1GiB\"\n[mount]\n\"/a\" = \"{hello}\"\n",
            "line 1: option --max-memory: there is no application",
        ),
        (
            "[mount]\n\"/a\" = 1\n",
            "line 2: `mount.\"/a\"` is a table of options",
        ),
        (
            "[mount.\"a\"]\ncomponent = \"{hello}\"\n",
            "`a` is no route",
        ),
    ] {
        let site = Site::new(text);
        let (status, last) = refused(&["--config-file", &site.file()]);
        assert_eq!(status, Some(2), "{last}");
        assert!(last.contains(said), "{said} in {last}");
    }
}

#[test]
fn a_component_that_cannot_be_served_ends_the_start() {
    let (status, last) = refused(&[HELLO, "--mount", "/a=missing.wasm"]);
    assert_eq!(status, Some(3), "{last}");
    assert!(
        last.contains("mount `/a`: component `missing.wasm`"),
        "{last}"
    );
}

#[test]
fn check_describes_all_that_is_mounted() {
    let site = Site::new("component = \"{hello}\"\n[mount]\n\"/api\" = \"{behaviours}\"\n");
    let mut command = wasmserve();
    command.args(["check", "--config-file", &site.file()]);
    let output = finished(command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("\nmount /api\n"), "{said}");
    site.write("component = \"{hello}\"\n[mount]\n\"/api\" = \"missing.wasm\"\n");
    let mut command = wasmserve();
    command.args(["check", "--config-file", &site.file()]);
    let output = finished(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("mount `/api`: "), "{said}");
}
