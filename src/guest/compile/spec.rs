//! A `CompileSpec` says how a component is compiled, and under which name its code is found again in the cache: by
//! the component's digest and what the code depends on.

use super::restorable;
use crate::cache::{Cache, CodeName, seal};
use crate::guest::component::target::Target;
use crate::guest::engine::{self, Effort, code};
use crate::guest::limits::GuestLimits;
use crate::guest::snapshot;
use crate::sys::regular::{self, LARGEST_COMPONENT};
use crate::{debug, warning};
use anyhow::{Context, Result};
use blake3::Hasher;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io::{Read, Seek, Write};
use std::path::Path;
use wasmtime::component::Component;

/// Each version has names of its own in the cache: an earlier one made other code, or offered less.
const VERSION: (&str, u32, u32) = (env!("CARGO_PKG_VERSION"), snapshot::FORMAT, seal::FORMAT);

/// A `CompileSpec` says how a component is compiled.
pub struct CompileSpec {
    target: Target,
    /// The code is made for this target where its instances can be restored, and that is wanted.
    restorable: Option<Target>,
    effort: Effort,
}

/// `GoodFor` says which starts may use code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoodFor {
    EveryStart {
        /// Other components find the code by this name too.
        shared: Option<CodeName>,
    },
    /// The code depends on what this start allows.
    ThisStart,
}

/// `MappedCode` is code that was mapped, with its file.
pub struct MappedCode {
    pub file: File,
    pub component: Component,
    pub target: Target,
}

impl CompileSpec {
    /// Compiles an application, which needs instances again and again.
    pub fn of_application(target: Target, size: usize, effort: Effort) -> CompileSpec {
        CompileSpec {
            target: target.of_size(size),
            restorable: Some(target.restorable(size)),
            effort,
        }
    }

    /// Compiles a step, which needs one instance.
    pub fn of_step(target: Target, size: usize) -> CompileSpec {
        CompileSpec {
            target: target.of_size(size),
            restorable: None,
            effort: Effort::Full,
        }
    }

    /// Names code by the digest of the component and the engine's compatibility hash.
    pub fn name(&self, component: Digest) -> Result<CodeName> {
        let engine = engine_hash(self.target, self.effort, self.restorable.is_some())?;
        Ok(CodeName { component, engine })
    }

    /// Writes the code of a component into an empty file. An instance may have this much memory while it is made.
    pub fn compile(
        &self,
        binary: &[u8],
        memory: u64,
        cache: Option<&Cache>,
        file: &mut File,
    ) -> Result<GoodFor> {
        let mut good = GoodFor::EveryStart { shared: None };
        if let Some(target) = self.restorable {
            let error = match restorable::compile(target, self.effort, binary, memory, cache, file)
            {
                Ok(shared) => return Ok(GoodFor::EveryStart { shared }),
                Err(error) => error,
            };
            debug!("each request has an instance made for it: {error:#}");
            if error.is::<restorable::MemoryRefused>() {
                good = GoodFor::ThisStart;
            }
            // Where an instance has trapped, its code stays mapped as long as the error, which knows where that was.
            drop(error);
            file.set_len(0)?;
            file.rewind()?;
        }
        let code = engine::compile(self.target, self.effort, binary).map_err(readable)?;
        file.write_all(&code)?;
        Ok(good)
    }

    /// Maps code. If its instances can be restored, it is mapped as it will be served, with these limits.
    pub fn load(&self, file: File, limits: GuestLimits) -> Result<MappedCode> {
        let (target, engine) = match snapshot::Snapshot::beside(&file)? {
            Some(_) => {
                let restorable = self.restorable;
                let target = restorable.context("it has a snapshot, which is not wanted")?;
                (target, engine::restorable(target, limits)?)
            }
            None => (self.target, engine::compiling(self.target)?),
        };
        let component = code::component(&engine, &file)?;
        Ok(MappedCode {
            file,
            component,
            target,
        })
    }
}

/// Hashes everything but the component that code depends on, and what else it is to be told apart by.
pub fn engine_hash(target: Target, effort: Effort, kind: impl Hash) -> Result<u64> {
    let engine = engine::compiling_with(target, effort)?;
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    (kind, VERSION).hash(&mut hasher);
    Ok(hasher.finish())
}

/// A `Digest` stands for a component in binary form.
pub type Digest = [u8; 32];

/// Computes the digest of a component in memory.
pub fn digest(binary: &[u8]) -> Digest {
    blake3::hash(binary).into()
}

/// Computes the digest and the length of a file, which is read piece by piece.
pub fn digest_of_file(path: &Path) -> std::io::Result<(Digest, usize)> {
    let file = regular::open(path, LARGEST_COMPONENT)?;
    let mut file = file.take(LARGEST_COMPONENT);
    let (mut hasher, mut length) = (Hasher::new(), 0);
    let mut piece = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((hasher.finalize().into(), length));
        }
        hasher.update(&piece[..read]);
        length += read;
    }
}

/// Finds code in the cache. Code that is found but cannot be used counts as missing, and what is made then takes its
/// place.
pub fn cached(
    cache: &Cache,
    name: CodeName,
    spec: &CompileSpec,
    limits: GuestLimits,
) -> Option<MappedCode> {
    let found = cache.lookup(name).and_then(|file| {
        let Some(file) = file else { return Ok(None) };
        seal::verify_as(&file, name)?;
        spec.load(file, limits).map(Some)
    });
    found.unwrap_or_else(|error| {
        warning!("compiled code in the cache is not used, and made again: {error:#}");
        None
    })
}

/// Adds to the engine's own words what a person can do about them.
fn readable(error: anyhow::Error) -> anyhow::Error {
    if error.is::<engine::NoThreads>() {
        return error;
    }
    error.context("it cannot be compiled; check it with `wasm-tools validate`")
}
