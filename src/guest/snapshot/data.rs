//! This file takes out of a component what its memories begin with. The code of what is left is the same for every
//! application of an interpreter, and is compiled once for all of them; the contents are in the snapshot. It has an
//! allow-list: nothing of the component may run while an instance is made, so that nobody sees the memories before
//! the snapshot is laid.

use super::instrument::{COMPONENT_MODULE, sections};
use anyhow::{Context, Result, bail, ensure};
use wasm_encoder::{Component, Module, RawSection};
use wasmparser::{
    BinaryReader, ConstExpr, Data, DataKind, DataSectionReader, ImportSectionReader, Instance,
    InstanceSectionReader, MemorySectionReader, Operator, TypeRef,
};

/// The sections have these numbers (WebAssembly core specification, section 5.5.2; component model, Binary.md).
const IMPORTS: u8 = 2;
const MEMORIES: u8 = 5;
const START: u8 = 8;
const DATA: u8 = 11;
const DATA_COUNT: u8 = 12;
const CORE_INSTANCES: u8 = 2;

const WASM_PAGE: u64 = 64 << 10;

/// A `Segment` is what a memory begins with, somewhere.
pub struct Segment<'a> {
    /// The memory has this number among those of an instance, in the order in which they are made.
    pub memory: usize,
    pub offset: usize,
    pub bytes: &'a [u8],
}

/// Splits a component into one without data, and the data; an error says why the parts are not known to be the same
/// as the whole.
pub fn take_out_data(binary: &[u8]) -> Result<(Vec<u8>, Vec<Segment<'_>>)> {
    let mut component = Component::new();
    let (mut modules, mut instances) = (Vec::new(), Vec::new());
    for section in sections(binary) {
        let (id, data) = section?;
        if id == COMPONENT_MODULE {
            let (module, without) = Memories::of(data)?;
            modules.push(module);
            component.section(&RawSection { id, data: &without });
            continue;
        }
        if id == CORE_INSTANCES {
            for instance in InstanceSectionReader::new(BinaryReader::new(data, 0))? {
                if let Instance::Instantiate { module_index, .. } = instance? {
                    instances.push(module_index);
                }
            }
        }
        component.section(&RawSection { id, data });
    }
    let segments = placed(&modules, &instances)?;
    Ok((component.finish(), segments))
}

/// Finds where the data of modules is, when these have been instantiated in this order.
fn placed<'a>(modules: &[Memories<'a>], instances: &[u32]) -> Result<Vec<Segment<'a>>> {
    let (mut segments, mut made) = (Vec::new(), 0);
    for module in instances {
        let module = modules.get(*module as usize);
        let module = module.context("it has modules from elsewhere")?;
        for (memory, offset, bytes) in &module.data {
            segments.push(Segment {
                memory: made + memory,
                offset: *offset,
                bytes,
            });
        }
        made += module.sizes.len();
    }
    Ok(segments)
}

/// `Memories` are those that a module has of its own.
#[derive(Default)]
struct Memories<'a> {
    imported: u32,
    /// The memories begin with this many bytes.
    sizes: Vec<u64>,
    /// Each piece of data is for a memory, counted from the module's first, and for a place in it.
    data: Vec<(usize, usize, &'a [u8])>,
}

impl<'a> Memories<'a> {
    /// Reads the memories of a module, and gives the module without its data.
    fn of(module: &'a [u8]) -> Result<(Memories<'a>, Vec<u8>)> {
        let mut memories = Memories::default();
        let mut without = Module::new();
        for section in sections(module) {
            let (id, data) = section?;
            let reader = BinaryReader::new(data, 0);
            match id {
                IMPORTS => {
                    for import in ImportSectionReader::new(reader)?.into_imports() {
                        memories.imported += u32::from(matches!(import?.ty, TypeRef::Memory(_)));
                    }
                }
                MEMORIES => {
                    for memory in MemorySectionReader::new(reader)? {
                        memories
                            .sizes
                            .push(memory?.initial.saturating_mul(WASM_PAGE));
                    }
                }
                START => bail!("it runs while an instance is made"),
                DATA => {
                    for data in DataSectionReader::new(reader)? {
                        memories.add(data?)?;
                    }
                    continue;
                }
                DATA_COUNT => continue,
                _ => {}
            }
            without.section(&RawSection { id, data });
        }
        Ok((memories, without.finish()))
    }

