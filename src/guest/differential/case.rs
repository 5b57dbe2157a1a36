//! A `Case` is a component that is made up, in one of the shapes that there are: modules in the component itself or in
//! one inside it, instances that share memories, tables and globals, the shims of toolchains, and resources.

use super::modules::{BASE, Export, FILLER, HANDLES, Made, OBJECTS, SHIM, broken, primitive};
use super::probe::probe;
use crate::guest::Effort;
use arbitrary::{Result, Unstructured};
use wasm_encoder::{
    Alias, ComponentBuilder, ComponentExportKind, ComponentOuterAliasKind, ComponentTypeRef,
    ComponentValType, ExportKind, InstanceType, ModuleArg, PrimitiveValType as Primitive,
    TypeBounds, ValType,
};
use wasmtime::component::Val;

/// A component exports a function of this name, which gives the number of all state; one that is composed has another
/// for each part.
const PROBE: &str = "probe";

/// A component imports an instance of this name from the host, where it has a host.
pub const HOST: &str = "host";

/// A `Case` is a component, and what it is asked for.
pub struct Case {
    pub component: Vec<u8>,
    pub effort: Effort,
    /// The component is asynchronous.
    pub concurrent: bool,
    /// These functions give the number of all state.
    pub probes: Vec<String>,
    /// Each request makes these calls.
    pub requests: Vec<Vec<Call>>,
}

#[derive(Debug)]
pub struct Call {
    pub function: String,
    pub arguments: Vec<Val>,
    pub returns: bool,
}

/// A `Shape` says where the modules and their instances stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Plain,
    /// Modules and instances are in a component inside.
    Inner,
    /// Instances are in a component inside, which has its modules from the outer one.
    Alias,
}

/// A `Step` says what answers `step`.
#[derive(Clone, Copy)]
enum Step {
    Base,
    Shim,
    /// A module that takes and drops a handle to a resource of the component's own answers.
    Resource,
    /// A module that has handles to the host's resources answers.
    Host,
    /// A module that makes garbage-collected objects answers.
    Objects,
    /// A module that has streams, and sets of them, answers.
    Tasks,
}

/// No more functions than these are called.
const FUNCTIONS: usize = 12;

/// A `Part` is a component inside that stands by itself, with the names of what it exports.
struct Part {
    body: ComponentBuilder,
    names: Vec<String>,
    probe: String,
}

struct Shell {
    shape: Shape,
    outer: ComponentBuilder,
    /// Instances stand here, and modules too unless they come from outside.
    body: ComponentBuilder,
    /// These stand beside it.
    others: Vec<Part>,
    /// The first functions are of the parts before.
    first: usize,
    /// These functions have such names, parameters and results.
    functions: Vec<(String, Vec<Primitive>, Option<Primitive>)>,
    concurrent: bool,
}

impl Case {
    pub fn arbitrary(u: &mut Unstructured<'_>) -> Result<Case> {
        let shape = match u.int_in_range(0..=7)? {
            0 => Shape::Inner,
            1 => Shape::Alias,
            _ => Shape::Plain,
        };
        let mut shell = Shell {
            shape,
            outer: ComponentBuilder::default(),
            body: ComponentBuilder::default(),
            others: Vec::new(),
            first: 0,
            functions: Vec::new(),
            concurrent: false,
        };
        shell.fill(u)?;
        while shape == Shape::Inner && shell.others.len() < 2 && u.arbitrary()? {
            shell.part();
            shell.fill(u)?;
        }
        shell.part();
        let functions = std::mem::take(&mut shell.functions);
        let parts = std::mem::take(&mut shell.others);
        let probes = parts.iter().map(|part| part.probe.clone()).collect();
        // What is not asynchronous can be run either way.
        let concurrent = shell.concurrent || u.ratio(1, 4)?;
        let component = shell.finish(parts);
        let mut requests = Vec::new();
        for _ in 0..u.int_in_range(2..=6)? {
            let mut calls = Vec::new();
            for _ in 0..u.int_in_range(1..=4)? {
                let (name, parameters, result) = u.choose(&functions)?;
                let arguments = parameters.iter().map(|ty| value(*ty, u));
                calls.push(Call {
                    function: name.clone(),
                    arguments: arguments.collect::<Result<_>>()?,
                    returns: result.is_some(),
                });
            }
            requests.push(calls);
        }
        Ok(Case {
            component,
            effort: *u.choose(Effort::Little.or_better())?,
            concurrent,
            probes,
            requests,
        })
    }
}

