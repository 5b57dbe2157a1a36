//! A `CompileRequest` turns the operator's file into checked native code, in a file that the supervisor has opened
//! for it. Only the compiler process does this: compiling starts threads.

use super::application;
use super::one_off::block_on_guest;
use super::priming::Priming;
use super::progress::{self, CompileProgress, ReportProgress, display_path};
use super::spec::{CompileSpec, Digest, GoodFor, MappedCode, cached, digest, digest_of_file};
use crate::cache::{self, Cache, CodeName, CodeOrigin, seal};
use crate::guest::component::info::World;
use crate::guest::component::source::ComponentFile;
use crate::guest::component::target::{Target, target_of};
use crate::guest::engine::{self, CodeInfo, Effort, code};
use crate::guest::host::capabilities::{Capabilities, Granted};
use crate::guest::host::linker;
use crate::guest::instance::handler::LinkedComponent;
use crate::guest::instance::loaded::Loaded;
use crate::guest::limits::GuestLimits;
use crate::guest::snapshot;
use crate::sys::memory;
use crate::{info, warning};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmtime::component::Component;

/// A `CompileRequest` says what to compile, and what it will be served with.
#[derive(Clone, Debug)]
pub struct CompileRequest {
    pub path: PathBuf,
    /// The operator calls it this.
    pub name: PathBuf,
    /// These components are put in front of it, the outermost first.
    pub middleware: Vec<PathBuf>,
    /// These components are run to their end, one after the other, before the application is served.
    pub steps: Vec<PathBuf>,
    /// These components are the periodic jobs, which are run while the application is served.
    pub jobs: Vec<PathBuf>,
    /// These settings say where code is kept between starts.
    pub cache: cache::Settings,
    pub allow_precompiled: bool,
    /// This much is done for the application's code. What it runs beside it is compiled with full effort.
    pub effort: Effort,
    pub limits: GuestLimits,
    pub capabilities: Arc<Capabilities>,
    pub priming: Priming,
}

/// A `Confine` function gives up the rights that compiling does not need, before the process reads what somebody else
/// has made, or runs it. A process that has called it must not fork.
pub type Confine<'a> = &'a dyn Fn() -> Result<()>;

/// `Compiled` is checked native code, ready to be mapped.
pub struct Compiled {
    code: OwnedFd,
    info: CodeInfo,
    origin: CodeOrigin,
    /// The code is mapped to be served already where it is large, was found in the cache, and nothing was run.
    servable: Option<Component>,
}

impl CompileRequest {
    /// Makes the code of the application, of the steps before the start and of the periodic jobs, each in its file, and
    /// tells of each.
    ///
    /// Loads the application too, where there is much to load and nothing has run until then: a process that has
    /// compiled, or run a guest, must not fork.
    pub fn prepare(
        &self,
        confine: Confine<'_>,
        report: ReportProgress<'_>,
        files: &[File],
    ) -> Result<Option<Loaded>> {
        let (file, of_steps) = files.split_first().context("there is no file for code")?;
        if !self.steps.is_empty() || !self.jobs.is_empty() {
            confine()?;
        }
        let steps = self.steps()?;
        let mut compiled = self.compile(confine, report, file)?;
        self.warn_unprimed(compiled.info)?;
        let servable = compiled.servable.take();
        let alone = steps.is_empty() && !self.primes(compiled.info);
        let loaded = match (servable, steps.is_empty()) {
            (None, true) => None,
            (Some(_), true) if !alone => None,
            (known, _) => Some(self.load(&compiled.code, None, compiled.info, known)?),
        };
        let Compiled { origin, info, .. } = compiled;
        let index = 0;
        report(CompileProgress::Made {
            index,
            origin,
            info,
        });
        let cache = self.opened().ok();
        for (index, (step, file)) in (1..).zip(steps.iter().zip(of_steps)) {
            let (origin, info) = step.compile(self, cache.as_ref(), file)?;
            report(CompileProgress::Made {
                index,
                origin,
                info,
            });
        }
        Ok(loaded.filter(|_| alone))
    }

    /// Loads code of this component, unless that was done already.
    pub fn load(
        &self,
        code: &OwnedFd,
        primed: Option<&OwnedFd>,
        info: CodeInfo,
        known: Option<Component>,
    ) -> Result<Loaded> {
        let load = || {
            let component = match known {
                Some(component) => component,
                None => {
                    seal::verify(&File::from(code.try_clone()?))?;
                    code::component(&engine::serving(info, self.limits)?, code)?
                }
            };
            Loaded::new(
                code,
                primed,
                info,
                component,
                self.limits,
                self.capabilities.clone(),
            )
        };
        load().with_context(|| self.about())
    }

