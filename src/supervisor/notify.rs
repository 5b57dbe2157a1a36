//! This file tells a service manager what the server is doing, and that the supervisor's loop is alive (sd_notify(3)).
//! What the server is doing is decided elsewhere.
//!
//! It is our own, as it is one datagram, and the watchdog must come from the supervisor's own loop.

use super::policy::Condition;
use crate::log;
use crate::sys::clock;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// A start or a stop that goes on asks for more time this often.
const EXTENSION_PERIOD: Duration = Duration::from_secs(5);

/// The server asks for this much more time. What a start or a stop may take in all is limited elsewhere.
const EXTENSION: Duration = Duration::from_secs(30);

/// Whoever asks for the status sees one line, which has this much of a reason. The log has all of it.
const LONGEST_REASON: usize = 200;

/// A `Notifier` tells a service manager; nobody where none waits for it.
pub struct Notifier {
    address: Option<SocketAddr>,
    state: NotifyState,
}

impl Notifier {
    /// Finds the service manager that the environment names. The variables stay, for the executable that replaces this
    /// one.
    pub fn from_environment(now: Instant) -> Notifier {
        let variable = |name| std::env::var(name).ok();
        let address = variable("NOTIFY_SOCKET").and_then(|name| address(&name).ok());
        let own = std::process::id().to_string();
        let watched = variable("WATCHDOG_PID").is_none_or(|pid| pid == own);
        let limit = variable("WATCHDOG_USEC").filter(|_| watched);
        let limit = limit.and_then(|limit| limit.parse().ok());
        Notifier {
            address,
            state: NotifyState::new(limit.map(Duration::from_micros), now),
        }
    }

    /// Tells nobody.
    pub fn of_nobody(now: Instant) -> Notifier {
        Notifier {
            address: None,
            state: NotifyState::new(None, now),
        }
    }

    /// Notes how the last reload has ended: why, where it has failed.
    pub fn reloaded(&mut self, failed: Option<String>) {
        self.state.failed = failed;
    }

    /// Notes why the server cannot go on.
    pub fn fails(&mut self, why: &str) {
        if self.state.fatal.is_none() {
            self.state.fatal = Some(why.to_owned());
        }
    }

    /// Tells what there is to tell. A service manager that does not listen is not waited for.
    pub fn tell(&mut self, condition: Condition, now: Instant) {
        let Some(address) = &self.address else { return };
        let Some(text) = self.state.message(condition, now) else {
            return;
        };
        // A socket for each message, so that no child ever has one.
        if let Err(error) = send(address, &text) {
            crate::debug!("the service manager cannot be told: {error}");
        }
    }

    /// Says when there is something to tell again, whatever happens.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.address.as_ref().and(self.state.wakes_at())
    }
}

