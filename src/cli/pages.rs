//! Packages carry these beside the executable: completions for shells, and manual pages.

use super::Cli;
use crate::sys::file;
use anyhow::{Context, Result};
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Completions {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub struct Manual {
    /// Write the page of each command into this directory instead of printing that of wasmserve
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// Prints what a shell needs to complete our command lines.
pub fn print_completions(order: &Completions) -> Result<()> {
    let (mut command, mut script) = (Cli::command(), Vec::new());
    clap_complete::generate(order.shell, &mut command, "wasmserve", &mut script);
    io::stdout()
        .write_all(&script)
        .context("cannot print the completions")
}

/// Prints or writes manual pages in roff.
pub fn write_manual(order: &Manual) -> Result<()> {
    let mut command = Cli::command();
    command.build();
    match &order.output {
        None => Man::new(command)
            .render(&mut io::stdout())
            .context("cannot print the page"),
        Some(directory) => {
            write_page(directory, &command)?;
            let mut parts = command.get_subcommands();
            parts.try_for_each(|part| write_page(directory, part))
        }
    }
}

/// Writes `wasmserve.1`, or `wasmserve-build.1` for the command `build`.
fn write_page(directory: &Path, command: &Command) -> Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let name = name.to_owned();
    let path = directory.join(format!("{name}.1"));
    let mut page = Vec::new();
    Man::new(command.clone().name(&*name.leak()))
        .render(&mut page)
        .context("cannot make the page")?;
    file::write_whole(&path, &page)
}