    /// Makes the code in this process, or finds it in the cache, for a guest that is run here.
    pub fn code_here(&self) -> Result<(OwnedFd, CodeInfo)> {
        let file = memory::empty_file("wasmserve code")?;
        let Compiled { code, info, .. } = self.compile(&|| Ok(()), &|_| (), &file)?;
        Ok((code, info))
    }

    pub(super) fn about(&self) -> String {
        format!("component `{}`", self.name.display())
    }

    /// Makes the code, or says what is wrong with the component.
    fn compile(
        &self,
        confine: Confine<'_>,
        report: ReportProgress<'_>,
        file: &File,
    ) -> Result<Compiled> {
        let opened = self.opened();
        let cache = opened.as_ref().ok();
        let make = || {
            if let Some((name, code)) = self.known(cache) {
                report(CompileProgress::Found(name));
                return self.compile_known(name, code, confine);
            }
            confine()?;
            let source = application::read(&self.path, &self.name, &self.middleware)?;
            if let Some((name, code)) = self.known_source(cache, &source) {
                report(CompileProgress::Found(name));
                let compiled = self.compile_known(name, code, confine)?;
                // From here on this process cannot fork.
                let servable = None;
                return Ok(Compiled {
                    servable,
                    ..compiled
                });
            }
            let (compiled, mut names) = self.compile_source(source, cache, file.try_clone()?)?;
            if cache.is_none() && !names.is_empty() {
                self.warn_without(&opened);
                names.clear();
            }
            let origin = CodeOrigin::Written(names);
            Ok(Compiled { origin, ..compiled })
        };
        let made = make();
        made.with_context(|| self.about())
    }

    /// Opens the cache.
    fn opened(&self) -> Result<Cache> {
        let directory = self.cache.directory.as_deref();
        Cache::open(directory.context("no directory for it is known, since HOME is not set")?)
    }

    /// Warns that the next start will find nothing in the cache.
    fn warn_without(&self, cache: &Result<Cache>) {
        if let Err(error) = cache {
            warning!(
                "the compiled code of {} is not kept, and the next start compiles it again: {error:#}; name a \
                 directory with --cache-dir",
                display_path(&self.name)
            );
        }
    }

    /// Finds the code of this component in the cache. The component is hashed piece by piece, so that a large one
    /// need not be held in memory. What is composed with middleware has to be composed first.
    fn known(&self, cache: Option<&Cache>) -> Option<(CodeName, MappedCode)> {
        let cache = cache.filter(|_| self.middleware.is_empty())?;
        let (digest, size) = digest_of_file(&self.path).ok()?;
        Target::MADE
            .into_iter()
            .find_map(|target| self.known_as(cache, target, digest, size))
    }

    /// Finds the code of a component that is written as text, or has middleware, under the name of its binary form.
    fn known_source(
        &self,
        cache: Option<&Cache>,
        source: &ComponentFile,
    ) -> Option<(CodeName, MappedCode)> {
        let (ComponentFile::Component { binary, info }, Some(cache)) = (source, cache) else {
            return None;
        };
        self.known_as(cache, target_of(info).ok()?, digest(binary), binary.len())
    }

    /// Finds code of a component that was made for this target, with the effort that is asked for or a better one.
    fn known_as(
        &self,
        cache: &Cache,
        target: Target,
        digest: Digest,
        size: usize,
    ) -> Option<(CodeName, MappedCode)> {
        self.effort.or_better().iter().find_map(|effort| {
            let spec = CompileSpec::of_application(target, size, *effort);
            let name = spec.name(digest).ok()?;
            Some((name, cached(cache, name, &spec, self.limits)?))
        })
    }

    /// Checks code from the cache. What is wrong with the component itself was told when it was compiled.
    fn compile_known(
        &self,
        name: CodeName,
        code: MappedCode,
        confine: Confine<'_>,
    ) -> Result<Compiled> {
        info!(
            "Found the compiled code of {} in the cache",
            display_path(&self.name)
        );
        let ty = code.component.component_type();
        let imports = ty.imports(code.component.engine());
        self.capabilities.check(imports.map(|(name, _)| name))?;
        let info = CodeInfo::of(code.target, &code.component);
        if !info.is_large() {
            confine()?;
        }
        let compiled = self.checked(code.file, info)?;
        Ok(Compiled {
            origin: CodeOrigin::Cached(name),
            servable: info.is_large().then_some(code.component),
            ..compiled
        })
    }