fn value(ty: Primitive, u: &mut Unstructured<'_>) -> Result<Val> {
    Ok(match ty {
        Primitive::U32 => Val::U32(match u.arbitrary()? {
            true => u.int_in_range(0..=70_000)?,
            false => u.arbitrary()?,
        }),
        Primitive::U64 => Val::U64(u.arbitrary()?),
        Primitive::F32 => Val::Float32(u.arbitrary::<i16>()?.into()),
        _ => Val::Float64(u.arbitrary::<i32>()?.into()),
    })
}

impl Shell {
    fn fill(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let step = match u.int_in_range(0..=9)? {
            0 => Step::Resource,
            7 => Step::Objects,
            1 | 2 => Step::Shim,
            3 if self.shape == Shape::Plain => Step::Host,
            8 | 9 if self.shape == Shape::Plain => Step::Tasks,
            _ => Step::Base,
        };
        let base = Made::of_text(BASE).ok_or_else(broken)?;
        let module = self.module(&base.bytes);
        let base_instance = self.body.core_instantiate(None, module, []);
        let (environment, shim) = self.environment(base_instance, step)?;
        let mut made = vec![(base_instance, base)];
        for _ in 0..u.int_in_range(1..=2)? {
            let module = Made::arbitrary(u)?;
            let index = self.module(&module.bytes);
            let argument = [("env", ModuleArg::Instance(environment))];
            let instance = self.body.core_instantiate(None, index, argument);
            if u.ratio(1, 4)? {
                let again = self.body.core_instantiate(None, index, argument);
                self.lift(again, &module);
            }
            self.lift(instance, &module);
            made.push((instance, module));
        }
        if let Some(shim) = shim {
            self.fill_in(base_instance, shim)?;
        }
        self.lift(base_instance, &made[0].1);
        let seen = made
            .iter()
            .map(|(instance, made)| (instance.to_string(), made));
        let module = self.module(&probe(seen));
        let names: Vec<_> = made.iter().map(|(of, _)| (of.to_string(), *of)).collect();
        let arguments = names
            .iter()
            .map(|(name, of)| (name.as_str(), ModuleArg::Instance(*of)));
        let arguments: Vec<_> = arguments.collect();
        let instance = self.body.core_instantiate(None, module, arguments);
        let probe = self.probe();
        self.lift_one(instance, PROBE, &probe, vec![], Some(Primitive::U64));
        Ok(())
    }

    fn probe(&self) -> String {
        format!("{PROBE}{}", self.others.len())
    }

    /// Ends a part, and begins another.
    fn part(&mut self) {
        let (probe, functions) = (self.probe(), &self.functions[self.first..]);
        let names = functions.iter().map(|(name, ..)| name.clone());
        self.others.push(Part {
            names: names.chain([probe.clone()]).collect(),
            probe,
            body: std::mem::take(&mut self.body),
        });
        self.first = self.functions.len();
    }

    fn module(&mut self, bytes: &[u8]) -> u32 {
        if self.shape != Shape::Alias {
            return self.body.core_module_raw(None, bytes);
        }
        let index = self.outer.core_module_raw(None, bytes);
        self.body.alias(
            None,
            Alias::Outer {
                kind: ComponentOuterAliasKind::CoreModule,
                count: 1,
                index,
            },
        )
    }

    /// Makes what modules import, and the shim that has to be filled in where there is one.
    fn environment(&mut self, base: u32, step: Step) -> Result<(u32, Option<u32>)> {
        let mut items = Vec::new();
        for (name, kind) in [
            ("memory", ExportKind::Memory),
            ("table", ExportKind::Table),
            ("i32", ExportKind::Global),
            ("i64", ExportKind::Global),
            ("f64", ExportKind::Global),
        ] {
            let index = self.body.core_alias_export(None, base, name, kind);
            items.push((name, kind, index));
        }
        let mut shim = None;
        let function = match step {
            Step::Base => self
                .body
                .core_alias_export(None, base, "step", ExportKind::Func),
            Step::Shim => {
                let module = wat::parse_str(SHIM).map_err(|_| broken())?;
                let module = self.module(&module);
                let instance = self.body.core_instantiate(None, module, []);
                shim = Some(instance);
                self.body
                    .core_alias_export(None, instance, "0", ExportKind::Func)
            }
            Step::Resource => {
                let ty = self.body.type_resource(None, ValType::I32, None);
                self.body.resource_new(ty)
            }
            Step::Host => self.handles()?,
            Step::Tasks => {
                self.concurrent = true;
                // The memory comes first.
                let memory = items.first().map(|(.., index)| *index).ok_or_else(broken)?;
                let (instance, made) = super::tasks::instance(&mut self.body, memory)?;
                self.lift(instance, &made);
                self.body
                    .core_alias_export(None, instance, "step", ExportKind::Func)
            }
            Step::Objects => {
                let made = Made::of_text(OBJECTS).ok_or_else(broken)?;
                let module = self.module(&made.bytes);
                let instance = self.body.core_instantiate(None, module, []);
                self.lift(instance, &made);
                self.body
                    .core_alias_export(None, instance, "step", ExportKind::Func)
            }
        };
        items.push(("step", ExportKind::Func, function));
        Ok((self.body.core_instantiate_exports(None, items), shim))
    }

