//! `wasmserve build` makes a component of a project by calling the toolchain of its language. It knows what each
//! toolchain wants, and nothing of serving.
//!
//! The bridges that it adds are our own, as applications for ASGI, WSGI, `fetch` and net/http are to run unchanged,
//! and nobody else translates them.

mod advice;
mod c;
mod embedded;
mod go;
mod javascript;
mod project;
mod python;
mod rust;
mod scratch;
mod template;
mod tool;
mod tool_progress;
mod wit;

pub use scratch::Scratch;
pub use template::write as write_template;

use crate::cli;
use crate::sys::watch;
use anyhow::{Context, Result, bail};
use project::Project;
use std::path::{Path, PathBuf};
use tool::Tools;

/// A `BuildRequest` is a project that was recognised, with the place where its component shall be.
pub struct BuildRequest<'a> {
    asked: &'a cli::Build,
    project: Project,
    pub output: PathBuf,
}

/// A `Built` component is in a directory that goes with it.
pub struct Built {
    pub file: PathBuf,
    _scratch: Scratch,
}

impl<'a> BuildRequest<'a> {
    /// Recognises the project. An error says what the path should have been.
    pub fn new(build: &'a cli::Build) -> Result<BuildRequest<'a>> {
        let project = Project::recognise(&build.path, build.python.app.as_deref())?;
        let is_for_python = build.python.is_given() || !build.env.is_empty() || build.no_warm_up;
        if is_for_python && !matches!(project, Project::Python(_)) {
            bail!(
                "`{}` is no application in Python, and --app, --env, --find-links and --no-warm-up \
                 are for those",
                build.path.display()
            );
        }
        let output = match &build.output {
            Some(output) => output.clone(),
            None => PathBuf::from(named_after(&build.path)?),
        };
        Ok(BuildRequest {
            asked: build,
            project,
            output,
        })
    }

    pub fn build(&self) -> Result<Built> {
        let scratch = Scratch::new()?;
        let file = scratch.path().join("component.wasm");
        let mut tools = Tools::new(&scratch, self.asked.verbose)?;
        match &self.project {
            Project::C(path) => c::build(&mut tools, path, &file),
            Project::Go(directory) => go::build(&mut tools, directory, &file),
            Project::JavaScript(project) => {
                javascript::build(&mut tools, project, self.asked, &file)
            }
            Project::Python(path) => python::build(&mut tools, path, self.asked, &file),
            Project::Rust(directory) => {
                rust::build(&mut tools, directory, self.asked.development, &file)
            }
        }?;
        tools.done(&self.output);
        Ok(Built {
            file,
            _scratch: scratch,
        })
    }
}

/// A `ReadWhenServed` says how an application can be read when it is served, rather than when it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadWhenServed {
    /// In Python it is read as it stands in the project's folder.
    Folder,
    /// In JavaScript it is read from one file, which a build makes of the project's.
    Bundle,
    /// In all other languages it is compiled.
    Never,
}

/// Says how the project at a path can be read, as far as that can be told.
pub fn reading(path: &Path, app: Option<&str>) -> ReadWhenServed {
    match Project::recognise(path, app) {
        Ok(Project::Python(_)) => ReadWhenServed::Folder,
        Ok(Project::JavaScript(_)) => ReadWhenServed::Bundle,
        _ => ReadWhenServed::Never,
    }
}

/// Finds the directory whose files count for a project: that of its module where a program in Go is a part of one.
pub fn directory_of(path: &Path, app: Option<&str>) -> PathBuf {
    if let Ok(Project::Go(directory)) = Project::recognise(path, app) {
        let nearest = |sign| project::nearest(&directory, sign);
        return nearest("go.work")
            .or_else(|| nearest("go.mod"))
            .unwrap_or(directory);
    }
    match path.is_dir() {
        true => path.to_owned(),
        false => watch::directory_of(path).to_owned(),
    }
}

/// Names the component: `app.wasm` for `app.py`, for the directory `app`, and for `.` in it.
fn named_after(path: &Path) -> Result<String> {
    let whole = project::without_pattern(path)
        .canonicalize()
        .with_context(|| format!("cannot find `{}`", path.display()))?;
    let name = match whole.is_dir() {
        true => whole.file_name(),
        false => whole.file_stem(),
    };
    let name = name.context("name the output with -o")?;
    Ok(format!("{}.wasm", name.to_string_lossy()))
}
