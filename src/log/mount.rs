//! Where a process serves a component that is mounted beside others, its lines say where that is.

use super::encode::{Json, escape};
use std::fmt::Write as _;
use std::sync::OnceLock;

static MOUNT: OnceLock<String> = OnceLock::new();

/// Has every line of this process, and of those that it forks, name this mount.
pub fn set(name: &str) {
    let _ = MOUNT.set(name.to_owned());
}

/// Writes the mount before the message of a text, where there is one.
pub fn push_text(line: &mut String) {
    if let Some(name) = MOUNT.get() {
        let _ = write!(line, "[{}] ", escape(name));
    }
}

/// Adds the mount to the members of an object, where there is one.
pub fn push_member(line: &mut String) {
    if let Some(name) = MOUNT.get() {
        let _ = write!(line, r#","mount":"{}""#, Json(name));
    }
}
