//! Processes as the kernel sees them.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

/// A number of `/proc/<pid>/<file>`, in its own unit.
pub fn number(pid: i32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    line.split_whitespace().next().unwrap().parse().unwrap()
}

pub fn strike(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

pub fn lives(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// The most that a process has had in memory, in bytes (proc(5), VmHWM).
pub fn peak(pid: i32) -> u64 {
    number(pid, "status", "VmHWM:") * 1024
}

/// The memory of a process that no file has, in KiB.
pub fn anonymous(pid: i32) -> u64 {
    number(pid, "smaps_rollup", "Pss_Anon:")
}

/// The pages of the scoreboard that a process can write, by their place in it, and whether it could make others so.
pub fn scoreboard(pid: i32) -> (Vec<u64>, bool) {
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let (mut writable, mut could, mut own) = (Vec::new(), false, None);
    for line in maps.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields[0].contains('-') {
            own = line
                .contains("wasmserve scoreboard")
                .then(|| fields[1].contains('w'));
            if own == Some(true) {
                writable.push(u64::from_str_radix(fields[2], 16).unwrap());
            }
        } else if fields[0] == "VmFlags:" && own == Some(false) {
            // VM_MAYWRITE (Documentation/filesystems/proc.rst).
            could |= fields.contains(&"mw");
        }
    }
    (writable, could)
}
