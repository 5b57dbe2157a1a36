//! This file says what the children of the supervisor do: compile, take steps, fork workers, serve, administer. It is
//! part of the crate's root, since it names rooms that do not know each other.

use crate::channel::{CodeInfo, CodeReport, CommandReceiver, LeftListener, Reporter};
use crate::config::Config;
use crate::exporter;
use crate::guest::{CompileProgress, Guest, Loaded, Occasion};
use crate::listen::{Listeners, MountSockets};
use crate::mount_role::MountedServer;
use crate::sandbox::{Grants, Role, Sandbox};
use crate::supervisor::{self, ChildTask, Code, Roles, Served, Sockets, WorkerContext};
use crate::sys::directory::StartDirectory;
use crate::sys::pid_file::PidFile;
use crate::worker::Worker;
use crate::{admin_role, cli, error, exporter_role, info, log, registry_role, resolved};
use anyhow::{Context, Result};
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

/// A `ServerRoles` says what the supervisor's children do.
pub struct ServerRoles {
    pub config: Config,
    /// The versions of the configuration share the sockets, which stay open from the first to the last.
    pub listeners: Rc<RefCell<Listeners>>,
    /// The admin process has these sockets.
    pub admin: Rc<RefCell<Listeners>>,
    pub start: StartDirectory,
    /// Says which process this is, while it serves.
    pub pid_file: Rc<RefCell<Option<PidFile>>>,
    /// The servers of what is mounted have these sockets.
    pub mounts: Rc<RefCell<MountSockets>>,
    /// This server is mounted in another there.
    pub mounted: Option<Rc<MountedServer>>,
}

impl Roles for ServerRoles {
    /// There is none where no application stands beside what is mounted.
    type Loaded = Option<Loaded>;
    type Sockets = Listeners;
    type MountSockets = MountSockets;

    fn pulls(&self) -> Option<Duration> {
        self.config.pull.as_ref().map(|pull| pull.limit)
    }

    fn prepare(&self, reporter: &Reporter, files: &[File]) -> Result<Option<Option<Loaded>>> {
        self.sandbox().begin()?;
        self.sandbox().warn_of_directories();
        let told = |progress| match progress {
            CompileProgress::Found(name) => reporter.found(name),
            CompileProgress::Made {
                index,
                origin,
                info,
            } => reporter.code(CodeReport {
                index,
                origin,
                info,
            }),
        };
        let confine = self.confined(Role::Compiler);
        let loaded = self
            .config
            .compile_request
            .prepare(&confine, &told, files)?;
        Ok(loaded.map(Some))
    }

    fn run(&self, task: ChildTask<'_>) -> Result<()> {
        match task {
            ChildTask::Pull => self.pull(),
            ChildTask::Step { index, code } => self.run_command(Occasion::BeforeStart, index, code),
            ChildTask::Job { index, code } => self.run_command(Occasion::Periodic, index, code),
            ChildTask::Prime { code, snapshot } => self.prime(code, snapshot),
            ChildTask::Administer(context) => admin_role::run(self, context),
            ChildTask::Export(context) => exporter_role::run(self, context),
            ChildTask::WriteLogs(orders) => self.write_logs(orders),
            ChildTask::ServeMount {
                name,
                reporter,
                orders,
                scoreboard,
            } => self.serve_mount(name, reporter, orders, scoreboard),
        }
    }

    fn primes(&self, info: CodeInfo) -> bool {
        self.config.compile_request.primes(info)
    }

    fn largest_snapshot(&self) -> u64 {
        self.config.compile_request.largest_snapshot()
    }

    fn load(&self, code: &Code) -> Result<Option<Loaded>> {
        self.sandbox().begin()?;
        if !self.config.has_application {
            return Ok(None);
        }
        let request = &self.config.compile_request;
        let loaded = request.load(&code.file, code.primed.as_ref(), code.known_info()?, None);
        loaded.map(Some)
    }

    fn confine_zygote(&self) -> Result<()> {
        // What the kernel lacks the workers tell.
        self.sandbox().enter(Role::Zygote).map(drop)
    }

