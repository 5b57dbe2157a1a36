//! `Imports` are the interfaces that a component imports, as their types have them: what each exports, and which others
//! it uses.

use anyhow::{Result, bail, ensure};
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentType, InstanceTypeDeclaration, Parser, Payload,
};

/// What uses what is followed from one to the next, so that there must not be many.
const MOST: usize = 1000;

/// An `Imported` interface is one that a component imports.
pub struct Imported<'a> {
    pub name: &'a str,
    pub declarations: Box<[InstanceTypeDeclaration<'a>]>,
}

/// `Imports` are what a component imports.
pub struct Imports<'a> {
    pub interfaces: Vec<Imported<'a>>,
    /// The types that the component has outside of its interfaces, by their numbers.
    types: Vec<OwnType<'a>>,
}

enum OwnType<'a> {
    Interface(Box<[InstanceTypeDeclaration<'a>]>),
    /// The type is one that an interface of this number exports by this name.
    Of(usize, &'a str),
    Other,
}

/// A `Member` is what an interface exports.
pub enum Member<'a> {
    /// The type is that of another interface, which exports it by this name.
    TypeOf(usize, &'a str),
    Type,
    Function,
}

impl<'a> Imports<'a> {
    /// Reads the imports of a component, or of one that has the same imports and nothing else.
    pub fn of(importer: &'a [u8]) -> Result<Imports<'a>> {
        let mut imports = Imports {
            interfaces: Vec::new(),
            types: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(importer) {
            imports.read(payload?)?;
        }
        ensure!(
            imports.interfaces.len() <= MOST,
            "it imports more than {MOST} interfaces"
        );
        Ok(imports)
    }

    fn read(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::ComponentTypeSection(types) => {
                for ty in types {
                    self.types.push(match ty? {
                        ComponentType::Instance(declarations) => OwnType::Interface(declarations),
                        _ => OwnType::Other,
                    });
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    match alias? {
                        ComponentAlias::InstanceExport {
                            kind: ComponentExternalKind::Type,
                            instance_index,
                            name,
                        } => self.types.push(OwnType::Of(instance_index as usize, name)),
                        // Functions are its own concern.
                        ComponentAlias::InstanceExport {
                            kind: ComponentExternalKind::Func,
                            ..
                        } => {}
                        _ => bail!("what it imports depends on more than the types of interfaces"),
                    }
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    let import = import?;
                    let name = import.name.name;
                    let wasmparser::ComponentTypeRef::Instance(ty) = import.ty else {
                        bail!("its import `{name}` is no interface");
                    };
                    let Some(OwnType::Interface(declarations)) = self.types.get(ty as usize) else {
                        bail!("the type of its import `{name}` is not known");
                    };
                    let declarations = declarations.clone();
                    self.interfaces.push(Imported { name, declarations });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Finds whose type this number stands for.
    fn origin(&self, index: u32) -> Result<(usize, &'a str)> {
        match self.types.get(index as usize) {
            Some(OwnType::Of(interface, name)) if *interface < self.interfaces.len() => {
                Ok((*interface, name))
            }
            _ => bail!("an interface that it imports has types that are no interface's"),
        }
    }

    /// Finds whose type an alias in an interface stands for.
    pub fn aliased(&self, alias: &ComponentAlias<'_>) -> Result<(usize, &'a str)> {
        match alias {
            ComponentAlias::Outer {
                kind: wasmparser::ComponentOuterAliasKind::Type,
                count: 1,
                index,
            } => self.origin(*index),
            _ => bail!("an interface that it imports refers to more than types"),
        }
    }

    /// Lists what an interface exports.
    pub fn members(&self, interface: &Imported<'a>) -> Result<Vec<(&'a str, Member<'a>)>> {
        let mut members = Vec::new();
        let mut types = Vec::new();
        for declaration in &interface.declarations {
            match declaration {
                InstanceTypeDeclaration::Alias(alias) => types.push(Some(self.aliased(alias)?)),
                InstanceTypeDeclaration::Export { name, ty } => match ty {
                    wasmparser::ComponentTypeRef::Type(wasmparser::TypeBounds::Eq(index)) => {
                        let origin = types.get(*index as usize).copied().flatten();
                        let origin = origin.map(|(of, name)| Member::TypeOf(of, name));
                        members.push((name.name, origin.unwrap_or(Member::Type)));
                        types.push(None);
                    }
                    wasmparser::ComponentTypeRef::Type(_) => {
                        members.push((name.name, Member::Type));
                        types.push(None);
                    }
                    _ => members.push((name.name, Member::Function)),
                },
                _ => types.push(None),
            }
        }
        Ok(members)
    }

    /// Lists the interfaces whose types this one uses.
    pub fn used(&self, interface: &Imported<'a>) -> Result<Vec<usize>> {
        let aliases = interface.declarations.iter().filter_map(|it| match it {
            InstanceTypeDeclaration::Alias(alias) => Some(alias),
            _ => None,
        });
        aliases.map(|alias| Ok(self.aliased(alias)?.0)).collect()
    }
}

/// Names what versions of an interface that satisfy each other have in common.
pub fn track(name: &str) -> String {
    let Some((base, version)) = name.split_once('@') else {
        return name.to_owned();
    };
    let mut numbers = version.split('.');
    match (numbers.next(), numbers.next()) {
        // Before a release nothing is promised.
        _ if version.contains('-') => name.to_owned(),
        (Some("0"), Some("0")) => name.to_owned(),
        (Some("0"), Some(minor)) => format!("{base}@0.{minor}"),
        (Some(major), Some(_)) => format!("{base}@{major}"),
        _ => name.to_owned(),
    }
}

/// Reads the numbers of a version, so that the newer is the larger.
pub fn version(name: &str) -> Vec<u64> {
    let version = name.split_once('@').map_or("", |(_, version)| version);
    let version = version.split('+').next().unwrap_or_default();
    version.split('.').map_while(|it| it.parse().ok()).collect()
}
