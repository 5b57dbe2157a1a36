//! The targets for fuzzing (fuzz/): each takes bytes, and panics on a finding.

/// Restored instances are as fresh ones, for a component that is made of these bytes.
pub fn snapshot(bytes: &[u8]) {
    crate::guest::compare_restored_with_fresh(bytes);
}
