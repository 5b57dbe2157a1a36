//! This file has the state scan read any bytes: those of a file, binary or text, or a component that is made up and
//! then damaged.

use super::case::Case;
use crate::guest::component::info::ComponentInfo;
use crate::guest::snapshot::{FEATURES, instrument};
use arbitrary::{Result, Unstructured};
use wasmparser::Validator;

/// No more bytes than these of a component that is made up are changed.
const CHANGES: usize = 4;

/// Scans the bytes, and panics where the scan does, or where what is added to a component makes it invalid.
pub fn scan_any_bytes(bytes: &[u8]) {
    if bytes.starts_with(b"\0asm") {
        scan(bytes);
    } else if let Some(text) = text(bytes) {
        let binary = wat::parse_str(text);
        let _ = binary.map(|binary| scan(&binary));
    } else if let Ok(component) = damaged(&mut Unstructured::new(bytes)) {
        scan(&component);
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    Some(text).filter(|text| text.trim_start().starts_with('('))
}

fn damaged(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut component = Case::arbitrary(u)?.component;
    for _ in 0..u.int_in_range(0..=CHANGES)? {
        let at = u.choose_index(component.len())?;
        component[at] = u.arbitrary()?;
    }
    Ok(component)
}

fn scan(binary: &[u8]) {
    let _ = ComponentInfo::of(binary).map(|info| (info.world().is_ok(), info.concurrent()));
    let Ok(instrumented) = instrument(binary) else {
        return;
    };
    let validated = |binary: &[u8]| {
        let mut validator = Validator::new_with_features(FEATURES);
        validator.validate_all(binary).map(drop)
    };
    // Bodies of functions are left to the compiler, which refuses the same.
    if let Err(error) = validated(&instrumented)
        && validated(binary).is_ok()
    {
        panic!("what is restored is not valid any more: {error}");
    }
}