/// Makes the address of a path, or of an abstract name, which begins with an @.
fn address(name: &str) -> io::Result<SocketAddr> {
    match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

fn send(address: &SocketAddr, text: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(text.as_bytes(), address).map(drop)
}

/// `NotifyState` says what has been told, and what has to be told when.
#[derive(Debug)]
struct NotifyState {
    told: Option<Condition>,
    /// What is served is not what was last asked for, for this reason.
    failed: Option<String>,
    /// The server ends for this reason.
    fatal: Option<String>,
    /// This status was told.
    told_status: Option<String>,
    /// A sign of life is due this often, where it is waited for, and next at this time.
    alive: Option<(Duration, Instant)>,
    extension: Option<Instant>,
}

impl NotifyState {
    /// `limit` is the silence after which the service manager ends the server.
    fn new(limit: Option<Duration>, now: Instant) -> NotifyState {
        NotifyState {
            told: None,
            failed: None,
            fatal: None,
            told_status: None,
            alive: limit.map(|limit| (limit / 2, now)),
            extension: None,
        }
    }

    fn wakes_at(&self) -> Option<Instant> {
        let alive = self.alive.map(|(_, due)| due);
        alive.into_iter().chain(self.extension).min()
    }

    /// Gives what to send now; none where there is nothing new.
    fn message(&mut self, condition: Condition, now: Instant) -> Option<String> {
        let before = self.told.replace(condition);
        let mut lines = Vec::new();
        if before != Some(condition) {
            lines.extend(transition(before, condition));
        }
        let status = self.status(condition);
        if before != Some(condition) || self.told_status.as_ref() != Some(&status) {
            lines.push(format!("STATUS={status}"));
            self.told_status = Some(status);
        }
        let extends = condition.ends() || matches!(condition, Condition::Starting { .. });
        self.extension = match extends {
            true => {
                if self.extension.is_none_or(|due| due <= now) {
                    lines.push(format!("EXTEND_TIMEOUT_USEC={}", EXTENSION.as_micros()));
                    Some(now + EXTENSION_PERIOD)
                } else {
                    self.extension
                }
            }
            false => None,
        };
        if let Some((period, due)) = &mut self.alive
            && *due <= now
        {
            *due = now + *period;
            lines.push("WATCHDOG=1".to_owned());
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// Says what the server is doing and, as long as that is not what was asked for, why.
    fn status(&self, condition: Condition) -> String {
        let status = status(condition);
        match (&self.fatal, &self.failed, condition) {
            (Some(why), _, _) => format!("Failed: {}", reason(why)),
            (None, Some(why), Condition::Serving { .. }) => {
                format!("{status}; the last reload failed: {}", reason(why))
            }
            _ => status,
        }
    }
}

/// Gives as much of a reason as is told.
fn reason(why: &str) -> String {
    let mut why = log::escape(why).to_string();
    why.truncate(why.floor_char_boundary(LONGEST_REASON));
    why
}

/// Gives what a change is called in the protocol. The time of a reload's beginning is that of CLOCK_MONOTONIC.
fn transition(before: Option<Condition>, condition: Condition) -> Vec<String> {
    let stopped = before.is_some_and(Condition::ends);
    let lines: &[&str] = match (before, condition) {
        (Some(Condition::Serving { .. }), Condition::Serving { .. }) => &[],
        (_, Condition::Serving { .. }) => &["READY=1"],
        (_, Condition::Reloading) => {
            let micros = clock::now_ns() / 1000;
            return vec!["RELOADING=1".to_owned(), format!("MONOTONIC_USEC={micros}")];
        }
        (_, Condition::Starting { .. }) => &[],
        (_, _) if stopped => &[],
        (_, _) => &["STOPPING=1"],
    };
    lines.iter().map(|line| (*line).to_owned()).collect()
}

fn status(condition: Condition) -> String {
    match condition {
        Condition::Starting { ready, wanted } => {
            format!("Starting: {ready} of {wanted} workers are ready")
        }
        Condition::Serving { ready, wanted } if ready < wanted => {
            format!("Serving with {ready} of {wanted} workers")
        }
        Condition::Serving { ready: 1, .. } => "Serving with 1 worker".to_owned(),
        Condition::Serving { ready, .. } => format!("Serving with {ready} workers"),
        Condition::Reloading => "Reloading: the version before goes on serving".to_owned(),
        Condition::Delaying => "Stopping: requests are taken for the --shutdown-delay".to_owned(),
        Condition::Stopping => "Stopping: finishing the requests in flight".to_owned(),
        Condition::Ending => "Stopping: waiting for no request".to_owned(),
        Condition::Over => "Stopping: every worker has ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTING: Condition = Condition::Starting {
        ready: 1,
        wanted: 2,
    };
    const SERVING: Condition = Condition::Serving {
        ready: 2,
        wanted: 2,
    };

    #[test]
    fn a_life_is_told_in_the_words_of_the_protocol() {
        let now = Instant::now();
        let mut state = NotifyState::new(None, now);
        let mut told = |condition| state.message(condition, now).unwrap_or_default();
        assert!(told(STARTING).starts_with("STATUS=Starting: 1 of 2 workers are ready\nEXTEND"));
        assert_eq!(told(STARTING), "");
        assert_eq!(told(SERVING), "READY=1\nSTATUS=Serving with 2 workers");
        let fewer = Condition::Serving {
            ready: 1,
            wanted: 2,
        };
        assert_eq!(told(fewer), "STATUS=Serving with 1 of 2 workers");
        assert!(told(Condition::Reloading).starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert!(told(SERVING).starts_with("READY=1\n"));
        assert!(told(Condition::Stopping).starts_with("STOPPING=1\nSTATUS="));
    }

    #[test]
    fn a_reload_that_failed_is_told_until_one_succeeds() {
        let now = Instant::now();
        let mut state = NotifyState::new(None, now);
        state.message(SERVING, now);
        state.message(Condition::Reloading, now);
        state.failed = Some("no component\nat all".to_owned());
        let failed = "STATUS=Serving with 2 workers; the last reload failed: no component\\nat all";
        let told = state.message(SERVING, now).unwrap();
        assert_eq!(told, format!("READY=1\n{failed}"));
        assert_eq!(state.message(SERVING, now), None);
        let again = state.message(Condition::Reloading, now).unwrap();
        assert!(!again.contains("failed"), "{again}");
        state.failed = None;
        let told = state.message(SERVING, now).unwrap();
        assert_eq!(told, "READY=1\nSTATUS=Serving with 2 workers");
        // One that fails before it has begun is told, too.
        state.failed = Some("x".repeat(1000));
        let told = state.message(SERVING, now).unwrap();
        assert!(told.len() < 300 && told.contains("failed: xxx"), "{told}");
    }

    #[test]
    fn a_server_that_ends_says_why_for_as_long_as_it_ends() {
        let now = Instant::now();
        let mut state = NotifyState::new(None, now);
        let mut told = |condition| state.message(condition, now).unwrap_or_default();
        told(SERVING);
        assert!(told(Condition::Delaying).starts_with("STOPPING=1\nSTATUS=Stopping: requests"));
        assert_eq!(
            told(Condition::Stopping),
            "STATUS=Stopping: finishing the requests in flight"
        );
        assert_eq!(
            told(Condition::Ending),
            "STATUS=Stopping: waiting for no request"
        );
        let mut state = NotifyState::new(None, now);
        state.message(STARTING, now);
        state.failed = Some("what a reload said".to_owned());
        state.fatal = Some("no application".to_owned());
        let told = state.message(Condition::Ending, now).unwrap();
        assert_eq!(told, "STOPPING=1\nSTATUS=Failed: no application");
        let told = state.message(Condition::Over, now).unwrap();
        assert_eq!(told, "STATUS=Failed: no application");
    }

    #[test]
    fn a_sign_of_life_is_sent_twice_within_the_limit() {
        let (limit, start) = (Duration::from_secs(10), Instant::now());
        let mut state = NotifyState::new(Some(limit), start);
        let first = state.message(SERVING, start).unwrap();
        assert!(first.ends_with("WATCHDOG=1"), "{first}");
        assert_eq!(state.wakes_at(), Some(start + limit / 2));
        assert_eq!(state.message(SERVING, start + limit / 3), None);
        let next = state.message(SERVING, start + limit / 2);
        assert_eq!(next.as_deref(), Some("WATCHDOG=1"));
    }

    #[test]
    fn a_long_start_asks_for_more_time() {
        let start = Instant::now();
        let mut state = NotifyState::new(None, start);
        state.message(STARTING, start);
        let due = state.wakes_at().unwrap();
        let asked = state.message(STARTING, due).unwrap();
        assert_eq!(asked, "EXTEND_TIMEOUT_USEC=30000000");
        state.message(SERVING, due);
        assert_eq!(state.wakes_at(), None);
    }
}