    fn serve(&self, loaded: Option<Loaded>, context: WorkerContext) -> Result<()> {
        self.sandbox().begin()?;
        info!("Started server process [{}]", std::process::id());
        info!("Waiting for application startup.");
        self.worker(loaded, context)?.run()
    }

    fn reload(&self) -> Result<ServerRoles> {
        // What was given on the command line stays; what it refers to is read again, from the directory that now
        // has the name of the one that it was given in.
        let directory = self.start.path().display();
        let entered = self.start.enter();
        entered.with_context(|| format!("cannot enter `{directory}`, where this was started"))?;
        let (cli, said) = cli::parse().map_err(|error| anyhow::anyhow!(cli::told(&error)))?;
        let config = resolved(&cli.serve, &said)?;
        let mut config = match &self.mounted {
            None => config,
            Some(mounted) => mounted.of(config)?,
        };
        admin_role::keep_addresses(&mut config, &self.config);
        let mut roles = ServerRoles {
            config,
            listeners: self.listeners.clone(),
            admin: self.admin.clone(),
            start: self.start.clone(),
            pid_file: self.pid_file.clone(),
            mounts: self.mounts.clone(),
            mounted: self.mounted.clone(),
        };
        roles.prepare_mounts()?;
        Ok(roles)
    }

    fn settings(&self) -> &supervisor::Settings {
        &self.config.supervisor
    }

    fn watched(&self) -> Vec<PathBuf> {
        let files = self.config.watched().into_iter();
        files.map(|file| self.start.file(&file)).collect()
    }

    fn serving(&self) {
        if let Some(mounted) = &self.mounted {
            mounted.serves();
        }
        let mut pid_file = self.pid_file.borrow_mut();
        if let (Some(path), None) = (&self.config.pid_file, &*pid_file) {
            match PidFile::write(path) {
                Ok(written) => *pid_file = Some(written),
                Err(why) => error!("cannot write `{}`: {why}", path.display()),
            }
        }
    }

    fn mounted_at(&self) -> Option<&str> {
        self.mounted.as_ref().map(|mounted| mounted.name.as_str())
    }

    fn orders(&self) -> Option<&CommandReceiver> {
        self.mounted.as_ref().map(|mounted| &mounted.orders)
    }

    fn announcement(&self) -> Vec<String> {
        if let Some(at) = self.mounted_at() {
            let component =
                log::escape(&self.config.component_name().display().to_string()).to_string();
            return vec![format!("`{component}` is mounted at `{at}`")];
        }
        let addresses = self.listeners.borrow().addresses();
        let addresses = addresses.iter();
        addresses
            .map(|address| format!("wasmserve running on {address} (Press CTRL+C to quit)"))
            .collect()
    }

    fn has_application(&self) -> bool {
        self.config.has_application
    }

    fn mounts(&self) -> Vec<String> {
        let mounts = self.config.mounts.iter();
        mounts.map(|mount| mount.route.name.clone()).collect()
    }

    fn mount_slots(&self, name: &str) -> usize {
        let mount = self.config.mount(name);
        mount.map_or(1, |config| supervisor::slots(&config.supervisor))
    }

    fn mount_sockets(&self) -> &RefCell<MountSockets> {
        &self.mounts
    }

    fn sockets(&self) -> &RefCell<Listeners> {
        &self.listeners
    }

    fn admin_sockets(&self) -> &RefCell<Listeners> {
        &self.admin
    }

    fn repair_sockets(&self) -> bool {
        let addresses = &self.config.addresses;
        self.listeners.borrow_mut().repair(addresses)
    }

    fn has_admin_always(&self) -> bool {
        self.config.admin.address.is_some()
    }

    fn exporter(&self) -> Option<u64> {
        let exporter = self.config.exporter.as_ref();
        exporter.map(exporter::Settings::fingerprint)
    }

    fn describe(&self, served: &Served) -> String {
        admin_role::describe(self, served)
    }
}

impl Sockets for Listeners {
    fn left(&self) -> Vec<LeftListener> {
        Listeners::left(self)
    }

