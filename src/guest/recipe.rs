//! How code is made of a component, and how it is found again in the cache: by the component's digest and what the
//! code depends on.

use super::anatomy::World;
use super::cache::{self, Cache};
use super::code;
use super::engine::{self, Limits, Target};
use super::rewind;
use crate::{debug, warning};
use anyhow::{Context, Result};
use blake3::Hasher;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use wasmtime::component::Component;

/// Code in the cache may be of an earlier version, which made other code or offered less.
const VERSION: (&str, u32) = (env!("CARGO_PKG_VERSION"), rewind::FORMAT);

/// How code is made.
pub struct Recipe {
    target: Target,
    /// For code whose instances can be put back, where that is wanted.
    rewinding: Option<Target>,
}

/// Code, as it can be mapped.
pub struct Code {
    pub file: OwnedFd,
    pub component: Component,
    pub target: Target,
}

impl Recipe {
    /// Instances are needed again and again.
    pub fn of_application(target: Target, size: usize) -> Recipe {
        let can = target.world == World::P2 && !target.concurrent;
        Recipe {
            target,
            rewinding: can.then(|| target.rewinding(size)),
        }
    }

    /// One instance is needed.
    pub fn of_step(target: Target) -> Recipe {
        Recipe {
            target,
            rewinding: None,
        }
    }

    /// The digest of the component and the engine's compatibility hash.
    pub fn name(&self, digest: &Digest) -> Result<String> {
        let engine = engine::compiling(self.target)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        (self.rewinding.is_some(), VERSION).hash(&mut hasher);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("{digest}-{:016x}.cwasm", hasher.finish()))
    }

    pub fn compile(&self, binary: &[u8]) -> Result<Vec<u8>> {
        if let Some(target) = self.rewinding {
            match rewind::compile(target, binary) {
                Ok(code) => return Ok(code),
                Err(error) => debug!("each request has an instance made for it: {error:#}"),
            }
        }
        let engine = engine::compiling(self.target)?;
        engine.precompile_component(binary).map_err(readable)
    }

    /// Code whose instances can be put back is mapped as it is to be served, with these limits.
    pub fn load(&self, file: OwnedFd, limits: Limits) -> Result<Code> {
        let (target, engine) = match rewind::Snapshot::beside(&file)? {
            Some(_) => {
                let rewinding = self.rewinding;
                let target = rewinding.context("it has a snapshot, which is not wanted")?;
                (target, engine::rewinding(target, limits)?)
            }
            None => (self.target, engine::compiling(self.target)?),
        };
        let component = code::component(&engine, &file)?;
        Ok(Code {
            file,
            component,
            target,
        })
    }
}

/// Of a component in binary form.
pub type Digest = [u8; 32];

/// The digest of a component in memory.
pub fn digest(binary: &[u8]) -> Digest {
    blake3::hash(binary).into()
}

/// The digest and the length of a file, which is read piece by piece.
pub fn digest_of_file(path: &Path) -> std::io::Result<(Digest, usize)> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
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

pub fn opened(path: &Path) -> Option<Cache> {
    match Cache::open(path) {
        Ok(cache) => Some(cache),
        Err(error) => {
            if cache::is_absence(&error) {
                debug!("no cache: {error:#}");
            } else {
                warning!("the cache is not used: {error:#}");
            }
            None
        }
    }
}

/// Code that is found but cannot be used is removed, and made again.
pub fn cached(cache: &Cache, name: &str, recipe: &Recipe, limits: Limits) -> Option<Code> {
    let found = cache.lookup(name).and_then(|file: Option<File>| {
        let Some(file) = file else { return Ok(None) };
        recipe.load(file.into(), limits).map(Some)
    });
    found.unwrap_or_else(|error| {
        warning!("compiled code in the cache is not used, and made again: {error:#}");
        let _ = cache.remove(name);
        None
    })
}

/// The engine's own words, with what a person can do about them.
fn readable(error: wasmtime::Error) -> anyhow::Error {
    anyhow::Error::from(error).context("it cannot be compiled; check it with `wasm-tools validate`")
}
