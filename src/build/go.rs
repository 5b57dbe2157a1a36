//! For Go, the standard toolchain builds for wasip1, and what comes of it is made a component here. An application
//! that serves with net/http is built as it is: our bridge is laid over its module, over some lines of net/http, and
//! beside Go's runtime, without a file of any being changed (`go help build`, -overlay). An application takes WebSockets
//! if it imports a package for them, and opens databases of the host's if it names our drivers for `database/sql`.

mod databases;
mod overlay;
mod package;
mod paths;

use super::tool::{Tools, needed};
use super::{advice, embedded, wit};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// These minor versions of Go can be used.
const OLDEST: u32 = 24;
const NEWEST: u32 = 27;

/// Go builds for this target.
const TARGET: [(&str, &str); 2] = [("GOOS", "wasip1"), ("GOARCH", "wasm")];

/// `directory` has the program, or is above the only one that can be meant.
pub fn build(tools: &mut Tools<'_>, directory: &Path, output: &Path) -> Result<()> {
    let go = needed("go", advice::GO)?;
    let directory = directory
        .canonicalize()
        .with_context(|| format!("cannot find `{}`", directory.display()))?;
    let goroot = known(tools, &go, &directory)?;
    let package = package::find(tools, &go, &directory)?;
    let drivers = databases::find(tools, &go, &package)?;
    let overlay = overlay::write(tools.scratch(), &goroot, &package, &drivers)?;
    let core = tools.scratch().join("module.wasm");
    let mut command = Command::new(&go);
    command
        .current_dir(&package.directory)
        .args([
            "build",
            "-buildmode=c-shared",
            // What a repository says of itself would change the component with each commit, and git refuses to say it
            // where the folder is somebody else's, as in containers.
            "-buildvcs=false",
            "-trimpath",
            "-ldflags=-s -w -checklinkname=0",
        ])
        .arg("-overlay")
        .arg(overlay)
        .arg("-o")
        .arg(&core)
        .arg(".")
        .envs(TARGET);
    tools.run("go build", command)?;
    tools.say("making a component of it");
    let packages = tools.scratch().join("wit");
    let world = match package.takes_websockets() {
        true => wit::WITH_WEBSOCKETS,
        false => wit::BRIDGED,
    };
    let imports: Vec<String> = drivers.iter().map(|it| it.interface.to_owned()).collect();
    let world = wit::write_for(&packages, world, &imports)?;
    wit::component(&core, &packages, world, output)
}

/// Says where Go is, if this one can make what is needed. Debian 12 has one that cannot, and says so in words that
/// nobody understands.
fn known(tools: &mut Tools<'_>, go: &Path, directory: &Path) -> Result<PathBuf> {
    let mut command = Command::new(go);
    command
        .args(["env", "GOVERSION", "GOROOT"])
        .current_dir(directory);
    let said = tools.read("asking go for its version", command)?;
    let said = String::from_utf8_lossy(&said);
    let (version, goroot) = said.split_once('\n').unwrap_or((&said, ""));
    match minor(version.trim()) {
        Some(minor) if minor < OLDEST => bail!(
            "`{}` is of version {}, and Go 1.{OLDEST} to 1.{NEWEST} is needed; install it with {}",
            go.display(),
            version.trim().trim_start_matches("go"),
            advice::GO
        ),
        _ => Ok(PathBuf::from(goroot.trim())),
    }
}

/// Reads 24 from `go1.24.3`.
fn minor(version: &str) -> Option<u32> {
    let rest = version.strip_prefix("go1.")?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_go_writes_it() {
        assert_eq!(minor("go1.19.8"), Some(19));
        assert_eq!(minor("go1.27rc1"), Some(27));
        assert_eq!(minor("devel go1.28-abc"), None);
    }
}
