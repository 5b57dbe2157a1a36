//! This file has the allow-list of what code may consist of in an instance that is restored: WebAssembly features,
//! and operators that change nothing but the contents and the sizes of memories, numeric globals, locals, and the
//! flow of control.

use anyhow::{Result, bail};
use wasmparser::{HeapType, Operator, RefType, ValType, WasmFeatures};

/// Restored components may use these features. The engine that runs them has everything else turned off: a mistake in
/// the list of operators is an error of the compiler then, and no state that survives.
pub const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .difference(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::COMPONENT_MODEL)
    .union(WasmFeatures::CM_ASYNC);

/// All operators of these proposals are known. A test counts them, so that none joins them unnoticed.
const PROPOSALS: [&str; 6] = [
    "mvp",
    "sign_extension",
    "saturating_float_to_int",
    "simd",
    "relaxed_simd",
    "tail_call",
];

/// These are operators of other proposals. The operators on segments and tables that are missing here change them.
const SINGLE: [&str; 9] = [
    "MemoryInit",
    "MemoryCopy",
    "MemoryFill",
    "TypedSelect",
    "RefNull",
    "RefIsNull",
    "RefFunc",
    "TableGet",
    "TableSize",
];

const fn equal(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

const fn has(list: &[&str], name: &str) -> bool {
    let mut at = 0;
    while at < list.len() {
        if equal(list[at], name) {
            return true;
        }
        at += 1;
    }
    false
}

/// `OperatorInfo` says what is known of an operator.
struct OperatorInfo {
    proposal: &'static str,
    name: &'static str,
    restored: bool,
}

macro_rules! define_known {
    ($( @$proposal:ident $operator:ident $({ $($field:ident: $type:ty),* })? => $visit:ident ($($arity:tt)*) )*) => {
        fn known(operator: &Operator<'_>) -> OperatorInfo {
            match operator {
                $(
                    Operator::$operator { .. } => const {
                        let (proposal, name) = (stringify!($proposal), stringify!($operator));
                        let restored = has(&PROPOSALS, proposal) || has(&SINGLE, name);
                        OperatorInfo { proposal, name, restored }
                    },
                )*
                _ => OperatorInfo { proposal: "", name: "an operator", restored: false },
            }
        }

        /// Lists every operator there is, with its proposal.
        #[cfg(test)]
        const ALL: &[(&str, &str)] = &[$((stringify!($proposal), stringify!($operator))),*];
    };
}

wasmparser::for_each_operator!(define_known);

/// Says why an operator may leave state that is not restored.
pub fn validate(operator: &Operator<'_>) -> Result<()> {
    match operator {
        Operator::RefNull { hty } if *hty != HeapType::FUNC => bail!(REFERENCES),
        Operator::TypedSelect { ty } => value(*ty)?,
        _ => {}
    }
    let known = known(operator);
    if known.restored {
        return Ok(());
    }
    match (known.proposal, known.name) {
        (_, name) if name.starts_with("Table") => bail!("it changes its tables"),
        (_, "DataDrop" | "ElemDrop") => bail!("it drops its segments"),
        ("gc" | "custom_descriptors", _) => bail!("it has garbage-collected objects"),
        ("exceptions" | "legacy_exceptions", _) => bail!("it throws or catches exceptions"),
        ("threads" | "shared_everything_threads", _) => bail!("it uses atomic operations"),
        ("stack_switching", _) => bail!("it switches stacks"),
        (_, name) => bail!("it uses {name}, which is not known to leave no state"),
    }
}

const REFERENCES: &str = "it has references to other things than functions";

/// Refuses values that may refer to state.
pub fn value(ty: ValType) -> Result<()> {
    match ty {
        ValType::Ref(ty) if ty != RefType::FUNCREF => bail!(REFERENCES),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_operator_is_restored_that_nobody_has_looked_at() {
        let count = |proposal| ALL.iter().filter(|(of, _)| *of == proposal).count();
        assert_eq!(PROPOSALS.map(count), [172, 5, 8, 236, 20, 2]);
        for name in SINGLE {
            let of: Vec<_> = ALL.iter().filter(|(_, known)| *known == name).collect();
            assert_eq!(of.len(), 1, "{name}");
            assert!(
                matches!(of[0].0, "bulk_memory" | "reference_types"),
                "{name}"
            );
        }
    }

    #[test]
    fn what_changes_tables_segments_or_objects_is_not_restored() {
        for (operator, reason) in [
            (Operator::TableGrow { table: 0 }, "it changes its tables"),
            (
                Operator::ElemDrop { elem_index: 0 },
                "it drops its segments",
            ),
            (Operator::RefI31, "it has garbage-collected objects"),
            (Operator::ThrowRef, "it throws or catches exceptions"),
            (Operator::AtomicFence, "it uses atomic operations"),
            (
                Operator::CallRef { type_index: 0 },
                "it uses CallRef, which is not known to leave no state",
            ),
        ] {
            assert_eq!(validate(&operator).unwrap_err().to_string(), reason);
        }
        let null = |hty| validate(&Operator::RefNull { hty });
        assert!(null(HeapType::FUNC).is_ok());
        assert_eq!(null(HeapType::EXTERN).unwrap_err().to_string(), REFERENCES);
    }
}
