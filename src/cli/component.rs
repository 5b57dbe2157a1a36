//! These commands do something with one component.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Compile {
    /// The component: a file in binary or text form, or oci://registry/name:tag
    #[arg(value_name = "COMPONENT")]
    pub component: PathBuf,

    /// Compile it with this component in front of it; can be repeated, the outermost first
    #[arg(long, value_name = "COMPONENT")]
    pub middleware: Vec<PathBuf>,

    /// Where to write the native code
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// Which processors run the code: those like this machine's, or every one of its architecture
    #[arg(long, value_enum, default_value_t = Cpu::Native)]
    pub cpu: Cpu,
}

impl Compile {
    /// Says whether every processor of the architecture is to run the code.
    pub fn is_portable(&self) -> bool {
        self.cpu == Cpu::Baseline
    }
}

/// `Cpu` says which processors run code that is compiled ahead of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cpu {
    Native,
    Baseline,
}

#[derive(Debug, Args)]
pub struct Inspect {
    /// The component: a file in binary or text form, or oci://registry/name:tag
    #[arg(value_name = "COMPONENT")]
    pub component: PathBuf,

    /// Look at it with this component in front of it; can be repeated, the outermost first
    #[arg(long, value_name = "COMPONENT")]
    pub middleware: Vec<PathBuf>,
}
