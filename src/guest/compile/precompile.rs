//! `wasmserve compile` writes the native code of a component into a file of its own.

use super::application;
use super::progress;
use super::spec::{CompileSpec, digest};
use crate::cache::seal;
use crate::guest::component::source::ComponentFile;
use crate::guest::component::target::target_of;
use crate::guest::engine::{self, Effort, Processors};
use crate::guest::host::linker;
use crate::sys::memory;
use anyhow::{Context, Result, bail};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

/// Compiles a component ahead of time, with this middleware, and gives the native code. Where it is to be portable,
/// every processor of this architecture runs it.
pub fn precompile(path: &Path, middleware: &[PathBuf], portable: bool) -> Result<Vec<u8>> {
    engine::compile_for(match portable {
        true => Processors::All,
        false => Processors::LikeThisOne,
    });
    let about = || format!("component `{}`", path.display());
    let source = application::read(path, path, middleware).with_context(about)?;
    let ComponentFile::Component { binary, info } = source else {
        bail!("{} is compiled already", about());
    };
    let target = target_of(&info).with_context(about)?;
    linker::check(&engine::compiling(target)?, target, &info).with_context(about)?;
    let spec = CompileSpec::of_application(target, binary.len(), Effort::Full);
    let mut file = memory::empty_file("wasmserve code")?;
    progress::shown(path, &binary, || {
        spec.compile(&binary, u64::MAX, None, &mut file)
    })
    .with_context(about)?;
    seal::close(&mut file, spec.name(digest(&binary))?)?;
    let mut code = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut code)?;
    Ok(code)
}
