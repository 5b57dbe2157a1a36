//! This file rewrites a component so that its instances can be restored: every core module exports the state that it
//! has besides the contents of its memories, and one more module, which knows nothing else, saves that state and
//! restores it.
//!
//! Sections are copied as they are, and not through wasm-encoder's `reencode`: nothing but exports is added, so that
//! no index changes, and code that is not touched cannot be changed by mistake.

mod answering;
mod composed;
mod handles;
mod lift;
mod module;
mod operators;
mod saving;
mod standing_types;
mod state_access;
mod state_module;
mod state_scan;
#[cfg(test)]
mod tests;

pub use composed::MOST_PARTS;
pub use operators::FEATURES;

use anyhow::{Context, Result, bail};
use module::ModuleState;
use state_scan::StateScan;
use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{BinaryReader, ExportSectionReader};

/// The component exports a function that saves the state once, and one that restores it.
pub const SAVE: &str = "wasmserve-save";
pub const RESTORE: &str = "wasmserve-restore";
/// The component exports a function after which the engine gives out handle numbers from the first again, but for
/// those that are to stay, which are the bits of a number.
pub const ORDER: &str = "wasmserve-order";
/// The component exports a function that takes the next handle number, and one that gives one up.
pub const TAKE: &str = "wasmserve-take";
pub const GIVE: &str = "wasmserve-give";
/// The component exports functions that take over a standard stream or the network, and keep it open, and that
/// close one.
pub const ADOPT: [&str; 4] = [
    "wasmserve-adopt-stdout",
    "wasmserve-adopt-stderr",
    "wasmserve-adopt-stdin",
    "wasmserve-adopt-network",
];
pub const CLOSE: [&str; 4] = [
    "wasmserve-close-stdout",
    "wasmserve-close-stderr",
    "wasmserve-close-stdin",
    "wasmserve-close-network",
];
/// The component exports a function that restores the state and answers a request, by one of these names. By the second
/// it also has the engine give out handle numbers in order afterwards: those that it was told to expect, which are the
/// bits of a number, by a further function. Where one of them is not free it does so no more, and traps when it is
/// called again, until all have been put in order.
pub const HANDLE: &str = "wasmserve-handle";
pub const HANDLE_IN_ORDER: &str = "wasmserve-handle-in-order";
pub const EXPECT: &str = "wasmserve-expect";
/// The component exports functions that read a number of its state as it is now, and that write one into what was
/// saved. Reading this number counts them.
pub const READ: &str = "wasmserve-read";
pub const WRITE: &str = "wasmserve-write";
pub const COUNT: u32 = u32::MAX;
/// The component exports a function that has the C library forget which directories it was given: it asks for them
/// anew when it needs them.
pub const RELEASE: &str = "wasmserve-release";
/// These are all the names.
pub const OWN: [&str; 19] = [
    SAVE,
    RESTORE,
    ORDER,
    HANDLE,
    HANDLE_IN_ORDER,
    EXPECT,
    READ,
    WRITE,
    RELEASE,
    TAKE,
    GIVE,
    ADOPT[0],
    ADOPT[1],
    ADOPT[2],
    ADOPT[3],
    CLOSE[0],
    CLOSE[1],
    CLOSE[2],
    CLOSE[3],
];

/// wasi-libc exports this function where it is a module of its own (libc-bottom-half/sources/preopens.c).
const FORGET: &str = "__wasilibc_reset_preopens";

/// The sections have these numbers (WebAssembly core specification, section 5.5.2; component model, Binary.md).
const MODULE_EXPORTS: u8 = 7;
const MODULE_START: u8 = 8;
/// These sections come after the exports, the code among them.
const AFTER_EXPORTS: [u8; 5] = [8, 9, 12, 10, 11];
pub const COMPONENT_MODULE: u8 = 1;

/// Names what is exported of a part of a composed component.
pub fn part_name(own: &str, part: usize) -> String {
    format!("{own}-p{part}")
}