    /// Writes the code into a file, and gives its names where other starts can use it too.
    fn compile_source(
        &self,
        source: ComponentFile,
        cache: Option<&Cache>,
        file: File,
    ) -> Result<(Compiled, Vec<CodeName>)> {
        match source {
            ComponentFile::Precompiled(code) if self.allow_precompiled => {
                Ok((self.adopt(&code, file)?, Vec::new()))
            }
            ComponentFile::Precompiled(_) => bail!(
                "it is native code, which runs unchecked; serve the .wasm it was made from, or give \
                 --allow-precompiled if you made it yourself"
            ),
            ComponentFile::Component { binary, info } => {
                let target = target_of(&info)?;
                linker::check(&engine::compiling(target)?, target, &info)?;
                let imports = info.imports.iter().map(String::as_str);
                self.capabilities.check(imports)?;
                let spec = CompileSpec::of_application(target, binary.len(), self.effort);
                let (code, names) = self.make(&self.name, &spec, &binary, cache, file)?;
                let info = CodeInfo::of(code.target, &code.component);
                Ok((self.checked(code.file, info)?, names))
            }
        }
    }

    /// Takes code that the operator vouches for. The engine that accepts it shows which target it was made for.
    fn adopt(&self, bytes: &[u8], mut code: File) -> Result<Compiled> {
        code.write_all(bytes)
            .map_err(|error| cache::about_room(error.into()))?;
        let mut refusals = Vec::new();
        let sealed = seal::verify(&code).map_err(|error| refusals.push(format!("{error:#}")));
        let targets = Target::ALL.into_iter().filter(|_| sealed.is_ok());
        for target in targets {
            match code::component(&engine::compiling(target)?, &code) {
                Ok(_) if target.restores() != snapshot::Snapshot::beside(&code)?.is_some() => {}
                Ok(component) if code::exports_handler_of(&component, target.world) => {
                    let ty = component.component_type();
                    let imports = ty.imports(component.engine());
                    self.capabilities.check(imports.map(|(name, _)| name))?;
                    return self.checked(code, CodeInfo::of(target, &component));
                }
                Ok(_) => {}
                Err(error) => refusals.push(format!("{error:#}")),
            }
        }
        bail!(
            "this wasmserve cannot run it; compile it again with `wasmserve compile` ({})",
            refusals
                .first()
                .map_or("it exports no wasi:http handler", String::as_str)
        )
    }

    /// Compiles a component into a file, and tells the log, as it may take a while.
    fn make(
        &self,
        path: &Path,
        spec: &CompileSpec,
        binary: &[u8],
        cache: Option<&Cache>,
        mut file: File,
    ) -> Result<(MappedCode, Vec<CodeName>)> {
        let name = spec.name(digest(binary))?;
        let good = progress::shown(path, binary, || {
            let written = spec.compile(binary, self.limits.memory, cache, &mut file);
            let sealed = written.and_then(|good| Ok((good, seal::close(&mut file, name)?)));
            sealed.map(|(good, ())| good).map_err(cache::about_room)
        })?;
        let code = spec.load(file, self.limits)?;
        let names = match good {
            GoodFor::EveryStart { shared } => [name].into_iter().chain(shared).collect(),
            GoodFor::ThisStart => Vec::new(),
        };
        Ok((code, names))
    }

    /// Makes the code of a component that is run beside the application, in this file, or finds it in the cache.
    pub(super) fn code(
        &self,
        path: &Path,
        spec: &CompileSpec,
        binary: &[u8],
        cache: Option<&Cache>,
        file: &File,
    ) -> Result<(MappedCode, CodeOrigin)> {
        let name = spec.name(digest(binary))?;
        if let Some(found) = cache.and_then(|cache| cached(cache, name, spec, self.limits)) {
            return Ok((found, CodeOrigin::Cached(name)));
        }
        let (code, names) = self.make(path, spec, binary, cache, file.try_clone()?)?;
        let names = names.into_iter().filter(|_| cache.is_some()).collect();
        Ok((code, CodeOrigin::Written(names)))
    }

    /// Checks that instances can be made. A component whose instances can be restored is checked where it is loaded.
    fn checked(&self, code: File, info: CodeInfo) -> Result<Compiled> {
        if self.limits.reuse.concurrency > 1 && info.target.world == World::P2 {
            bail!(
                "it is of WASI 0.2, whose instances answer one request at a time; leave out --reuse-concurrency"
            );
        }
        let compiled = Compiled {
            code: code.into(),
            info,
            origin: CodeOrigin::Written(Vec::new()),
            servable: None,
        };
        if info.target.restores() {
            Granted::prepare(&self.capabilities)?;
            return Ok(compiled);
        }
        let limits = GuestLimits {
            instances: 1,
            websockets: 0,
            ..self.limits
        };
        let engine = engine::serving(info, limits)?;
        let component = code::component(&engine, &compiled.code)?;
        let handler = LinkedComponent::link(info.target, &component, None)?;
        let store = self.one_off_store(&engine, None)?;
        let memory = store.data().memory().clone();
        let made = block_on_guest(handler.try_instance(store))?;
        made.with_context(|| match memory.refused() {
            true => {
                "no instance can be made of it with the memory that it may have; raise --max-memory"
            }
            false => "no instance can be made of it",
        })?;
        Ok(compiled)
    }
}
