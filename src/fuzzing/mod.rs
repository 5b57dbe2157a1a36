//! The targets for fuzzing (fuzz/) each take bytes, and panic on a finding. Those that need what a room keeps to
//! itself stand in that room.

#[cfg(test)]
mod tests;

use crate::{channel, cli, config, connection, guest, request, supervisor};

/// Takes any bytes, and panics on a finding.
pub type FuzzTarget = fn(&[u8]);

/// All targets by their names, which their files and corpora under fuzz/ have too.
pub const TARGETS: [(&str, FuzzTarget); 12] = [
    ("config_file", config_file),
    ("env_file", env_file),
    ("handover", handover),
    ("header_policy", header_policy),
    ("http1", http1),
    ("http2", http2),
    ("mount_choice", mount_choice),
    ("option_values", option_values),
    ("proxy_header", proxy_header),
    ("recording", recording),
    ("records", records),
    ("scan", scan),
];

/// Restored instances are as fresh ones, for a component that is made of these bytes. It is not among the others,
/// because a run takes a thousand times as long.
pub fn snapshot(bytes: &[u8]) {
    guest::compare_restored_with_fresh(bytes);
}

/// What a component has is found out whatever its bytes are, and what is added to it leaves it valid.
pub fn scan(bytes: &[u8]) {
    guest::scan_any_bytes(bytes);
}

/// A recording of a request is read or refused, and replayed whatever it says.
pub fn recording(bytes: &[u8]) {
    guest::read_any_recording(bytes);
}

/// HTTP/1 requests end where hyper sees them end, whatever the pieces that they come in.
pub fn http1(bytes: &[u8]) {
    connection::fuzzing::http1(bytes);
}

/// HTTP/2 frames are counted alike whatever the pieces that they come in.
pub fn http2(bytes: &[u8]) {
    connection::fuzzing::http2(bytes);
}

/// The length of a PROXY header is told once, and what it says is read or refused.
pub fn proxy_header(bytes: &[u8]) {
    connection::fuzzing::proxy_header(bytes);
}

/// A stranger's fields never change what is believed of a request, nor take the place of ours.
pub fn header_policy(bytes: &[u8]) {
    request::fuzzing::header_policy(bytes);
}

/// A request goes to the mount where other readers of its target would have it go, or is refused.
pub fn mount_choice(bytes: &[u8]) {
    request::mounts::fuzzing::choice(bytes);
}

/// Whatever a child sends is a valid message or command, or garbage.
pub fn records(bytes: &[u8]) {
    channel::fuzzing::records(bytes);
}

/// What an executable leaves to the next is understood or refused.
pub fn handover(bytes: &[u8]) {
    supervisor::fuzzing::handover(bytes);
}

/// A configuration file sets the options that it names and no others, or is refused.
pub fn config_file(bytes: &[u8]) {
    cli::fuzzing::config_file(bytes);
}

/// A file of variables is read or refused, and takes no more memory than it should.
pub fn env_file(bytes: &[u8]) {
    config::fuzzing::env_file(bytes);
}

/// The values of options are read or refused; an address that is written out is read as the same.
pub fn option_values(bytes: &[u8]) {
    config::fuzzing::option_values(bytes);
}
