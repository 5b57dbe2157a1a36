//! What state a component has, and whether all of it can be put back.

use anyhow::{Context, Result, bail, ensure};
use wasm_encoder::{CanonicalOption, ValType};
use wasmparser::component_types::{ComponentDefinedType, ComponentValType};
use wasmparser::types::TypesRef;
use wasmparser::{
    CanonicalFunction, ComponentType, ComponentTypeRef, Instance, Operator, Parser, Payload,
    TypeRef, Validator, WasmFeatures,
};

/// The state of a core module that is not in its memories, and the memories.
#[derive(Default)]
pub struct State {
    /// Mutable globals that it defines, by their index.
    pub globals: Vec<(u32, ValType)>,
    /// Memories that it defines, each with whether its addresses have 64 bits.
    pub memories: Vec<(u32, bool)>,
    pub imported_globals: u32,
    pub imported_memories: u32,
}

/// What there is in a component.
#[derive(Default)]
pub struct Survey {
    pub modules: Vec<State>,
    /// The module that each core instance is made of, where it is made of one.
    pub instances: Vec<Option<u32>>,
    /// What answers requests, where that is clear.
    pub handle: Option<Lift>,
    lifts: Vec<Lift>,
    pub counts: Counts,
}

/// A function of a core module as one of the component's.
pub struct Lift {
    pub core_function: u32,
    pub ty: u32,
    pub options: Vec<CanonicalOption>,
}

/// How many there are of what is referred to by number.
#[derive(Default)]
pub struct Counts {
    pub core_functions: u32,
    pub functions: u32,
    pub types: u32,
}

impl Survey {
    pub fn of(binary: &[u8]) -> Result<Survey> {
        let mut survey = Survey::default();
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        // Whether each of the parsers that are open reads a component.
        let mut open = vec![true];
        for payload in Parser::new(0).parse_all(binary) {
            let payload = payload?;
            if matches!(payload, Payload::End(_)) {
                if open.len() == 1 {
                    survey.count(&validator)?;
                }
                open.pop();
            }
            validator.payload(&payload)?;
            match payload {
                Payload::ModuleSection { .. } => {
                    ensure!(open.len() == 1, "it has components with modules inside");
                    open.push(false);
                    survey.modules.push(State::default());
                }
                Payload::ComponentSection { .. } => open.push(true),
                payload if open.last() == Some(&false) => {
                    let state = survey.modules.last_mut();
                    state.context("a module was not seen")?.read(payload)?;
                }
                payload if open.len() == 1 => survey.read(payload)?,
                _ => {}
            }
        }
        Ok(survey)
    }

    fn read(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    let code = matches!(
                        import?.ty,
                        ComponentTypeRef::Module(_) | ComponentTypeRef::Component(_)
                    );
                    ensure!(!code, "it imports code");
                }
            }
            Payload::ComponentTypeSection(types) => {
                for ty in types {
                    // Handles to them are neither in its memories nor among the host's resources.
                    let resource = matches!(ty?, ComponentType::Resource { .. });
                    ensure!(!resource, "it has resources of its own");
                }
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    self.instances.push(match instance? {
                        Instance::Instantiate { module_index, .. } => Some(module_index),
                        Instance::FromExports(_) => None,
                    });
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions {
                    self.lifts.extend(Lift::read(function?));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, validator: &Validator) -> Result<()> {
        let types = validator.types(0).context("nothing is known of it")?;
        let modules = types.module_count() as usize;
        ensure!(
            modules == self.modules.len(),
            "it has modules from elsewhere"
        );
        self.counts = Counts {
            core_functions: types.function_count(),
            functions: types.component_function_count(),
            types: types.component_type_count(),
        };
        let lifts = std::mem::take(&mut self.lifts).into_iter();
        let mut handles = lifts.filter(|lift| lift.takes_two_handles(types));
        self.handle = handles.next().filter(|_| handles.next().is_none());
        Ok(())
    }
}

impl Lift {
    /// None where it is none, or one of another kind than guests of WASI 0.2 have.
    fn read(function: CanonicalFunction) -> Option<Lift> {
        let CanonicalFunction::Lift {
            core_func_index,
            type_index,
            options,
        } = function
        else {
            return None;
        };
        let option = |option: &wasmparser::CanonicalOption| {
            Some(match *option {
                wasmparser::CanonicalOption::UTF8 => CanonicalOption::UTF8,
                wasmparser::CanonicalOption::UTF16 => CanonicalOption::UTF16,
                wasmparser::CanonicalOption::CompactUTF16 => CanonicalOption::CompactUTF16,
                wasmparser::CanonicalOption::Memory(index) => CanonicalOption::Memory(index),
                wasmparser::CanonicalOption::Realloc(index) => CanonicalOption::Realloc(index),
                wasmparser::CanonicalOption::PostReturn(index) => {
                    CanonicalOption::PostReturn(index)
                }
                _ => return None,
            })
        };
        Some(Lift {
            core_function: core_func_index,
            ty: type_index,
            options: options.iter().map(option).collect::<Option<_>>()?,
        })
    }

    /// As `handle` of `wasi:http/incoming-handler@0.2` does, and next to nothing else.
    fn takes_two_handles(&self, types: TypesRef<'_>) -> bool {
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

impl State {
    fn read(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    match import?.ty {
                        TypeRef::Global(_) => self.imported_globals += 1,
                        TypeRef::Memory(_) => self.imported_memories += 1,
                        _ => {}
                    }
                }
            }
            Payload::GlobalSection(globals) => {
                for (number, global) in (self.imported_globals..).zip(globals) {
                    let ty = global?.ty;
                    if ty.mutable {
                        self.globals.push((number, number_type(ty.content_type)?));
                    }
                }
            }
            Payload::MemorySection(memories) => {
                for (number, memory) in (self.imported_memories..).zip(memories) {
                    let memory = memory?;
                    ensure!(!memory.shared, "it shares memory");
                    ensure!(
                        memory.page_size_log2.is_none(),
                        "its pages are of another size"
                    );
                    self.memories.push((number, memory.memory64));
                }
            }
            // Known before it is compiled for nothing: Go's runtime asks for the time and more.
            Payload::CustomSection(section) if section.name() == "go:buildid" => {
                bail!("Go asks the host for something while an instance is made")
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader()? {
                    judge(&operator?)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// State that is neither in memories nor in globals cannot be put back.
fn judge(operator: &Operator<'_>) -> Result<()> {
    match operator {
        Operator::TableSet { .. }
        | Operator::TableGrow { .. }
        | Operator::TableFill { .. }
        | Operator::TableCopy { .. }
        | Operator::TableInit { .. } => bail!("it changes its tables"),
        Operator::DataDrop { .. } | Operator::ElemDrop { .. } => bail!("it drops its segments"),
        _ => Ok(()),
    }
}

fn number_type(ty: wasmparser::ValType) -> Result<ValType> {
    Ok(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        _ => bail!("it has globals that are no numbers"),
    })
}
