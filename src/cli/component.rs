//! The commands that do something with one component.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Compile {
    /// The component, in binary or text form
    #[arg(value_name = "COMPONENT")]
    pub component: PathBuf,

    /// Where to write the native code
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Inspect {
    /// The component, in binary or text form
    #[arg(value_name = "COMPONENT")]
    pub component: PathBuf,
}
