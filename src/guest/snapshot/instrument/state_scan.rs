//! A `StateScan` finds the state of a component, and says whether all of it can be restored: it has an allow-list of
//! what may stand in the component itself, and in components inside it. Those may describe types and pass functions
//! on, and have no code, no instances of modules and no resources: state of theirs would be out of reach.

use super::OWN;
use super::lift::{Handler, Lift, known_options};
use super::module::ModuleState;
use super::operators::FEATURES;
use super::standing_types::{Finder, StandingTypes};
use anyhow::{Context, Result, bail, ensure};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind,
    ComponentType, ComponentTypeRef, Instance, Parser, Payload, Validator,
};

/// A `StateScan` is what there is in a component.
#[derive(Default)]
pub struct StateScan {
    pub modules: Vec<ModuleState>,
    /// Each core instance is made of this module, where it is made of one.
    pub instances: Vec<Option<u32>>,
    /// This function answers requests, where that is clear.
    pub handle: Option<Handler>,
    /// What modules run when they are instantiated asks the host for something, and is run later.
    pub defers: bool,
    /// The component imports the types of streams.
    pub streams: StandingTypes,
    finder: Finder,
    lifts: Vec<Lift>,
    pub counts: StateCounts,
}

/// `StateCounts` has the number of what is referred to by index.
#[derive(Default)]
pub struct StateCounts {
    pub core_functions: u32,
    pub functions: u32,
    pub types: u32,
}

/// The scan reads one of these.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Outermost,
    /// The scan reads a component in a component.
    Inner,
    Module,
}

impl StateScan {
    pub fn of(binary: &[u8]) -> Result<StateScan> {
        let mut scan = StateScan::default();
        let mut validator = Validator::new_with_features(FEATURES);
        let mut open = vec![Level::Outermost];
        for payload in Parser::new(0).parse_all(binary) {
            let payload = payload?;
            let level = *open.last().context("it goes on behind its end")?;
            match level {
                Level::Module => {
                    let state = scan.modules.last_mut();
                    state.context("a module was not seen")?.read(&payload)?;
                }
                Level::Inner => inner(&payload)?,
                Level::Outermost => scan.read(&payload)?,
            }
            match payload {
                Payload::ModuleSection { .. } => {
                    open.push(Level::Module);
                    scan.modules.push(ModuleState::default());
                }
                Payload::ComponentSection { .. } => open.push(Level::Inner),
                Payload::End(_) => {
                    if level == Level::Outermost {
                        scan.count(&validator)?;
                    }
                    open.pop();
                }
                _ => {}
            }
            validator
                .payload(&payload)
                .map_err(|error| anyhow::anyhow!("{}", error.message()))
                .context("it uses what cannot be restored")?;
        }
        Ok(scan)
    }

