//! Somebody else has bound these sockets: they come by number, or are passed by a service manager (sd_listen_fds(3)).
//!
//! It is our own, as listenfd gives sockets by place alone: names that units give, and what is wrong with a socket,
//! would not be told.

use crate::config::{Address, Endpoint};
use crate::sys::exec;
use crate::sys::socket::{self, Listening};
use crate::warning;
use anyhow::{Result, anyhow};
use std::os::fd::RawFd;

/// A service manager passes this descriptor first (SD_LISTEN_FDS_START).
const FIRST: RawFd = 3;

/// An `InheritedSocket` descriptor comes from a service manager.
#[derive(Debug, PartialEq, Eq)]
pub struct InheritedSocket {
    number: RawFd,
    name: String,
}

/// Takes what is passed to this process. The variables that say so go no further.
pub fn passed() -> Vec<InheritedSocket> {
    let take = |name| exec::take_variable(name).unwrap_or_default();
    let (pid, count) = (take("LISTEN_PID"), take("LISTEN_FDS"));
    let names = take("LISTEN_FDNAMES");
    take("LISTEN_PIDFDID");
    if pid != std::process::id().to_string() {
        return Vec::new();
    }
    listed(&count, &names)
}

fn listed(count: &str, names: &str) -> Vec<InheritedSocket> {
    let count = count.parse().unwrap_or(0);
    let names = names.split(':').map(str::to_owned);
    let names = names.chain(std::iter::repeat(String::new()));
    let numbered = (FIRST..).zip(names).take(count);
    numbered
        .map(|(number, name)| InheritedSocket { number, name })
        .collect()
}

/// Takes over a socket that was named by its number.
pub fn take(number: RawFd, option: &str) -> Result<Listening> {
    socket::inherited(number).map_err(|objection| {
        anyhow!(
            "descriptor {number} {objection}; give {option} the number of a listening stream \
             socket that whoever starts wasmserve has left open"
        )
    })
}

/// Takes over a socket that a service manager has passed.
pub fn take_passed(passed: &InheritedSocket) -> Result<Listening> {
    socket::inherited(passed.number).map_err(|objection| {
        let described = passed.described();
        anyhow!(
            "{described} from the service manager {objection}; its unit needs ListenStream= and \
             Accept=no"
        )
    })
}

/// Warns of sockets that were passed and are not used: their clients would wait in vain.
pub fn warn_of_unused(passed: &[InheritedSocket], named: &[Address]) {
    for socket in passed {
        let is_used = |address: &Address| address.place == Endpoint::Descriptor(socket.number);
        if !named.iter().any(is_used) {
            warning!(
                "not listening on {} from the service manager: other addresses were named; add \
                 `--bind fd://{}`",
                socket.described(),
                socket.number
            );
        }
    }
}

impl InheritedSocket {
    fn described(&self) -> String {
        match self.name.as_str() {
            "" | "unknown" => format!("descriptor {}", self.number),
            name => format!("descriptor {} (`{name}`)", self.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_sockets_have_the_names_that_there_are() {
        let described = |count, names| -> Vec<String> {
            let passed = listed(count, names);
            passed.iter().map(InheritedSocket::described).collect()
        };
        assert_eq!(
            described("2", "web:api"),
            ["descriptor 3 (`web`)", "descriptor 4 (`api`)"]
        );
        assert_eq!(
            described("2", "web"),
            ["descriptor 3 (`web`)", "descriptor 4"]
        );
        assert_eq!(described("1", ""), ["descriptor 3"]);
        assert_eq!(described("", "web"), [] as [&str; 0]);
        assert_eq!(described("many", ""), [] as [&str; 0]);
    }
}
