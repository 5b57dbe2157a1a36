//! `wasmserve dev` is one process that has a project built, and the result served, by two others, which are this
//! executable too. The server reloads by itself when the component's file is replaced, so that the old version serves
//! until the new one is ready.

mod app_folder;
mod failure_page;
mod options;
mod tree;
mod wanted;

use crate::build::{self, ReadWhenServed, Scratch};
use crate::cli::Dev;
use crate::exit::{Exit, Status};
use crate::sys::process::{self, End};
use crate::sys::{exec, signals};
use crate::{error, info};
use anyhow::{Context, Result, anyhow};
use app_folder::AppFolder;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tree::Tree;

/// The files are looked at this often where the kernel tells nothing of them.
const LOOK: Duration = Duration::from_secs(1);

/// A build may take this long to end when it is not wanted any more.
const GRACE: Duration = Duration::from_secs(10);

struct Develop<'a> {
    dev: &'a Dev,
    executable: PathBuf,
    scratch: &'a Scratch,
    signals: SignalFd,
    tree: Tree,
    /// The build runs in this process, since then.
    builder: Option<(Pid, Instant)>,
    /// The build writes here, and this much of that was shown.
    shown: Option<File>,
    server: Option<Pid>,
    reading: ReadWhenServed,
    /// Builds leave the application out, which is read when it is served.
    reads_folder: bool,
    /// The build of the component that is served has left this out.
    app: Option<AppFolder>,
    /// The operator has asked for a stop.
    stopping: bool,
}

/// Builds and serves until it is told to stop, or the server ends by itself.
pub fn run(dev: &Dev) -> Result<Status> {
    let scratch = Scratch::new()?;
    let root = build::directory_of(&dev.path, dev.python.app.as_deref());
    signals::block_for_supervision().context("cannot hold signals back")?;
    let mut develop = Develop {
        dev,
        executable: exec::own_path().context("cannot find this executable")?,
        scratch: &scratch,
        signals: signals::descriptor().context("cannot receive signals")?,
        tree: Tree::new(wanted::wanted(dev, root.clone())?),
        builder: None,
        shown: None,
        server: None,
        reading: build::reading(&dev.path, dev.python.app.as_deref()),
        reads_folder: false,
        app: None,
        stopping: false,
    };
    let ended = develop.check(&root).and_then(|()| develop.work());
    develop.end_build();
    if let Some(server) = develop.server {
        process::end_group(server, GRACE);
    }
    ended
}

