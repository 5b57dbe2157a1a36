//! This file finds where the limits of the control groups stand that this process is in (cgroups(7)).

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupVersion {
    One,
    Two,
}

/// Finds the directories of the groups with this controller: the process's own, and every one above it.
pub fn directories(controller: &str) -> Vec<(CgroupVersion, PathBuf)> {
    let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    groups
        .lines()
        .flat_map(|line| directories_of(line, controller))
        .collect()
}

/// Finds the directories for a line of /proc/self/cgroup: `ID:CONTROLLERS:PATH`, without controllers in version 2.
fn directories_of(line: &str, controller: &str) -> Vec<(CgroupVersion, PathBuf)> {
    let fields: Vec<&str> = line.splitn(3, ':').collect();
    let [_, controllers, path] = fields[..] else {
        return Vec::new();
    };
    let root = Path::new("/sys/fs/cgroup");
    let (version, root) = match controllers {
        "" => (CgroupVersion::Two, root.to_owned()),
        names if names.split(',').any(|name| name == controller) => {
            (CgroupVersion::One, root.join(controller))
        }
        _ => return Vec::new(),
    };
    let own = root.join(path.trim_start_matches('/'));
    let groups = own.ancestors().take_while(|path| path.starts_with(&root));
    groups.map(|path| (version, path.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_both_versions_are_found() {
        let found = |line| {
            let found = directories_of(line, "memory");
            let found = found
                .iter()
                .map(|(_, path)| path.to_str().unwrap().to_owned());
            found.collect::<Vec<String>>()
        };
        assert_eq!(
            found("0::/a/b"),
            ["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup"]
        );
        assert_eq!(
            found("7:cpuset,memory:/a"),
            ["/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"]
        );
        assert!(found("7:cpu:/a").is_empty() && found("").is_empty());
    }
}
