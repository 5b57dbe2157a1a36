//! Sockets of programs that are running stand here by convention.

use nix::unistd::geteuid;
use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Root's servers, and the services of systemd, have their directories here.
const RUN: &str = "/run";

/// A service's directory is called so, with the service's name after it.
pub const SERVICE_PREFIX: &str = "wasmserve-";

/// Finds the directory for this user's servers: below $XDG_RUNTIME_DIR (XDG Base Directory Specification), or /run for
/// root, or what a service was given for itself (RuntimeDirectory=, systemd.exec(5)). None where none is known.
pub fn directory() -> Option<PathBuf> {
    let named = |name| env::var_os(name).map(PathBuf::from);
    let absolute = |path: &PathBuf| path.is_absolute();
    let user = named("XDG_RUNTIME_DIR").filter(absolute);
    let parent = user.or_else(|| geteuid().is_root().then(|| PathBuf::from(RUN)));
    parent.map(|parent| parent.join("wasmserve")).or_else(|| {
        // There may be several.
        let given = env::var("RUNTIME_DIRECTORY").ok()?;
        let first = given.split(':').next().map(PathBuf::from);
        first.filter(absolute)
    })
}

/// Lists all directories where a server may be that this user can steer: his own, and for root those of services.
/// Nobody else can make a directory in /run.
pub fn directories() -> Vec<PathBuf> {
    let services = geteuid().is_root().then(|| fs::read_dir(RUN));
    let services = services.and_then(Result::ok).into_iter().flatten();
    let services = services.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name();
        let is_service = name.to_str()?.starts_with(SERVICE_PREFIX);
        is_service.then(|| entry.path())
    });
    directory().into_iter().chain(services).collect()
}

/// Makes a directory that nobody else can write to, or sees that it is one.
pub fn make_private(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(directory)?;
    if !found.is_dir() {
        return Err(io::Error::other("it is no directory"));
    }
    belongs_to_us(&found)?;
    match found.mode() & 0o022 {
        0 => Ok(()),
        _ => Err(io::Error::other("others can write to it")),
    }
}

/// Fails where somebody else owns what was found.
pub fn belongs_to_us(found: &fs::Metadata) -> io::Result<()> {
    match found.uid() == geteuid().as_raw() {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "it belongs to user {}",
            found.uid()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_directory_that_others_can_write_to_or_that_is_none_is_refused() {
        let base = env::temp_dir().join(format!("wasmserve-runtime-{}", std::process::id()));
        fs::create_dir_all(&base).unwrap();
        let directory = base.join("ours");
        make_private(&directory).unwrap();
        assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
        make_private(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(make_private(&directory).is_err());
        symlink(&base, base.join("link")).unwrap();
        assert!(make_private(&base.join("link")).is_err());
        assert!(make_private(&base.join("no/such/parent")).is_err());
        fs::remove_dir_all(&base).unwrap();
    }
}
