//! `wasmserve` parses, resolves, binds and supervises. This is the only file that names both the supervisor and its
//! workers. It is a library for the sake of fuzzing: the executable is `main.rs`, and nothing else is public.

// They panic where nobody reads: see `sys::print`.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

mod admin;
mod admin_role;
mod build;
mod cache;
mod channel;
mod cli;
mod config;
mod connection;
mod control;
mod develop;
mod exit;
mod exporter;
mod exporter_role;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod guest;
mod listen;
mod log;
mod mount_role;
mod registry;
mod registry_role;
mod replay_role;
mod request;
mod roles;
mod sandbox;
mod scoreboard;
mod supervisor;
mod sys;
mod trace;
mod unit;
mod worker;

use anyhow::{Context, Result};
use clap::error::ErrorKind;
use cli::{Cli, Command, OptionOrigin, OptionSource, Serve};
use config::Config;
use exit::{Exit, Status};
use listen::{Listeners, MountSockets};
use roles::ServerRoles;
use scoreboard::Scoreboard;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

const NO_SCOREBOARD: &str = "cannot make the scoreboard; that takes /proc, memory (`ulimit -v`), and a file of a few MB \
                             in memory (`ulimit -f`)";

#[global_allocator]
static ALLOCATOR: sys::allocator::Mimalloc = sys::allocator::Mimalloc;

/// Does what the command line says, and gives the exit status for it.
pub fn run_command_line() -> i32 {
    let ended = run();
    log::pipes::finish();
    let status = match ended {
        Ok(status) => status,
        Err(error) => {
            let mut text = format!("{error:#}");
            // Whatever needs a descriptor says so, and the remedy is the same (EMFILE, ENFILE).
            if text.contains("Too many open files") {
                text.push_str("; raise the limit with `ulimit -n`");
            }
            // One line, whatever its parts were written for.
            let words: Vec<&str> = text.split_whitespace().collect();
            log::last_words(&format!("wasmserve: {}", words.join(" ")));
            exit::status_of(&error)
        }
    };
    status.code()
}

fn run() -> Result<Status> {
    sys::signals::forget_inherited();
    sys::signals::ignore_failed_writes();
    let (cli, origins) = match parse() {
        Ok(parsed) => parsed,
        Err(status) => return Ok(status),
    };
    match &cli.command {
        None => serve(&cli.serve, &origins),
        Some(Command::Build(order)) => build(order),
        Some(Command::New(new)) => build::write_template(new)
            .exits(Status::Usage)
            .map(|()| Status::Stopped),
        Some(Command::Dev(dev)) => develop::run(dev),
        Some(Command::Check(serve)) => check(serve, &origins),
        Some(Command::Compile(compile)) => {
            let component = registry_role::local(&compile.component)?;
            let code = guest::precompile(&component, &compile.middleware, compile.is_portable());
            let code = code.exits(Status::Application)?;
            sys::file::write_whole(&compile.output, &code).exits(Status::Usage)?;
            Ok(Status::Stopped)
        }
        Some(Command::Completions(shell)) => {
            cli::print_completions(shell).map(|()| Status::Stopped)
        }
        Some(Command::Man(order)) => cli::write_manual(order)
            .exits(Status::Usage)
            .map(|()| Status::Stopped),
        Some(Command::Pull(order)) => registry_role::pull_command(order),
        Some(Command::Push(order)) => registry_role::push_command(order),
        Some(Command::Unit(order)) => {
            let config = resolved(&order.serve, &origins)?;
            unit::write(order, &origins, &config).exits(Status::Usage)?;
            Ok(Status::Stopped)
        }
        Some(Command::Inspect(inspect)) => {
            let component = registry_role::local(&inspect.component)?;
            describe(&component, &inspect.middleware)
        }
        Some(Command::Replay(order)) => replay_role::run(order),
        Some(Command::Control(command)) => control::run(command),
    }
}

/// Reads the command line, or gives the status to end with: help and version are answers, the rest are mistakes, told
/// in one line.
fn parse() -> Result<(Cli, Vec<OptionOrigin>), Status> {
    cli::parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            Status::Stopped
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Status::Usage
        }
        _ => {
            let said = cli::told(&error);
            log::last_words(&format!("wasmserve: {said} (see `wasmserve --help`)"));
            Status::Usage
        }
    })
}

/// Builds a component, and writes it where it can be served.
fn build(order: &cli::Build) -> Result<Status> {
    let request = build::BuildRequest::new(order).exits(Status::Usage)?;
    let built = request.build().exits(Status::Application)?;
    let report = guest::inspect(&built.file, &[]).exits(Status::Application)?;
    if !report.servable {
        err!("{}", report.text);
        let error = anyhow::anyhow!("what was built cannot be served: see above");
        return Err(error).exits(Status::Application);
    }
    let component = std::fs::read(&built.file).context("cannot read what was built")?;
    sys::file::write_whole(&request.output, &component).exits(Status::Usage)?;
    Ok(Status::Stopped)
}

