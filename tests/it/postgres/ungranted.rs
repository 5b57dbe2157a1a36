//! A component that needs a database is told at the start that there is none.

use super::GUEST;
use crate::harness::{finished, guest, wasmserve};

#[test]
fn a_component_that_needs_a_database_is_told_how_to_get_one() {
    let mut command = wasmserve();
    command.args([&guest(GUEST), "--port", "0"]);
    let output = finished(command);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{printed}");
    assert!(
        printed.contains("give --postgres NAME=postgres://"),
        "{printed}"
    );
    let mut command = wasmserve();
    command.args(["inspect", &guest(GUEST)]);
    let output = finished(command);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("offered with --postgres"), "{printed}");
}
