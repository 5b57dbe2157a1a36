//! `wasmserve`: parses, resolves, binds, supervises. The only file that names both the supervisor and
//! its workers. A library for the sake of fuzzing: the executable is `main.rs`, and nothing else is public.

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
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod guest;
mod listen;
mod log;
mod request;
mod sandbox;
mod scoreboard;
mod supervisor;
mod sys;
mod unit;
mod worker;

use anyhow::{Context, Result};
use channel::{CodeReport, Reporter};
use clap::error::ErrorKind;
use cli::{Cli, Command, Said, Serve, Source};
use config::Config;
use exit::{Exit, Status};
use guest::{CompileProgress, Guest, Loaded, Plan};
use listen::Listeners;
use sandbox::{Role, Sandbox};
use scoreboard::Scoreboard;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::rc::Rc;
use supervisor::{AdminContext, Roles, Served, WorkerContext};
use sys::directory::StartDirectory;
use worker::Worker;

#[global_allocator]
static ALLOCATOR: sys::allocator::Mimalloc = sys::allocator::Mimalloc;

/// Does what the command line says, and gives the exit status for it.
pub fn run_command_line() -> i32 {
    let status = match run() {
        Ok(status) => status,
        Err(error) => {
            let text = format!("{error:#}");
            // One line, whatever its parts were written for.
            let words: Vec<&str> = text.split_whitespace().collect();
            log::last_words(&format!("wasmserve: {}", words.join(" ")));
            exit::status_of(&error)
        }
    };
    status.code()
}

