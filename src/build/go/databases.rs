//! This file finds which of the host's databases an application opens through `database/sql`: by the names of our
//! drivers, which some file of it or of what it uses says.

use super::super::tool::Tools;
use super::package::Package;
use crate::build::embedded::Embedded;
use anyhow::Result;
use std::path::Path;
use std::process::Command;

/// A `Driver` is one of ours for `database/sql`.
#[derive(Debug)]
pub struct Driver {
    /// The application opens a database with this name.
    name: &'static str,
    /// The component imports this then.
    pub interface: &'static str,
    pub files: &'static [Embedded],
}

pub static DRIVERS: [Driver; 2] = [
    Driver {
        name: "wasmserve-postgres",
        interface: "spin:postgres/postgres@4.0.0",
        files: &[
            ("bridge/postgres.go", include_str!("bridge/postgres.go")),
            (
                "bridge/postgres_values.go",
                include_str!("bridge/postgres_values.go"),
            ),
        ],
    },
    Driver {
        name: "wasmserve-sqlite",
        interface: "spin:sqlite/sqlite@3.0.0",
        files: &[("bridge/sqlite.go", include_str!("bridge/sqlite.go"))],
    },
];

/// What all drivers stand on.
pub const COMMON: Embedded = ("bridge/sql.go", include_str!("bridge/sql.go"));

/// Finds the drivers that the program names.
pub fn find(tools: &mut Tools<'_>, go: &Path, package: &Package) -> Result<Vec<&'static Driver>> {
    if !package.uses("database/sql") {
        return Ok(Vec::new());
    }
    /// Each file of a package that is no part of Go.
    const FORMAT: &str =
        "{{if not .Standard}}{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}\n{{end}}{{end}}";
    let mut command = Command::new(go);
    command
        .current_dir(&package.directory)
        .args(["list", "-e", "-deps", "-f", FORMAT, "."])
        .envs(super::TARGET);
    let listed = tools.read("go list", command)?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let files = listed.lines().filter(|line| !line.is_empty());
    let texts: Vec<String> = files
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .collect();
    let named = |driver: &&Driver| texts.iter().any(|text| names(text, driver.name));
    Ok(DRIVERS.iter().filter(named).collect())
}

/// Says whether a file of Go's has this text in quotes.
fn names(text: &str, driver: &str) -> bool {
    ['"', '`']
        .iter()
        .any(|quote| text.contains(&format!("{quote}{driver}{quote}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_known_by_its_name_in_quotes() {
        assert!(names(
            "db, err := sql.Open(\"wasmserve-sqlite\", \"app\")",
            "wasmserve-sqlite"
        ));
        assert!(names(
            "const driver = `wasmserve-sqlite`",
            "wasmserve-sqlite"
        ));
        assert!(!names("// not wasmserve-sqlite", "wasmserve-sqlite"));
    }
}
