//! This command prints units for systemd.

use super::Serve;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Unit {
    /// What the units are called [default: the name of the component's file]
    #[arg(long, value_name = "NAME", help_heading = "Units")]
    pub name: Option<String>,

    /// Write NAME.service and NAME.socket into this directory instead of printing them
    #[arg(short, long, value_name = "DIR", help_heading = "Units")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub serve: Serve,
}
