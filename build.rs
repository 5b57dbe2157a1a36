//! Lists the files of the Python bridge, for `src/build/python.rs` to carry: each with its path beneath
//! src/build/python.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = manifest.join("src/build/python");
    println!("cargo::rerun-if-changed=src/build/python");
    let mut files = Vec::new();
    collect(&root, &mut files);
    // An executable without it would say so only when somebody builds a Python application.
    assert!(
        !files.is_empty(),
        "src/build/python is missing: the Python bridge cannot be carried"
    );
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