    /// Imports what makes handles to the host's resources.
    fn handles(&mut self) -> Result<u32> {
        let mut host = InstanceType::new();
        host.export("r", ComponentTypeRef::Type(TypeBounds::SubResource));
        host.ty().defined_type().own(0);
        let mut make = host.ty().function();
        make.params([("how", ComponentValType::from(Primitive::U32))]);
        make.result(Some(ComponentValType::Type(1)));
        host.export("make", ComponentTypeRef::Func(2));
        let body = &mut self.body;
        let ty = body.type_instance(None, &host);
        let host = body.import(HOST, ComponentTypeRef::Instance(ty));
        let resource = body.alias_export(host, "r", ComponentExportKind::Type);
        let make = body.alias_export(host, "make", ComponentExportKind::Func);
        let make = body.lower_func(None, make, []);
        let drop = body.resource_drop(resource);
        let items = [
            ("make", ExportKind::Func, make),
            ("drop", ExportKind::Func, drop),
        ];
        let items = body.core_instantiate_exports(None, items);
        let made = Made::of_text(HANDLES).ok_or_else(broken)?;
        let module = body.core_module_raw(None, &made.bytes);
        let instance = body.core_instantiate(None, module, [("", ModuleArg::Instance(items))]);
        self.lift(instance, &made);
        Ok(self
            .body
            .core_alias_export(None, instance, "step", ExportKind::Func))
    }

    fn fill_in(&mut self, base: u32, shim: u32) -> Result<()> {
        let step = self
            .body
            .core_alias_export(None, base, "step", ExportKind::Func);
        let table = self
            .body
            .core_alias_export(None, shim, "$imports", ExportKind::Table);
        let items = [
            ("0", ExportKind::Func, step),
            ("$imports", ExportKind::Table, table),
        ];
        let items = self.body.core_instantiate_exports(None, items);
        let module = wat::parse_str(FILLER).map_err(|_| broken())?;
        let module = self.module(&module);
        self.body
            .core_instantiate(None, module, [("", ModuleArg::Instance(items))]);
        Ok(())
    }

    /// Has the component export the functions that take and return numbers.
    fn lift(&mut self, instance: u32, made: &Made) {
        for (name, export) in &made.exports {
            let Export::Function(ty) = export else {
                continue;
            };
            let parameters: Option<Vec<_>> = ty.params().iter().map(primitive).collect();
            let results: Option<Vec<_>> = ty.results().iter().map(primitive).collect();
            let (Some(parameters), Some(results)) = (parameters, results) else {
                continue;
            };
            let room = self.functions.len() - self.first < FUNCTIONS;
            if room && parameters.len() <= 16 && results.len() <= 1 {
                let own = format!("f{}", self.functions.len());
                self.lift_one(
                    instance,
                    name,
                    &own,
                    parameters.clone(),
                    results.first().copied(),
                );
                self.functions
                    .push((own, parameters, results.first().copied()));
            }
        }
    }

    fn lift_one(
        &mut self,
        instance: u32,
        name: &str,
        own: &str,
        parameters: Vec<Primitive>,
        result: Option<Primitive>,
    ) {
        let core = self
            .body
            .core_alias_export(None, instance, name, ExportKind::Func);
        let (ty, mut encoder) = self.body.type_function(None);
        let names: Vec<_> = (0..parameters.len())
            .map(|number| format!("p{number}"))
            .collect();
        let parameters = names.iter().zip(parameters);
        let parameters = parameters.map(|(name, ty)| (name.as_str(), ComponentValType::from(ty)));
        encoder.params(parameters.collect::<Vec<_>>());
        encoder.result(result.map(ComponentValType::from));
        let lifted = self.body.lift_func(None, core, ty, []);
        self.body
            .export(own, ComponentExportKind::Func, lifted, None);
    }

    fn finish(mut self, parts: Vec<Part>) -> Vec<u8> {
        for Part { names, body, .. } in parts {
            if self.shape == Shape::Plain {
                return body.finish();
            }
            let inner = self.outer.component(None, body);
            let none: [(&str, ComponentExportKind, u32); 0] = [];
            let instance = self.outer.instantiate(None, inner, none);
            for name in &names {
                let kind = ComponentExportKind::Func;
                let function = self.outer.alias_export(instance, name, kind);
                self.outer.export(name, kind, function, None);
            }
        }
        self.outer.finish()
    }
}
