//! This file loads what the C library looks names up with before it is needed: later no file becomes code.

use crate::sys::privileges::{load_library, set_variable};
use std::ffi::CString;

/// These were parts of the C library itself before version 2.34.
const ALWAYS: [&str; 3] = ["libresolv.so.2", "libnss_files.so.2", "libnss_dns.so.2"];

/// Loads the modules that are named where hosts are looked up. One that is not there is not used either.
pub fn load() {
    let switch = std::fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default();
    let modules = services(&switch);
    let modules = modules.iter().map(|name| format!("libnss_{name}.so.2"));
    for library in ALWAYS.map(str::to_owned).into_iter().chain(modules) {
        if let Ok(library) = CString::new(library) {
            load_library(&library);
        }
    }
}

/// Has names looked up with one question at a time (resolv.conf(5)), for which no call is needed that can pass
/// descriptors on.
pub fn ask_one_by_one() {
    let options = std::env::var("RES_OPTIONS").unwrap_or_default();
    set_variable("RES_OPTIONS", format!("{options} single-request").trim());
}

/// Lists the services on the line for hosts (nsswitch.conf(5)), without what is to be done after each.
fn services(text: &str) -> Vec<&str> {
    let lines = text.lines().filter_map(|line| {
        let line = line.split('#').next()?;
        line.trim_start().strip_prefix("hosts:")
    });
    let words = lines.flat_map(|line| line.split(['[', ']']).step_by(2));
    words.flat_map(str::split_whitespace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_for_hosts_are_found() {
        let text = "passwd: files systemd\nhosts:  mymachines resolve [!UNAVAIL=return success=continue] files \
                    dns # mdns\n#hosts: old\n";
        assert_eq!(services(text), ["mymachines", "resolve", "files", "dns"]);
        assert!(services("").is_empty());
    }
}