/// Adds to a component what restores its instances; an error says why that cannot be.
pub fn instrument(binary: &[u8]) -> Result<Vec<u8>> {
    match composed::instrument(binary)? {
        Some(composed) => Ok(composed),
        None => instrument_part(binary),
    }
}

/// Adds it to a component that has no others with code inside.
fn instrument_part(binary: &[u8]) -> Result<Vec<u8>> {
    let scan = StateScan::of(binary)?;
    let mut component = wasm_encoder::Component::new();
    let mut modules = scan.modules.iter();
    for section in sections(binary) {
        let (id, data) = section?;
        if id == COMPONENT_MODULE {
            let state = modules.next().context("a module was not seen")?;
            let data = state.exported(data, scan.defers)?;
            component.section(&RawSection { id, data: &data });
        } else {
            component.section(&RawSection { id, data });
        }
    }
    scan.append_state_module(&mut component);
    Ok(component.finish())
}

/// Splits what is behind the header into sections, which modules and components have alike.
pub fn sections(binary: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8])>> {
    const HEADER: usize = 8;
    let mut reader = BinaryReader::new(binary.get(HEADER..).unwrap_or_default(), HEADER);
    std::iter::from_fn(move || {
        if reader.eof() {
            return None;
        }
        let section = reader.read_u8().and_then(|id| {
            let length = reader.read_var_u32()? as usize;
            Ok((id, reader.read_bytes(length)?))
        });
        Some(section.map_err(anyhow::Error::from))
    })
}

impl ModuleState {
    /// Has a module export its state, and, where that is deferred, what it would run when it is instantiated.
    fn exported(&self, module: &[u8], defers: bool) -> Result<Vec<u8>> {
        let mut exported = Module::new();
        let mut pending = Some(ExportSection::new());
        for section in sections(module) {
            let (id, data) = section?;
            if id == MODULE_EXPORTS {
                let mut exports = pending.take().context("it exports twice")?;
                for export in ExportSectionReader::new(BinaryReader::new(data, 0))? {
                    let export = export?;
                    exports.export(export.name, kind(export.kind)?, export.index);
                }
                exported.section(&self.with_state(exports, defers));
                continue;
            }
            if AFTER_EXPORTS.contains(&id)
                && let Some(exports) = pending.take()
            {
                exported.section(&self.with_state(exports, defers));
            }
            if id != MODULE_START || !defers {
                exported.section(&RawSection { id, data });
            }
        }
        if let Some(exports) = pending {
            exported.section(&self.with_state(exports, defers));
        }
        Ok(exported.finish())
    }

    fn with_state(&self, mut exports: ExportSection, defers: bool) -> ExportSection {
        if let Some(start) = self.start.filter(|_| defers) {
            exports.export(START, ExportKind::Func, start);
        }
        for (index, _) in &self.globals {
            exports.export(&global_name(*index), ExportKind::Global, *index);
        }
        for (index, _) in &self.memories {
            exports.export(&memory_name(*index), ExportKind::Memory, *index);
        }
        exports
    }
}

/// The names of exports that are added to modules begin with this.
const PREFIX: &str = "wasmserve-state:";

/// A module exports by this name what it would run when it is instantiated.
const START: &str = "wasmserve-state:start";

fn global_name(index: u32) -> String {
    format!("{PREFIX}global:{index}")
}

fn memory_name(index: u32) -> String {
    format!("{PREFIX}memory:{index}")
}

fn kind(kind: wasmparser::ExternalKind) -> Result<ExportKind> {
    use wasmparser::ExternalKind as Kind;
    Ok(match kind {
        Kind::Func => ExportKind::Func,
        Kind::Table => ExportKind::Table,
        Kind::Memory => ExportKind::Memory,
        Kind::Global => ExportKind::Global,
        Kind::Tag => ExportKind::Tag,
        Kind::FuncExact => bail!("it exports what is not known here"),
    })
}