    fn backlogs(&self) -> Vec<Option<u32>> {
        Listeners::backlogs(self)
    }

    fn duplicates(&self) -> Vec<OwnedFd> {
        Listeners::duplicates(self)
    }

    fn close(&mut self) {
        Listeners::close(self);
    }
}

impl ServerRoles {
    /// Returns the roles of a server whose mounts have these sockets, and further ones where they have none.
    pub fn new(
        config: Config,
        listeners: &Rc<RefCell<Listeners>>,
        admin: &Rc<RefCell<Listeners>>,
        mounts: MountSockets,
    ) -> Result<ServerRoles> {
        let mut roles = ServerRoles {
            config,
            listeners: listeners.clone(),
            admin: admin.clone(),
            start: StartDirectory::current(),
            pid_file: Rc::default(),
            mounts: Rc::new(RefCell::new(mounts)),
            mounted: None,
        };
        roles.prepare_mounts()?;
        Ok(roles)
    }

    /// Returns what the server's children are kept to.
    pub fn sandbox(&self) -> &Sandbox {
        &self.config.worker.sandbox
    }

    /// Pulls the component, where it is in a registry.
    fn pull(&self) -> Result<()> {
        let pull = self.config.pull.as_ref();
        pull.map_or(Ok(()), |pull| {
            registry_role::pull_for_server(pull, self.sandbox())
        })
    }

    /// Primes an instance, confined as a step is.
    fn prime(&self, code: &Code, snapshot: &File) -> Result<()> {
        self.sandbox().begin()?;
        let confine = self.confined(Role::Step);
        let mut snapshot = snapshot.try_clone()?;
        let request = &self.config.compile_request;
        request.prime(&code.file, code.known_info()?, &mut snapshot, &confine)
    }

    /// Writes the logs. What guests were given is not for the process that does it.
    fn write_logs(&self, orders: OwnedFd) -> Result<()> {
        let sandbox = Sandbox {
            grants: Grants::default(),
            ..self.sandbox().clone()
        };
        sandbox.begin()?;
        sandbox.enter(Role::Log)?;
        log::writer::run(orders);
        Ok(())
    }

    /// Runs a component of the command world to its end.
    fn run_command(&self, occasion: Occasion, index: usize, code: &Code) -> Result<()> {
        self.sandbox().begin()?;
        let (request, confine) = (&self.config.compile_request, self.confined(Role::Step));
        request.take_step(occasion, index, &code.file, code.known_info()?, &confine)
    }

    /// Returns what confines a process to its role, once.
    fn confined(&self, role: Role) -> impl Fn() -> Result<()> {
        let (sandbox, confined) = (self.config.worker.sandbox.clone(), Cell::new(false));
        move || match confined.replace(true) {
            true => Ok(()),
            // What the kernel lacks the workers tell.
            false => sandbox.enter(role).map(drop),
        }
    }

    fn worker(&self, loaded: Option<Loaded>, context: WorkerContext) -> Result<Worker> {
        let (reporter, limit) = (context.reporter.clone(), context.reporter);
        let stuck = reporter.clone();
        if let Some(loaded) = &loaded {
            log::set_component(loaded.component.clone());
        }
        let mounts = self.mounts.borrow();
        let names = self.config.mounts.iter().map(|mount| &mount.route.name);
        let mounts = names.map(|name| mounts.file(name));
        Ok(Worker {
            guest: loaded.map(Guest::new).transpose()?,
            mounts: mounts.collect::<io::Result<_>>()?,
            settings: self.config.worker.clone(),
            tls: self.config.tls.clone(),
            listeners: self.listeners.take().into_sockets(),
            scoreboard: context.scoreboard,
            slot: context.slot,
            lifeline: context.lifeline,
            ready: Box::new(move || {
                info!("Application startup complete.");
                reporter.ready();
            }),
            stuck: Box::new(move || stuck.stuck()),
            spent: context
                .max_requests
                .map(|count| -> (u64, Box<dyn FnOnce()>) {
                    (count, Box::new(move || limit.spent()))
                }),
        })
    }
}
