//! A component lifts functions of its core modules (canonical `lift`), and one of them answers requests.

use wasm_encoder::CanonicalOption;
use wasmparser::component_types::{ComponentDefinedType, ComponentValType};
use wasmparser::types::TypesRef;

/// A `Lift` makes a function of a core module one of the component's.
pub struct Lift {
    pub core_function: u32,
    pub ty: u32,
    pub options: Vec<CanonicalOption>,
}

/// Returns the options of the synchronous calling convention over linear memory, or `None` where another is used.
pub fn known_options(options: &[wasmparser::CanonicalOption]) -> Option<Vec<CanonicalOption>> {
    use wasmparser::CanonicalOption as Read;
    let option = |option: &Read| {
        Some(match *option {
            Read::UTF8 => CanonicalOption::UTF8,
            Read::UTF16 => CanonicalOption::UTF16,
            Read::CompactUTF16 => CanonicalOption::CompactUTF16,
            Read::Memory(index) => CanonicalOption::Memory(index),
            Read::Realloc(index) => CanonicalOption::Realloc(index),
            Read::PostReturn(index) => CanonicalOption::PostReturn(index),
            Read::Async | Read::Callback(_) | Read::CoreType(_) | Read::Gc => return None,
        })
    };
    options.iter().map(option).collect()
}

impl Lift {
    /// Says whether the function has the type of `handle` in `wasi:http/incoming-handler@0.2`, which next to nothing
    /// else has.
    pub fn takes_two_handles(&self, types: TypesRef<'_>) -> bool {
        let function = &types[types.component_any_type_at(self.ty).unwrap_func()];
        let is_handle = |ty: &ComponentValType| match ty {
            ComponentValType::Type(id) => matches!(types[*id], ComponentDefinedType::Own(_)),
            ComponentValType::Primitive(_) => false,
        };
        let parameters = function.params.iter();
        function.params.len() == 2
            && function.result.is_none()
            && parameters.map(|(_, ty)| ty).all(is_handle)
    }
}