/// Says what an option comes to and where that was said, and what the component is.
fn check(serve: &Serve, origins: &[OptionOrigin]) -> Result<Status> {
    let config = resolved(serve, origins);
    for option in origins {
        let holds = serve.holds(&option.name);
        outln!("{}", shown(option, holds, config.as_ref().ok()));
    }
    let config = config?;
    let mut status = Status::Stopped;
    if config.has_application {
        status = check_component(&config)?;
    }
    for mount in &config.mounts {
        outln!("mount {}", mount.route.name);
        let checked = check_component(&mount.config);
        match checked.with_context(|| format!("mount `{}`", mount.route.name))? {
            Status::Stopped => {}
            refused => status = refused,
        }
    }
    Ok(status)
}

/// Says what a component is that would be served, and with its status whether it can be.
fn check_component(config: &Config) -> Result<Status> {
    registry_role::pull_served(config)?;
    config.compile_request.steps().exits(Status::Application)?;
    let request = &config.compile_request;
    describe(&request.path, &request.middleware)
}

/// Writes an option, what it comes to, and where that was said: `workers = auto, which is 4 (command line)`.
fn shown(option: &OptionOrigin, holds: Option<String>, config: Option<&Config>) -> String {
    let mut source = match option.source {
        OptionSource::CommandLine => "command line",
        OptionSource::Environment => "environment",
        OptionSource::File => "file",
        OptionSource::Default => "default",
    };
    let said = match holds {
        Some(value) => value,
        None if option.name.ends_with("-password") && !option.values.is_empty() => {
            "(not shown)".to_owned()
        }
        None => option.values.join(", "),
    };
    let values = match config.and_then(|config| config.used(&option.name, !said.is_empty())) {
        Some(used) if said.is_empty() => {
            if used.variable.is_some() {
                source = "environment";
            }
            used.value
        }
        Some(used) if used.value != said => format!("{said}, which is {}", used.value),
        _ if said.is_empty() => "not set".to_owned(),
        _ => said,
    };
    format!("{} = {values} ({source})", option.name)
}

fn resolved(serve: &Serve, origins: &[OptionOrigin]) -> Result<Config> {
    if let Some(project) = serve.component.as_deref().and_then(cli::to_build) {
        let named = serve.component.as_deref().unwrap_or_else(|| "".as_ref());
        let error = anyhow::anyhow!(
            "`{}` is no component yet; build it first: `wasmserve build {project}`",
            named.display()
        );
        return Err(error).exits(Status::Application);
    }
    if let Some(said) = serve.component.as_deref().and_then(cli::no_component) {
        return Err(anyhow::anyhow!(said)).exits(Status::Usage);
    }
    let config = Config::resolve(serve);
    config
        .map_err(|error| OptionOrigin::blame(origins, error))
        .exits(Status::Usage)
}

/// Says what the component is, and with its status whether it can be served.
fn describe(component: &Path, middleware: &[PathBuf]) -> Result<Status> {
    let report = guest::inspect(component, middleware).exits(Status::Application)?;
    out!("{}", report.text);
    Ok(if report.servable {
        Status::Stopped
    } else {
        Status::Application
    })
}

fn serve(serve: &Serve, origins: &[OptionOrigin]) -> Result<Status> {
    // First of all: what another executable leaves to this one are open descriptors.
    let predecessor = supervisor::predecessor()?;
    let config = resolved(serve, origins)?;
    log::init(config.log.clone()).exits(Status::Usage)?;
    let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for said in cli::honoured::told(variables) {
        warning!("{said}");
    }
    sys::signals::block_for_supervision()?;
    let (listeners, meant, ended) = match predecessor {
        Some(mut predecessor) => {
            let left = std::mem::take(&mut predecessor.listeners);
            let listeners = shared(Listeners::adopt(left)?);
            let (left, meant) = (
                std::mem::take(&mut predecessor.admin),
                predecessor.is_meant(),
            );
            let admin = match left.is_empty() && meant {
                true => Listeners::bind_admin(&config.admin).exits(Status::Address)?,
                false => Listeners::adopt(left)?,
            };
            let admin = shared(admin);
            let mounts = MountSockets::adopt(std::mem::take(&mut predecessor.mounts))?;
            let server = ServerRoles::new(config, &listeners, &admin, mounts)?;
            let ended = supervisor::resume(server, predecessor);
            ([listeners, admin], meant, ended)
        }
        None => {
            if let Some(path) = &config.pid_file {
                let refused = sys::pid_file::refuse_another(path);
                refused.context("option --pid").exits(Status::Usage)?;
            }
            let slots = supervisor::slots(&config.supervisor);
            let scoreboard = Scoreboard::new(slots).context(NO_SCOREBOARD)?;
            let listeners = Listeners::bind(&config.addresses).exits(Status::Address)?;
            let listeners = shared(listeners);
            let admin = Listeners::bind_admin(&config.admin).exits(Status::Address);
            let admin = shared(admin.inspect_err(|_| listeners.borrow_mut().close())?);
            let server = ServerRoles::new(config, &listeners, &admin, MountSockets::default())?;
            let ended = supervisor::run(server, scoreboard);
            ([listeners, admin], true, ended)
        }
    };
    if meant {
        listeners.iter().for_each(|it| it.borrow_mut().close());
    }
    ended.map(|()| Status::Stopped)
}

fn shared(listeners: Listeners) -> Rc<RefCell<Listeners>> {
    Rc::new(RefCell::new(listeners))
}
