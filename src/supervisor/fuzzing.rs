//! This file says, for fuzzing, what must hold for anything that another executable leaves.

use super::handover::Handover;

pub fn handover(bytes: &[u8]) {
    let Ok(handover) = Handover::read(bytes) else {
        return;
    };
    let _ = handover.descriptors();
    let written = handover.write().expect("what was read can be written");
    let again = Handover::read(&written).expect("what was written can be read");
    // It goes on in this executable's own way.
    let is_first = false;
    assert_eq!(
        again,
        Handover {
            is_first,
            ..handover
        }
    );
}
