//! `wasmserve new` writes small projects to begin with, which build and serve at once.

use super::embedded::{self, Embedded};
use crate::cli::{Language, New};
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::Path;

const RUST: [Embedded; 3] = [
    (
        "Cargo.toml",
        include_str!("templates/rust/Cargo.toml.template"),
    ),
    ("src/lib.rs", include_str!("templates/rust/lib.rs")),
    (".gitignore", "target/\n*.wasm\n"),
];
const JAVASCRIPT: [Embedded; 3] = [
    (
        "package.json",
        include_str!("templates/javascript/package.json.template"),
    ),
    (
        "src/index.js",
        include_str!("templates/javascript/index.js"),
    ),
    (".gitignore", "node_modules/\n*.wasm\n"),
];
const GO: [Embedded; 3] = [
    ("go.mod", include_str!("templates/go/go.mod.template")),
    ("main.go", include_str!("templates/go/main.go")),
    (".gitignore", "*.wasm\n"),
];
const PYTHON: [Embedded; 3] = [
    ("main.py", include_str!("templates/python/main.py")),
    (
        "requirements.txt",
        include_str!("templates/python/requirements.txt"),
    ),
    (".gitignore", "__pycache__/\n.venv/\n*.wasm\n"),
];

/// No project can have one of these names: they are those of Go's and Rust's own libraries, of what the projects are made
/// with, or words of Rust.
const TAKEN: &str = "
    cmd go internal main std toolchain vendor alloc core proc-macro test hono wstd
    abstract as async await become box break const continue crate do dyn else enum extern false final fn for gen if impl
    in let loop macro match mod move mut override priv pub ref return self static struct super trait true try type typeof
    unsized use virtual where while yield
";

/// Writes a project, and says what to do with it.
pub fn write(new: &New) -> Result<()> {
    let directory = &new.directory;
    if !is_free(directory)? {
        bail!(
            "`{}` is not empty; give a new directory",
            directory.display()
        );
    }
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make `{}`", directory.display()))?;
    let name = name(directory)?;
    let files = match new.lang {
        Language::Python => PYTHON,
        Language::Javascript => JAVASCRIPT,
        Language::Rust => RUST,
        Language::Go => GO,
    };
    let named = files.map(|(path, text)| (path, text.replace("{name}", &name)));
    embedded::write_all(directory, named)?;
    // That nobody reads it is no failure.
    let _ = writeln!(
        std::io::stdout(),
        "wrote a project into {0}; `wasmserve dev {0}` builds and serves it, again whenever it changes",
        directory.display()
    );
    Ok(())
}

fn is_free(directory: &Path) -> Result<bool> {
    match std::fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", directory.display())),
    }
}

/// Names the project as its directory is called, as far as every language allows that.
fn name(directory: &Path) -> Result<String> {
    let whole = directory
        .canonicalize()
        .context("cannot find the directory")?;
    Ok(name_of(
        &whole.file_name().unwrap_or_default().to_string_lossy(),
    ))
}

fn name_of(called: &str) -> String {
    let allowed = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9') => c,
        _ => '-',
    };
    let name: String = called.chars().map(allowed).collect();
    let name = name.trim_matches('-');
    let is_taken = TAKEN.split_whitespace().any(|taken| taken == name);
    match name.chars().next() {
        Some('a'..='z') if !is_taken => name.to_owned(),
        _ => format!("app-{name}").trim_end_matches('-').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_called_as_its_directory_where_every_language_allows_that() {
        for (called, name) in [
            ("My_App.v2", "my-app-v2"),
            ("2048", "app-2048"),
            ("---", "app"),
            ("go", "app-go"),
            ("std", "app-std"),
            ("wstd", "app-wstd"),
            ("fn", "app-fn"),
            ("going", "going"),
        ] {
            assert_eq!(name_of(called), name);
        }
    }
}