impl Develop<'_> {
    /// Has the options checked before anything is built, and finds out whether the application can be read when it is
    /// served.
    fn check(&mut self, root: &Path) -> Result<()> {
        std::fs::write(self.component(), failure_page::component(""))
            .context("cannot write a component")?;
        self.check_options(&[])?;
        let folder = match self.reading {
            ReadWhenServed::Folder => Some(root),
            ReadWhenServed::Bundle => Some(self.scratch.path()),
            ReadWhenServed::Never => None,
        };
        self.reads_folder = folder.is_some_and(|folder| {
            app_folder::is_possible(&self.dev.options)
                && self.check_options(&app_folder::grant(folder)).is_ok()
        });
        if self.reads_folder {
            let nothing = self.scratch.path().join("nothing");
            std::fs::create_dir(&nothing).context("cannot make a temporary directory")?;
            app_folder::point(&self.link(), &nothing)?;
        }
        Ok(())
    }

    /// Has the server check the options, and these before them.
    fn check_options(&self, more: &[OsString]) -> Result<()> {
        let mut command = Command::new(&self.executable);
        command
            .arg("check")
            .arg(self.component())
            .args(more)
            .args(&self.dev.options);
        let output = command.stdin(Stdio::null()).output();
        let output = output.context("cannot run this executable")?;
        let said = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => Ok(()),
            code => {
                let said = said.trim().trim_start_matches("wasmserve: ").to_owned();
                Err(anyhow!(said)).exits(Status::of_code(code.unwrap_or(1)))
            }
        }
    }

    fn work(&mut self) -> Result<Status> {
        self.build()?;
        loop {
            self.wait();
            self.read_signals()?;
            if let Some(end) = self.server.and_then(process::ended) {
                self.server = None;
                return Ok(match end {
                    End::Exited(code) => Status::of_code(code),
                    End::Killed(_) => Status::Internal,
                });
            }
            if self.stopping && self.server.is_none() {
                return Ok(Status::Stopped);
            }
            self.look_after_build()?;
            if self.stopping {
                continue;
            }
            if let Some(changed) = self.tree.changed(Instant::now()) {
                info!("{} has changed", changed.shown.display());
                self.follow(&changed.files)?;
            }
        }
    }

    /// Has what has changed served: by a new start where that is enough, or by a build.
    fn follow(&mut self, changed: &[PathBuf]) -> Result<()> {
        let app = self.app.as_ref().filter(|_| self.builder.is_none());
        let is_enough = app.is_some_and(|app| app.is_enough(changed));
        match self.server {
            Some(server) if is_enough || self.tree.names_all(changed) => {
                process::signal(server, Signal::SIGHUP);
                Ok(())
            }
            _ => self.build(),
        }
    }

    /// Sleeps until there is something to do.
    fn wait(&self) {
        let now = Instant::now();
        let settles = self.tree.wakes_at().unwrap_or(now + LOOK);
        let left =
            settles.min(now + LOOK).saturating_duration_since(now) + Duration::from_millis(1);
        let descriptors = [Some(self.signals.as_fd()), self.tree.descriptor()];
        let polled = descriptors.into_iter().flatten();
        let mut polled: Vec<PollFd<'_>> = polled
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let _ = poll(
            &mut polled,
            PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO),
        );
    }

    fn read_signals(&mut self) -> Result<()> {
        while let Ok(Some(received)) = self.signals.read_signal() {
            let Ok(signal) = Signal::try_from(received.ssi_signo.cast_signed()) else {
                continue;
            };
            match signal {
                Signal::SIGCHLD => continue,
                Signal::SIGHUP => {
                    self.build()?;
                    continue;
                }
                Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT => {
                    self.stopping = true;
                    self.end_build();
                }
                _ => {}
            }
            if let Some(server) = self.server {
                process::signal(server, signal);
            }
        }
        Ok(())
    }

    /// Begins to build, and anew where that was going on.
    fn build(&mut self) -> Result<()> {
        self.end_build();
        info!("Building {}", self.dev.path.display());
        let said = File::create(self.said()).context("cannot write to a temporary file")?;
        let mut command = Command::new(&self.executable);
        command
            .arg("build")
            .arg(&self.dev.path)
            .arg("--output")
            .arg(self.scratch.path().join("built.wasm"))
            .arg("--development")
            .args(self.python())
            .stdin(Stdio::null())
            .stdout(
                said.try_clone()
                    .context("cannot write to a temporary file")?,
            )
            .stderr(said)
            .env("TMPDIR", self.scratch.path());
        let builder = process::start(&mut command).context("cannot run this executable")?;
        self.builder = Some((builder, Instant::now()));
        self.shown = File::open(self.said()).ok();
        Ok(())
    }

    /// Lists what an application is built with besides: the variables of one in Python are those that it is served with.
    fn python(&self) -> Vec<OsString> {
        let asked = &self.dev.python;
        let app = asked.app.iter().map(|app| format!("--app={app}").into());
        let links = asked.find_links.iter();
        let links = links.flat_map(|links| ["--find-links".into(), links.clone().into_os_string()]);
        let mut words: Vec<OsString> = app.chain(links).collect();
        if self.reading == ReadWhenServed::Folder {
            words.extend(options::variables(&self.dev.options));
        }
        if self.reads_folder {
            words.extend(["--late".into(), self.note().into()]);
        }
        words
    }

    /// Shows what the build has said since it was last shown.
    fn show(&mut self) {
        let mut said = Vec::new();
        if let Some(file) = &mut self.shown {
            let _ = file.read_to_end(&mut said);
        }
        let _ = std::io::stderr().write_all(&said);
    }

    fn look_after_build(&mut self) -> Result<()> {
        let Some((builder, began)) = self.builder else {
            return Ok(());
        };
        let ended = process::ended(builder);
        if ended != Some(End::Exited(0)) {
            self.show();
        }
        let Some(end) = ended else {
            return Ok(());
        };
        self.builder = None;
        if end == End::Exited(0) {
            let seconds = began.elapsed().as_secs_f32();
            info!("Built {} in {seconds:.1} s", self.dev.path.display());
            if self.reads_folder && !self.place()? {
                self.reads_folder = false;
                return self.build();
            }
            return self.serve(&self.scratch.path().join("built.wasm"));
        }
        let said = std::fs::read(self.said()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        error!("The build has failed; a page says so until one succeeds");
        let page = self.scratch.path().join("page.wat");
        std::fs::write(&page, failure_page::component(&said))
            .context("cannot write a component")?;
        self.app = None;
        self.serve(&page)
    }

    fn end_build(&mut self) {
        if let Some((builder, _)) = self.builder.take() {
            process::end_group(builder, GRACE);
        }
    }

    /// Puts a component in the place of the one that is served, or begins to serve it.
    fn serve(&mut self, component: &Path) -> Result<()> {
        if let Some(server) = self.server
            && self.app.is_some()
            && app_folder::is_same(component, &self.component())
        {
            // What it reads has changed, at most.
            process::signal(server, Signal::SIGHUP);
            return Ok(());
        }
        std::fs::rename(component, self.component())
            .context("cannot put the component in place")?;
        if self.server.is_some() {
            return Ok(());
        }
        let grant = self.reads_folder.then(|| app_folder::grant(&self.link()));
        let mut command = Command::new(&self.executable);
        command
            .arg(self.component())
            .arg("--reload")
            .args(grant.into_iter().flatten())
            .args(options::compiling(&self.dev.options))
            .args(&self.dev.options)
            .stdin(Stdio::null());
        self.server = Some(process::start(&mut command).context("cannot run this executable")?);
        Ok(())
    }

    fn component(&self) -> PathBuf {
        self.scratch.path().join("application.wasm")
    }

    /// Has the application's folder be where the component looks for it. False where the guest must not have that.
    fn place(&mut self) -> Result<bool> {
        let app = AppFolder::read(&self.note())?;
        if let Some(app) = &app {
            // The folder of a bundle is in the temporary directory, and has nothing else.
            let is_own = self.reading == ReadWhenServed::Bundle;
            if !is_own
                && self
                    .check_options(&app_folder::grant(app.folder()))
                    .is_err()
            {
                return Ok(false);
            }
            app.place(&self.link())?;
        }
        self.app = app;
        Ok(true)
    }

    /// Gives the name that leads to the application's folder, once it is known.
    fn link(&self) -> PathBuf {
        self.scratch.path().join("project")
    }

    fn note(&self) -> PathBuf {
        self.scratch.path().join("left-out")
    }

    fn said(&self) -> PathBuf {
        self.scratch.path().join("said")
    }
}
