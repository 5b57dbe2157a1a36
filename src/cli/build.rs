//! These are the options of the commands that make components: `build`, `new` and `dev`.

use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Build {
    /// A project's directory, or its main file
    #[arg(value_name = "PATH")]
    pub path: PathBuf,

    /// Where to write the component [default: the project's name, here]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub python: Python,

    /// Give the application a variable while it is imported (Python)
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,

    /// Import the application, and ask it nothing while it is built (Python)
    #[arg(long)]
    pub no_warm_up: bool,

    /// Build for `wasmserve dev`: what goes wrong is shown to whoever asks
    #[arg(long, hide = true)]
    pub development: bool,

    /// Leave the application out, which is read from /app when it is served, and say in this file what belongs there (Python, JavaScript)
    #[arg(long, value_name = "FILE", hide = true)]
    pub late: Option<PathBuf>,

    /// Print each command before it runs, and all that it says
    #[arg(short, long)]
    pub verbose: bool,
}

/// `Python` has what `build` and `dev` take for applications in Python.
#[derive(Debug, Default, Args)]
pub struct Python {
    /// The application, where it is not found by itself: app.main:app (Python)
    #[arg(long, value_name = "MODULE:NAME")]
    pub app: Option<String>,

    /// Look for wheels for WASI in this directory, too (Python)
    #[arg(long, value_name = "DIR")]
    pub find_links: Vec<PathBuf>,
}

impl Python {
    pub fn is_given(&self) -> bool {
        self.app.is_some() || !self.find_links.is_empty()
    }
}

#[derive(Debug, Args)]
pub struct New {
    /// The language to write it in
    #[arg(long, value_enum)]
    pub lang: Language,

    /// The directory to make, or an empty one
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Python,
    Javascript,
    Rust,
    Go,
}

/// `Watch` says which changes `dev` builds for. Its options stand before those to serve with.
#[derive(Debug, Default, Args)]
pub struct Watch {
    /// Watch this directory, in place of the project's
    #[arg(long, value_name = "DIR")]
    pub reload_dir: Vec<PathBuf>,

    /// Watch files of this pattern, too, which tools write otherwise: `*.db`
    #[arg(long, value_name = "PATTERN")]
    pub reload_include: Vec<String>,

    /// Do not watch files and directories of this pattern: `*.md`, `frontend`
    #[arg(long, value_name = "PATTERN")]
    pub reload_exclude: Vec<String>,

    /// How long a project must be left alone before it is built again
    #[arg(long, value_name = "DURATION", default_value = "150ms")]
    pub reload_delay: String,
}

#[derive(Debug, Args)]
pub struct Dev {
    #[command(flatten)]
    pub python: Python,

    /// A project's directory, or its main file
    #[arg(value_name = "PATH")]
    pub path: PathBuf,

    #[command(flatten)]
    pub watch: Watch,

    /// Options to serve with, as without `dev`
    #[arg(
        value_name = "OPTIONS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub options: Vec<OsString>,
}