    /// Adds data that is in one of the module's own memories from the beginning.
    fn add(&mut self, data: Data<'a>) -> Result<()> {
        let DataKind::Active {
            memory_index,
            offset_expr,
        } = data.kind
        else {
            bail!("it has data that is copied later");
        };
        let memory = memory_index.checked_sub(self.imported);
        let memory = memory.context("it writes to a memory of another module")? as usize;
        let size = *self.sizes.get(memory).context("it has no such memory")?;
        let offset = number(&offset_expr)?;
        let fits = u64::from(offset) + data.data.len() as u64 <= size;
        ensure!(fits, "its data has no place in its memory");
        self.data.push((memory, offset as usize, data.data));
        Ok(())
    }
}

fn number(expression: &ConstExpr<'_>) -> Result<u32> {
    let mut operators = expression.get_operators_reader();
    let (first, second) = (operators.read()?, operators.read()?);
    match (first, second) {
        (Operator::I32Const { value }, Operator::End) => Ok(value.cast_unsigned()),
        _ => bail!("where its data is depends on something"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `Piece` is a segment: index of its memory, offset in it, and content.
    type Piece = (usize, usize, Vec<u8>);

    fn taken(modules: &str) -> Result<(Vec<u8>, Vec<Piece>)> {
        let binary = wat::parse_str(format!("(component {modules})")).unwrap();
        let (code, segments) = take_out_data(&binary)?;
        let segments = segments.into_iter();
        let segments = segments.map(|piece| (piece.memory, piece.offset, piece.bytes.to_vec()));
        Ok((code, segments.collect()))
    }

    #[test]
    fn applications_that_differ_in_their_data_have_the_same_code() {
        let with = |data: &str| {
            taken(&format!(
                "(core module $o (memory 1)) (core instance (instantiate $o))
                 (core module $m (memory 2) (memory 3) {data} (func (result i32) (i32.load (i32.const 0))))
                 (core instance (instantiate $m))"
            ))
        };
        let (one, first) = with("(data (memory 1) (i32.const 8) \"one\")").unwrap();
        let (two, second) = with("(data (i32.const 9) \"two\") (data (i32.const -65536) \"\")")
            .map_err(|error| error.to_string())
            .unwrap_or_default();
        assert!(two.is_empty() && second.is_empty());
        let (two, second) =
            with("(data (i32.const 9) \"two\") (data (i32.const 10) \"o\")").unwrap();
        assert_eq!(one, two);
        assert_eq!(first, [(2, 8, b"one".to_vec())]);
        assert_eq!(second, [(1, 9, b"two".to_vec()), (1, 10, b"o".to_vec())]);
        assert!(wasmparser::Validator::new().validate_all(&one).is_ok());
    }

    #[test]
    fn nothing_is_taken_out_that_somebody_could_miss() {
        for (module, said) in [
            ("(memory 1) (func) (start 0)", "runs while"),
            ("(memory 1) (data \"later\")", "copied later"),
            ("(memory 1) (data (i32.const 65535) \"ab\")", "no place"),
            ("(memory 1) (data (i32.const -1) \"a\")", "no place"),
            (
                "(import \"a\" \"m\" (memory 1)) (data (i32.const 0) \"a\")",
                "another module",
            ),
            (
                "(import \"a\" \"g\" (global i32)) (memory 1) (data (global.get 0) \"a\")",
                "depends",
            ),
        ] {
            let error = taken(&format!("(core module {module})")).unwrap_err();
            assert!(error.to_string().contains(said), "{module}: {error:#}");
        }
    }
}
