//! Lists the files of the Python bridge, for `src/build/python.rs` to carry: each with its path beneath
//! src/build/python_bridge, which is guests/python in the repository.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What the bridge is made of; the applications beside it are samples.
const PARTS: [&str; 4] = ["build.py", "builder", "wasi_gateway", "wit"];

fn main() {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = manifest.join("src/build/python_bridge");
    let mut files = Vec::new();
    for part in PARTS {
        println!("cargo::rerun-if-changed=src/build/python_bridge/{part}");
        let before = files.len();
        collect(&root.join(part), &mut files);
        // An executable without it would say so only when somebody builds a Python application.
        assert!(
            files.len() > before,
            "src/build/python_bridge/{part} is missing: the Python bridge cannot be carried"
        );
    }
    files.sort();
    let mut table = format!("const FILES: [(&str, &[u8]); {}] = [\n", files.len());
    for file in &files {
        let name = file.strip_prefix(&root).expect("it is beneath");
        writeln!(table, "    ({name:?}, include_bytes!({file:?})),").expect("memory takes it");
    }
    table.push_str("];\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    std::fs::write(out.join("python_files.rs"), table).expect("cargo's directory can be written");
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_file() {
        files.push(path.to_owned());
    }
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_name() != "__pycache__" {
            collect(&entry.path(), files);
        }
    }
}
