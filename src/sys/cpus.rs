//! How many processors this process may use.

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::fs::read_to_string;
use std::path::Path;

/// The processors of the affinity mask (sched_getaffinity(2)), or the control group's quota rounded
/// up where that is less. At least one.
pub fn available() -> usize {
    let affinity = sched_getaffinity(Pid::from_raw(0)).map_or(1, |set| {
        let is_set = |cpu: &usize| set.is_set(*cpu).unwrap_or(false);
        (0..CpuSet::count()).filter(is_set).count()
    });
    quota().map_or(affinity, |quota| affinity.min(quota)).max(1)
}

/// The least quota of the control groups that this process is in.
fn quota() -> Option<usize> {
    let groups = read_to_string("/proc/self/cgroup").ok()?;
    let quotas = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (controllers, path) = (fields.nth(1)?, fields.next()?.trim_start_matches('/'));
        if controllers.is_empty() {
            unified(Path::new("/sys/fs/cgroup"), path)
        } else if controllers.split(',').any(|name| name == "cpu") {
            legacy(Path::new("/sys/fs/cgroup/cpu"), path)
        } else {
            None
        }
    });
    quotas.min()
}

/// `cpu.max` of the group and of every group above it (cgroup v2).
fn unified(root: &Path, group: &str) -> Option<usize> {
    let own = root.join(group);
    let groups = own.ancestors().take_while(|path| path.starts_with(root));
    groups
        .filter_map(|path| cpu_max(&read_to_string(path.join("cpu.max")).ok()?))
        .min()
}

/// `$MAX $PERIOD` in microseconds, or `max $PERIOD`.
fn cpu_max(text: &str) -> Option<usize> {
    let mut numbers = text.split_whitespace();
    let quota: u64 = numbers.next()?.parse().ok()?;
    let period: u64 = numbers.next()?.parse().ok()?;
    usize::try_from(quota.div_ceil(period.max(1))).ok()
}

/// `cpu.cfs_quota_us` and `cpu.cfs_period_us` (cgroup v1).
fn legacy(root: &Path, group: &str) -> Option<usize> {
    let read = |name: &str| {
        let own = read_to_string(root.join(group).join(name));
        own.or_else(|_| read_to_string(root.join(name))).ok()
    };
    cpu_max(&format!(
        "{} {}",
        read("cpu.cfs_quota_us")?,
        read("cpu.cfs_period_us")?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_counts_whole_processors_rounded_up() {
        assert_eq!(cpu_max("150000 100000\n"), Some(2));
        assert_eq!(cpu_max("50000 100000\n"), Some(1));
        assert_eq!(cpu_max("max 100000\n"), None);
        assert_eq!(cpu_max("-1 100000\n"), None);
    }

    #[test]
    fn there_is_always_one() {
        assert!(available() >= 1);
    }
}
