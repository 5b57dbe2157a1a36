//! This file says at the start which directories were granted that the user whom guests run as cannot use: root's
//! workers have no capabilities, and are everybody else's where a directory does not belong to root.

use super::{Sandbox, SandboxMode};
use crate::{log, warning};
use nix::unistd::{Gid, Uid, getegid, geteuid, getgroups};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// A directory's files can be used with these rights (path_resolution(7)).
const READ: u32 = 0o5;
const WRITE: u32 = 0o7;

impl Sandbox {
    pub fn warn_of_directories(&self) {
        let (user, groups) = match &self.run_as {
            Some(run_as) => (run_as.user(), run_as.groups().to_vec()),
            None => {
                let mut groups = getgroups().unwrap_or_default();
                groups.push(getegid());
                (geteuid(), groups)
            }
        };
        // Root keeps its capabilities.
        if self.mode == SandboxMode::Off && user.is_root() {
            return;
        }
        let grants = &self.grants;
        for (directories, need, what) in [
            (&grants.readable, READ, "read"),
            (&grants.writable, WRITE, "write"),
        ] {
            for path in directories {
                let Ok(metadata) = path.metadata() else {
                    continue;
                };
                if !may(&metadata, user, &groups, need) {
                    let owner = metadata.uid();
                    warning!(
                        "guests cannot {what} in `{}`: they run as user {user}, without privileges, and it belongs to \
                         user {owner} (mode {:03o}); give --user {owner}, or change its owner or mode",
                        log::escape(&path.display().to_string()),
                        metadata.mode() & 0o777
                    );
                }
            }
        }
    }
}

/// Says whether a user without capabilities has these rights, by the permissions of the owner, the group or the
/// others.
pub(super) fn may(metadata: &Metadata, user: Uid, groups: &[Gid], need: u32) -> bool {
    let mode = metadata.mode();
    let rights = if metadata.uid() == user.as_raw() {
        mode >> 6
    } else if groups.contains(&Gid::from_raw(metadata.gid())) {
        mode >> 3
    } else {
        mode
    };
    rights & need == need
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn permissions_are_those_of_the_first_who_applies() {
        let path = std::env::temp_dir().join(format!("wasmserve-reach-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let with = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path.metadata().unwrap()
        };
        let (owner, group) = (geteuid(), Gid::from_raw(with(0o700).gid()));
        let other = Uid::from_raw(owner.as_raw() + 1);
        assert!(may(&with(0o700), owner, &[], WRITE));
        assert!(!may(&with(0o077), owner, &[group], READ));
        assert!(!may(&with(0o755), other, &[], WRITE));
        assert!(may(&with(0o755), other, &[], READ));
        assert!(may(&with(0o770), other, &[group], WRITE));
        assert!(!may(&with(0o707), other, &[group], READ));
        fs::remove_dir(&path).unwrap();
    }
}