    fn read(&mut self, payload: &Payload<'_>) -> Result<()> {
        self.finder.read(payload)?;
        match payload {
            Payload::ModuleSection { .. } => {}
            Payload::InstanceSection(instances) => {
                for instance in instances.clone() {
                    self.instances.push(match instance? {
                        Instance::Instantiate { module_index, .. } => Some(module_index),
                        Instance::FromExports(_) => None,
                    });
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions.clone() {
                    self.canonical(function?)?;
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports.clone() {
                    let is_ours = OWN.contains(&export?.name.name);
                    ensure!(!is_ours, "it has exports of the names that are added here");
                }
            }
            payload => anywhere(payload)?,
        }
        Ok(())
    }

    /// Accepts built-in functions that leave nothing in an instance but handles: to the host's resources, which are new
    /// for each request, and to tasks, streams, futures and sets of them, of which none is left where an instance is
    /// used again (`leftovers`). What a task keeps by `context.set` ends with it.
    fn canonical(&mut self, function: CanonicalFunction) -> Result<()> {
        const OBJECTS: &str = "it has functions whose values are objects";
        match function {
            CanonicalFunction::Lift {
                core_func_index,
                type_index,
                options,
            } => self.lifts.push(Lift {
                core_function: core_func_index,
                ty: type_index,
                options: known_options(&options).context(OBJECTS)?,
            }),
            CanonicalFunction::Lower { options, .. } => {
                known_options(&options).context(OBJECTS)?;
            }
            CanonicalFunction::ResourceDrop { .. }
            | CanonicalFunction::TaskReturn { .. }
            | CanonicalFunction::TaskCancel
            | CanonicalFunction::ContextGet { .. }
            | CanonicalFunction::ContextSet { .. }
            | CanonicalFunction::ThreadYield { .. }
            | CanonicalFunction::SubtaskDrop
            | CanonicalFunction::SubtaskCancel { .. }
            | CanonicalFunction::StreamNew { .. }
            | CanonicalFunction::StreamRead { .. }
            | CanonicalFunction::StreamWrite { .. }
            | CanonicalFunction::StreamCancelRead { .. }
            | CanonicalFunction::StreamCancelWrite { .. }
            | CanonicalFunction::StreamDropReadable { .. }
            | CanonicalFunction::StreamDropWritable { .. }
            | CanonicalFunction::FutureNew { .. }
            | CanonicalFunction::FutureRead { .. }
            | CanonicalFunction::FutureWrite { .. }
            | CanonicalFunction::FutureCancelRead { .. }
            | CanonicalFunction::FutureCancelWrite { .. }
            | CanonicalFunction::FutureDropReadable { .. }
            | CanonicalFunction::FutureDropWritable { .. }
            | CanonicalFunction::WaitableSetNew
            | CanonicalFunction::WaitableSetWait { .. }
            | CanonicalFunction::WaitableSetPoll { .. }
            | CanonicalFunction::WaitableSetDrop
            | CanonicalFunction::WaitableJoin => {}
            other => {
                let name = format!("{other:?}");
                let name = name.split([' ', '{']).next().unwrap_or_default();
                bail!("it uses the built-in function {name}, which is not known to leave no state")
            }
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
        self.counts = StateCounts {
            core_functions: types.function_count(),
            functions: types.component_function_count(),
            types: types.component_type_count(),
        };
        self.defers = self.modules.iter().any(|module| module.is_go);
        if self.defers {
            self.check_order()?;
        }
        self.streams = self.finder.found(types);
        self.handle = Handler::among(std::mem::take(&mut self.lifts), types);
        Ok(())
    }
}

impl StateScan {
    /// Says whether all else is in place before the first module runs something: then nothing is lost if that is run
    /// when an instance is whole.
    fn check_order(&self) -> Result<()> {
        let modules = self.instances.iter().flatten();
        let modules = modules.filter_map(|module| self.modules.get(*module as usize));
        let mut later = modules.skip_while(|module| module.start.is_none());
        let alone = |module: &ModuleState| module.start.is_some() && !module.has_own;
        let in_place = match later.next() {
            Some(_) => later.all(alone),
            None => true,
        };
        ensure!(
            in_place,
            "Go asks the host for something while an instance is made"
        );
        Ok(())
    }
}

/// Accepts what a component inside another may have.
pub fn inner(payload: &Payload<'_>) -> Result<()> {
    match payload {
        Payload::ModuleSection { .. } => bail!("it has components with modules inside"),
        Payload::InstanceSection(_) => bail!("it has components with instances of modules inside"),
        Payload::ComponentCanonicalSection(_) => {
            bail!("it has components with functions of their own inside")
        }
        Payload::ComponentExportSection(_) => Ok(()),
        payload => anywhere(payload),
    }
}

/// Accepts what a component may have wherever it stands.
pub fn anywhere(payload: &Payload<'_>) -> Result<()> {
    match payload {
        Payload::Version { .. }
        | Payload::CoreTypeSection(_)
        | Payload::ComponentSection { .. }
        | Payload::ComponentInstanceSection(_)
        | Payload::CustomSection(_)
        | Payload::End(_) => {}
        Payload::ComponentImportSection(imports) => {
            for import in imports.clone() {
                match import?.ty {
                    ComponentTypeRef::Func(_)
                    | ComponentTypeRef::Type(_)
                    | ComponentTypeRef::Instance(_) => {}
                    ComponentTypeRef::Module(_) | ComponentTypeRef::Component(_) => {
                        bail!("it imports code, or has components inside that do")
                    }
                    ComponentTypeRef::Value(_) => bail!("it imports values"),
                }
            }
        }
        Payload::ComponentTypeSection(types) => {
            for ty in types.clone() {
                // Handles to them are neither in its memories nor among the host's resources.
                let resource = matches!(ty?, ComponentType::Resource { .. });
                ensure!(!resource, "it has resources of its own");
            }
        }
        Payload::ComponentAliasSection(aliases) => {
            for alias in aliases.clone() {
                let code = match alias? {
                    ComponentAlias::InstanceExport { kind, .. } => matches!(
                        kind,
                        ComponentExternalKind::Module | ComponentExternalKind::Component
                    ),
                    ComponentAlias::CoreInstanceExport { .. } => false,
                    ComponentAlias::Outer { kind, .. } => matches!(
                        kind,
                        ComponentOuterAliasKind::CoreModule | ComponentOuterAliasKind::Component
                    ),
                };
                ensure!(!code, "it has code from elsewhere");
            }
        }
        _ => bail!("it has a section that is not known here"),
    }
    Ok(())
}
