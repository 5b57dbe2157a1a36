//! What state a component has, and whether all of it can be put back.

use anyhow::{Context, Result, bail, ensure};
use wasm_encoder::ValType;
use wasmparser::{
    ComponentType, ComponentTypeRef, Instance, Operator, Parser, Payload, TypeRef, Validator,
    WasmFeatures,
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
    pub counts: Counts,
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
        Ok(())
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
