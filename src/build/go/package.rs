//! This file finds the package that is built: the one in the directory that was named, or the only one below it that
//! can serve.

use super::super::project::nearest;
use super::super::tool::Tools;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// `go list` tells this of a package, in this order.
const FORMAT: &str = "{{.Name}}\t{{.Dir}}\t{{with .Module}}{{.Path}}{{end}}\t{{with .Module}}{{.Dir}}{{end}}\t\
                      {{join .Deps \" \"}}\t{{with .Error}}{{.Err}}{{end}}";

/// A package for WebSockets has one of these elements in its path.
const FOR_WEBSOCKETS: [&str; 3] = ["websocket", "ws", "gws"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    pub directory: PathBuf,
    /// The packages of its module are imported by this path.
    pub module: String,
    pub module_directory: PathBuf,
    is_main: bool,
    /// The package uses these others, itself or through them.
    used: Vec<String>,
    /// Go cannot read the package for this reason.
    error: String,
}

impl Package {
    /// Says whether the package uses another, itself or through others.
    pub fn uses(&self, other: &str) -> bool {
        self.used.iter().any(|used| used == other)
    }

    /// Says whether the package uses one for WebSockets.
    pub fn takes_websockets(&self) -> bool {
        self.used.iter().any(|used| is_for_websockets(used))
    }

    fn serves(&self) -> bool {
        self.uses("net/http")
    }
}

/// Finds the program that `directory` names.
pub fn find(tools: &mut Tools<'_>, go: &Path, directory: &Path) -> Result<Package> {
    let patterns = if nearest(directory, "go.mod").is_some() {
        let here = list(tools, go, directory, &[".".to_owned()])?;
        if let Some(package) = here.into_iter().find(is_meant) {
            return whole(package);
        }
        vec!["./...".to_owned()]
    } else if nearest(directory, "go.work").is_some() {
        of_workspace(tools, go, directory)?
    } else {
        bail!("there is no go.mod; make one with `go mod init example.com/app`");
    };
    let below = list(tools, go, directory, &patterns)?;
    whole(choose(directory, below)?)
}

/// Whatever keeps Go from reading a package is told, and no other package looked for instead.
fn is_meant(package: &Package) -> bool {
    package.is_main || !(package.error.is_empty() || package.error.starts_with("no Go files"))
}

fn whole(package: Package) -> Result<Package> {
    if package.module.is_empty() || !package.is_main {
        bail!("{}", package.error.trim_end_matches('.'));
    }
    Ok(package)
}

/// Lists every package of the workspace's modules that are in this directory.
fn of_workspace(tools: &mut Tools<'_>, go: &Path, directory: &Path) -> Result<Vec<String>> {
    let mut command = Command::new(go);
    command.args(["list", "-m", "-f", "{{.Dir}}"]);
    command.current_dir(directory);
    let modules = tools.read("go list", command)?;
    let modules = String::from_utf8_lossy(&modules).into_owned();
    let within = modules
        .lines()
        .filter(|module| Path::new(module).starts_with(directory));
    Ok(within.map(|module| format!("{module}/...")).collect())
}

fn list(
    tools: &mut Tools<'_>,
    go: &Path,
    directory: &Path,
    patterns: &[String],
) -> Result<Vec<Package>> {
    if patterns.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = Command::new(go);
    command
        .current_dir(directory)
        .args(["list", "-e", "-f", FORMAT])
        .args(patterns)
        .envs(super::TARGET);
    let listed = tools.read("go list", command)?;
    Ok(String::from_utf8_lossy(&listed)
        .lines()
        .filter_map(read)
        .collect())
}

/// Reads a line of `FORMAT`. An error has lines of its own, of which the first says what it is.
fn read(line: &str) -> Option<Package> {
    let mut fields = line.splitn(6, '\t');
    let mut next = || fields.next();
    let (name, directory, module, module_directory) = (next()?, next()?, next()?, next()?);
    let used = next()?.split(' ').map(str::to_owned).collect();
    Some(Package {
        is_main: name == "main",
        directory: directory.into(),
        module: module.to_owned(),
        module_directory: module_directory.into(),
        used,
        error: next()?.to_owned(),
    })
}

fn is_for_websockets(package: &str) -> bool {
    let mut elements = package.split('/');
    elements.any(|element| FOR_WEBSOCKETS.contains(&element))
}

/// Chooses the package that is meant: of several programs the only one that uses net/http.
fn choose(directory: &Path, below: Vec<Package>) -> Result<Package> {
    let mut programs: Vec<Package> = below
        .into_iter()
        .filter(|package| package.is_main)
        .collect();
    if programs.iter().any(Package::serves) {
        programs.retain(Package::serves);
    }
    if let [program] = &programs[..] {
        return Ok(program.clone());
    }
    let names = programs.iter().map(|program| {
        let below = program.directory.strip_prefix(directory);
        below.unwrap_or(&program.directory).display().to_string()
    });
    let names: Vec<String> = names.collect();
    match names.first() {
        None => bail!(
            "`{}` has no `package main` that Go builds for wasip1; name the directory of the one that serves",
            directory.display()
        ),
        Some(first) => bail!(
            "`{}` has {} programs that could be meant, {}; name the one that serves, as in \
             `wasmserve build {first}`",
            directory.display(),
            names.len(),
            names.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(line: &str) -> Package {
        read(&line.replace('|', "\t")).unwrap()
    }

    #[test]
    fn the_only_program_that_serves_is_meant() {
        let library = package("lib|/m/lib|m|/m|fmt net/http|");
        let tool = package("main|/m/cmd/tool|m|/m||");
        let server = package("main|/m/cmd/server|m|/m|fmt net/http|");
        let admin = package("main|/m/cmd/admin|m|/m|fmt net/http|");
        let chosen = |packages: &[&Package]| {
            let packages = packages.iter().copied().cloned().collect();
            choose(Path::new("/m"), packages).map_err(|error| error.to_string())
        };
        assert_eq!(chosen(&[&library, &tool]).unwrap(), tool);
        assert_eq!(chosen(&[&library, &tool, &server]).unwrap(), server);
        let several = chosen(&[&admin, &tool, &server]).unwrap_err();
        assert!(
            several.contains("has 2 programs that could be meant, cmd/admin, cmd/server; name"),
            "{several}"
        );
        let none = chosen(&[&library]).unwrap_err();
        assert!(none.contains("has no `package main`"), "{none}");
    }

    #[test]
    fn a_package_for_websockets_is_known_by_its_path() {
        for used in [
            "net/http github.com/coder/websocket",
            "github.com/gorilla/websocket",
            "nhooyr.io/websocket net/http",
            "github.com/gobwas/ws/wsutil",
            "github.com/lxzan/gws",
        ] {
            assert!(package(&format!("main|/m|m|/m|{used}|")).takes_websockets());
        }
        assert!(!package("main|/m|m|/m|net/http example.com/news|").takes_websockets());
    }

    #[test]
    fn what_go_cannot_read_is_told_and_not_passed_over() {
        assert!(!is_meant(&package("|/m||||")));
        assert!(!is_meant(&package("|/m||||no Go files in /m")));
        let broken = package("|/m|m|/m||expected 'package', found packag");
        assert!(is_meant(&broken));
        let told = whole(broken).unwrap_err().to_string();
        assert_eq!(told, "expected 'package', found packag");
    }
}