fn run() -> Result<Status> {
    sys::signals::ignore_broken_pipes();
    let (cli, said) = match parse() {
        Ok(parsed) => parsed,
        Err(status) => return Ok(status),
    };
    match &cli.command {
        None => serve(&cli.serve, &said),
        Some(Command::Build(order)) => build(order),
        Some(Command::New(new)) => build::write_template(new)
            .exits(Status::Usage)
            .map(|()| Status::Stopped),
        Some(Command::Dev(dev)) => develop::run(dev),
        Some(Command::Check(serve)) => check(serve, &said),
        Some(Command::Compile(compile)) => {
            let code = guest::precompile(&compile.component, compile.is_portable());
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
        Some(Command::Unit(order)) => {
            let config = resolved(&order.serve, &said)?;
            unit::write(order, &said, &config).exits(Status::Usage)?;
            Ok(Status::Stopped)
        }
        Some(Command::Inspect(inspect)) => describe(&inspect.component),
        Some(Command::Control(command)) => control::run(command),
    }
}

/// The command line, or the status to end with: help and version are answers, the rest are mistakes,
/// told in one line.
fn parse() -> Result<(Cli, Vec<Said>), Status> {
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
    let order = build::Order::new(order).exits(Status::Usage)?;
    let built = order.build().exits(Status::Application)?;
    let report = guest::inspect(&built.file).exits(Status::Application)?;
    if !report.servable {
        eprint!("{}", report.text);
        let error = anyhow::anyhow!("what was built cannot be served: see above");
        return Err(error).exits(Status::Application);
    }
    let component = std::fs::read(&built.file).context("cannot read what was built")?;
    sys::file::write_whole(&order.output, &component).exits(Status::Usage)?;
    Ok(Status::Stopped)
}

/// Says what an option comes to and where that was said, and what the component is.
fn check(serve: &Serve, said: &[Said]) -> Result<Status> {
    for option in said {
        let source = match option.source {
            Source::CommandLine => "command line",
            Source::Environment => "environment",
            Source::File => "file",
            Source::Default => "default",
        };
        println!("{} = {} ({source})", option.name, option.values.join(", "));
    }
    let config = resolved(serve, said)?;
    config.compile_request.steps().exits(Status::Application)?;
    describe(&config.compile_request.path)
}

fn resolved(serve: &Serve, said: &[Said]) -> Result<Config> {
    if let Some(project) = serve.component.as_deref().and_then(cli::to_build) {
        let named = serve.component.as_deref().unwrap_or_else(|| "".as_ref());
        let error = anyhow::anyhow!(
            "`{}` is no component yet; build it first: `wasmserve build {project}`",
            named.display()
        );
        return Err(error).exits(Status::Application);
    }
    let config = Config::resolve(serve);
    config
        .map_err(|error| Said::blame(said, error))
        .exits(Status::Usage)
}

/// Says what the component is, and with its status whether it can be served.
fn describe(component: &std::path::Path) -> Result<Status> {
    let report = guest::inspect(component).exits(Status::Application)?;
    print!("{}", report.text);
    Ok(if report.servable {
        Status::Stopped
    } else {
        Status::Application
    })
}

fn serve(serve: &Serve, said: &[Said]) -> Result<Status> {
    // First of all: what another executable leaves to this one are open descriptors.
    let adopted = supervisor::adopted()?;
    let config = resolved(serve, said)?;
    log::init(config.log.clone());
    sys::signals::block_for_supervision()?;
    let (listeners, meant, ended) = match adopted {
        Some(mut adopted) => {
            let left = std::mem::take(&mut adopted.listeners);
            let listeners = shared(Listeners::adopt(left)?);
            let (left, meant) = (std::mem::take(&mut adopted.admin), adopted.is_meant());
            let admin = match left.is_empty() && meant {
                true => Listeners::bind_admin(&config.admin).exits(Status::Address)?,
                false => Listeners::adopt(left)?,
            };
            let admin = shared(admin);
            let ended = supervisor::resume(Server::new(config, &listeners, &admin), adopted);
            ([listeners, admin], meant, ended)
        }
        None => {
            let slots = supervisor::slots(&config.supervisor);
            let scoreboard = Scoreboard::new(slots).context("cannot make the scoreboard")?;
            let listeners = Listeners::bind(&config.addresses).exits(Status::Address)?;
            let listeners = shared(listeners);
            let admin = Listeners::bind_admin(&config.admin).exits(Status::Address);
            let admin = shared(admin.inspect_err(|_| listeners.borrow_mut().close())?);
            let server = Server::new(config, &listeners, &admin);
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

/// What the supervisor's children do.
struct Server {
    config: Config,
    /// Shared by the versions of the configuration: sockets stay open from the first to the last.
    listeners: Rc<RefCell<Listeners>>,
    /// Those of the admin process.
    admin: Rc<RefCell<Listeners>>,
    start: StartDirectory,
}

impl Roles for Server {
    type Loaded = Loaded;

    fn prepare(&self, reporter: &Reporter, files: &[File]) -> Result<Option<Loaded>> {
        self.sandbox().begin()?;
        self.sandbox().warn_of_directories();
        let told = |progress| match progress {
            CompileProgress::Found(name) => reporter.found(name),
            CompileProgress::Made {
                index,
                origin,
                plan,
            } => reporter.code(CodeReport {
                index,
                origin,
                note: plan.to_string(),
            }),
        };
        let confine = self.confined(Role::Compiler);
        self.config.compile_request.prepare(&confine, &told, files)
    }

    fn take_step(&self, index: usize, code: &OwnedFd, note: &str) -> Result<()> {
        self.sandbox().begin()?;
        let (order, confine) = (&self.config.compile_request, self.confined(Role::Step));
        order.take_step(index, code, note.parse()?, &confine)
    }

    fn is_shared(&self, note: &str) -> bool {
        note.parse().is_ok_and(|plan: Plan| plan.is_large())
    }

    fn load(&self, code: &OwnedFd, note: &str) -> Result<Loaded> {
        self.sandbox().begin()?;
        self.config.compile_request.load(code, note.parse()?, None)
    }

    fn confine_zygote(&self) -> Result<()> {
        // What the kernel lacks the workers tell.
        self.sandbox().enter(Role::Zygote).map(drop)
    }

    fn serve(&self, loaded: Loaded, context: WorkerContext) -> Result<()> {
        self.sandbox().begin()?;
        info!("Started server process [{}]", std::process::id());
        info!("Waiting for application startup.");
        self.worker(loaded, context)?.run()
    }

    fn reload(&self) -> Result<Server> {
        // What was given on the command line stays; what it refers to is read again, from the directory that now
        // has the name of the one that it was given in.
        let directory = self.start.path().display();
        let entered = self.start.enter();
        entered.with_context(|| format!("cannot enter `{directory}`, where this was started"))?;
        let (cli, said) = cli::parse().map_err(|error| anyhow::anyhow!(cli::told(&error)))?;
        let mut config = resolved(&cli.serve, &said)?;
        admin_role::keep_addresses(&mut config, &self.config);
        Ok(Server {
            config,
            listeners: self.listeners.clone(),
            admin: self.admin.clone(),
            start: self.start.clone(),
        })
    }

    fn settings(&self) -> &supervisor::Settings {
        &self.config.supervisor
    }

    fn watched(&self) -> Vec<PathBuf> {
        let files = self.config.watched().into_iter();
        files.map(|file| self.start.file(&file)).collect()
    }

    fn addresses(&self) -> Vec<String> {
        self.listeners.borrow().addresses()
    }

    fn sockets(&self) -> Vec<(RawFd, String)> {
        self.listeners.borrow().descriptors()
    }

    fn mend_sockets(&self) -> bool {
        let addresses = &self.config.addresses;
        self.listeners.borrow_mut().mend(addresses)
    }

    fn admin_sockets(&self) -> Vec<OwnedFd> {
        self.admin.borrow().duplicates()
    }

    fn admin_descriptors(&self) -> Vec<(RawFd, String)> {
        self.admin.borrow().descriptors()
    }

    fn has_admin_always(&self) -> bool {
        self.config.admin.address.is_some()
    }

    fn administer(&self, context: AdminContext) -> Result<()> {
        admin_role::run(self, context)
    }

    fn describe(&self, served: &Served<'_>) -> String {
        admin_role::describe(self, served)
    }

    fn close(&self) {
        self.listeners.borrow_mut().close();
    }
}

impl Server {
    fn new(
        config: Config,
        listeners: &Rc<RefCell<Listeners>>,
        admin: &Rc<RefCell<Listeners>>,
    ) -> Server {
        Server {
            config,
            listeners: listeners.clone(),
            admin: admin.clone(),
            start: StartDirectory::current(),
        }
    }

    /// What its children are kept to.
    fn sandbox(&self) -> &Sandbox {
        &self.config.worker.sandbox
    }

    /// What confines a process to its role, once.
    fn confined(&self, role: Role) -> impl Fn() -> Result<()> {
        let (sandbox, confined) = (self.config.worker.sandbox.clone(), Cell::new(false));
        move || match confined.replace(true) {
            true => Ok(()),
            // What the kernel lacks the workers tell.
            false => sandbox.enter(role).map(drop),
        }
    }

    fn worker(&self, loaded: Loaded, context: WorkerContext) -> Result<Worker> {
        let (reporter, limit) = (context.reporter.clone(), context.reporter);
        Ok(Worker {
            guest: Guest::new(loaded)?,
            settings: self.config.worker.clone(),
            tls: self.config.tls.clone(),
            listeners: self.listeners.take().into_doors(),
            scoreboard: context.scoreboard,
            slot: context.slot,
            lifeline: context.lifeline,
            ready: Box::new(move || {
                info!("Application startup complete.");
                reporter.ready();
            }),
            spent: context
                .max_requests
                .map(|count| -> (u64, Box<dyn FnOnce()>) {
                    (count, Box::new(move || limit.spent()))
                }),
        })
    }
}
