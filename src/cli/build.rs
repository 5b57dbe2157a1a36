//! The options of the commands that make components: `build`, `new` and `dev`.

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

    /// Print each command before it runs, and all that it says
    #[arg(short, long)]
    pub verbose: bool,
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

#[derive(Debug, Args)]
pub struct Dev {
    /// A project's directory, or its main file
    #[arg(value_name = "PATH")]
    pub path: PathBuf,

    /// Options to serve with, as without `dev`
    #[arg(
        value_name = "OPTIONS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub options: Vec<OsString>,
}
