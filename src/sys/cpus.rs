//! This file counts the processors that this process may use.

use super::control_group::{CgroupVersion, directories};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::fs::read_to_string;

/// Counts the processors of the affinity mask (sched_getaffinity(2)), or gives the control group's quota rounded up
/// where that is less. At least one.
pub fn available() -> usize {
    let affinity = sched_getaffinity(Pid::from_raw(0)).map_or(1, |set| {
        let is_set = |cpu: &usize| set.is_set(*cpu).unwrap_or(false);
        (0..CpuSet::count()).filter(is_set).count()
    });
    quota().map_or(affinity, |quota| affinity.min(quota)).max(1)
}

/// Finds the least quota of the control groups that this process is in.
fn quota() -> Option<usize> {
    let quotas = directories("cpu").into_iter();
    let quotas = quotas.filter_map(|(version, directory)| {
        let read = |name| read_to_string(directory.join(name)).ok();
        match version {
            CgroupVersion::Two => cpu_max(&read("cpu.max")?),
            CgroupVersion::One => cpu_max(&format!(
                "{} {}",
                read("cpu.cfs_quota_us")?,
                read("cpu.cfs_period_us")?
            )),
        }
    });
    quotas.min()
}

/// Reads `$MAX $PERIOD` in microseconds, or `max $PERIOD`.
fn cpu_max(text: &str) -> Option<usize> {
    let mut numbers = text.split_whitespace();
    let quota: u64 = numbers.next()?.parse().ok()?;
    let period: u64 = numbers.next()?.parse().ok()?;
    usize::try_from(quota.div_ceil(period.max(1))).ok()
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
