//! A component lifts functions of its core modules (canonical `lift`), and one of them answers requests.

use crate::guest::component::info::World;
use wasm_encoder::CanonicalOption;
use wasmparser::component_types::{ComponentDefinedType, ComponentValType};
use wasmparser::types::TypesRef;

/// A `Lift` makes a function of a core module one of the component's.
pub struct Lift {
    pub core_function: u32,
    pub ty: u32,
    pub options: Vec<CanonicalOption>,
}

/// Returns the options of a calling convention over linear memory, or `None` where another is used.
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
            Read::Async => CanonicalOption::Async,
            Read::Callback(index) => CanonicalOption::Callback(index),
            Read::CoreType(_) | Read::Gc => return None,
        })
    };
    options.iter().map(option).collect()
}

impl Lift {
    /// Says which version of WASI HTTP has a handler of this type, which next to nothing else has: `handle` of
    /// `wasi:http/incoming-handler@0.2` takes two handles, and that of `wasi:http/handler@0.3` takes one and gives one
    /// or an error.
    fn world(&self, types: TypesRef<'_>) -> Option<World> {
        let function = &types[types.component_any_type_at(self.ty).unwrap_func()];
        let mut parameters = function.params.iter().map(|(_, ty)| *ty);
        if !parameters.all(|ty| is_handle(types, ty)) {
            return None;
        }
        match (function.params.len(), function.result) {
            (2, None) => Some(World::P2),
            (1, Some(result)) if function.async_ && gives_handle(types, result) => Some(World::P3),
            _ => None,
        }
    }
}

fn is_handle(types: TypesRef<'_>, ty: ComponentValType) -> bool {
    match ty {
        ComponentValType::Type(id) => matches!(types[id], ComponentDefinedType::Own(_)),
        ComponentValType::Primitive(_) => false,
    }
}

fn gives_handle(types: TypesRef<'_>, ty: ComponentValType) -> bool {
    let ComponentValType::Type(id) = ty else {
        return false;
    };
    match types[id] {
        ComponentDefinedType::Result {
            ok: Some(ok), err, ..
        } => is_handle(types, ok) && err.is_some(),
        _ => false,
    }
}

/// A `Handler` is a function that answers requests of this version of WASI HTTP.
pub struct Handler {
    pub lift: Lift,
    pub world: World,
}

/// An `Ending` says how it can be seen that a handler has come to its end: nothing of the guest runs after that, and no
/// handle of the guest's is still to be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Returns,
    /// The engine calls this function for each event, and the handler says after each whether it has ended.
    Exits {
        callback: u32,
    },
    Unknown,
}

impl Handler {
    pub fn ending(&self) -> Ending {
        let options = &self.lift.options;
        let callback = options.iter().find_map(|option| match option {
            CanonicalOption::Callback(callback) => Some(*callback),
            _ => None,
        });
        let is_async = options.contains(&CanonicalOption::Async);
        let cleans_up = |option: &_| matches!(option, CanonicalOption::PostReturn(_));
        match (self.world, callback) {
            (World::P2, None) if !is_async && !options.iter().any(cleans_up) => Ending::Returns,
            (World::P3, Some(callback)) if is_async => Ending::Exits { callback },
            _ => Ending::Unknown,
        }
    }

    /// Returns the options of the handler, but with this callback where it has one.
    pub fn options_with(&self, callback: u32) -> Vec<CanonicalOption> {
        let options = self.lift.options.iter();
        let options = options.map(|option| match option {
            CanonicalOption::Callback(_) => CanonicalOption::Callback(callback),
            option => *option,
        });
        options.collect()
    }

    /// Finds the handler where it is clear which it is. A component that has one of each version is served in the later
    /// one.
    pub fn among(lifts: Vec<Lift>, types: TypesRef<'_>) -> Option<Handler> {
        let lifts = lifts.into_iter();
        let handlers = lifts.filter_map(|lift| {
            let world = lift.world(types)?;
            Some(Handler { lift, world })
        });
        let (later, earlier): (Vec<_>, Vec<_>) =
            handlers.partition(|handler| handler.world == World::P3);
        let mut handlers = [later, earlier].into_iter().find(|of| !of.is_empty())?;
        handlers.pop().filter(|_| handlers.is_empty())
    }
}
