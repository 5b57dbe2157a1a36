//! Code that is compiled ahead of time for other machines.

use crate::harness::{HELLO, Server, finished, get, wasmserve};
use std::fs;
use std::path::PathBuf;

/// Whether code says that it needs each of the processor's features that the engine notes (`has_avx` and the like): the
/// name, the kind of the value, and the value.
fn needed_features(code: &[u8]) -> Vec<bool> {
    let text: Vec<usize> = (0..code.len().saturating_sub(4))
        .filter(|at| code[*at..].starts_with(b"has_"))
        .collect();
    let value = |at: usize| {
        let name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let end = at + code[at..].iter().take_while(|byte| name(byte)).count();
        Some(code.get(end + 1)? == &1)
    };
    text.into_iter().filter_map(value).collect()
}

/// An image that is built on one machine is started on another.
#[test]
fn code_for_every_processor_needs_no_feature_of_this_one() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("baseline");
    fs::create_dir_all(&folder).unwrap();
    let compiled = |cpu: &str| {
        let code = folder.join(format!("{cpu}.cwasm"));
        let mut compile = wasmserve();
        compile
            .args(["compile", "--cpu", cpu, HELLO, "-o"])
            .arg(&code);
        assert!(finished(compile).status.success());
        code
    };
    let (native, baseline) = (compiled("native"), compiled("baseline"));
    let needs = |code| needed_features(&fs::read(code).unwrap());
    assert!(
        needs(&native).contains(&true),
        "this machine has no features"
    );
    let needed = needs(&baseline);
    assert!(needed.len() > 5 && !needed.contains(&true), "{needed:?}");
    let server = Server::component(&baseline)
        .arg("--allow-precompiled")
        .start();
    assert_eq!(get(server.address, "/").text(), "Hello, world!\n");
}
