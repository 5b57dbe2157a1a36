//! Registries are spoken to each time in a process that can do little else: a child of the supervisor, of a command,
//! or the command itself. This file is part of the crate's root, since it names rooms that do not know each other.

use crate::cli;
use crate::config::{self, Config};
use crate::error;
use crate::exit::{Exit, Status};
use crate::guest;
use crate::registry::{Artifact, Credentials, Pull, Pulled, Reference, push};
use crate::sandbox::{Grants, Role, Sandbox};
use crate::sys::process::{self, End};
use crate::sys::{self, fork};
use anyhow::{Context, Result, anyhow, bail};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Pulls in this process, which is kept to it from then on: `sandbox` says as whom it runs.
pub fn pull(order: &Pull, sandbox: &Sandbox) -> Result<Option<Pulled>> {
    // It may run a program, and read what is the operator's.
    let credentials = Credentials::find(&order.reference.host)?;
    let sandbox = kept_to(sandbox, vec![order.store.directory().to_owned()]);
    sandbox.begin()?;
    order.run(credentials, || sandbox.enter(Role::Registry).map(drop))
}

/// Pulls a component in a child of the supervisor.
pub fn pull_for_server(order: &Pull, sandbox: &Sandbox) -> Result<()> {
    let credentials = Credentials::find(&order.reference.host)?;
    let sandbox = kept_to(sandbox, vec![order.store.directory().to_owned()]);
    sandbox.begin()?;
    // Becoming another user has undone it (PR_SET_PDEATHSIG(2const)).
    process::die_with_parent();
    let pulled = order.run(credentials, || sandbox.enter(Role::Registry).map(drop));
    pulled.map(drop)
}

/// Makes a sandbox for speaking to registries and this, and for nothing of what guests were given.
fn kept_to(sandbox: &Sandbox, writable: Vec<PathBuf>) -> Sandbox {
    Sandbox {
        grants: Grants {
            connects: true,
            writable,
            ..Grants::default()
        },
        sources: Vec::new(),
        cache: None,
        ..sandbox.clone()
    }
}

/// Does what `wasmserve pull` is for, and prints the name by which the same is always pulled.
pub fn pull_command(order: &cli::Pull) -> Result<Status> {
    let pull = config::registry::of_command(order).exits(Status::Usage)?;
    let pulled = in_child(&pull, &Sandbox::default(), |pulled| {
        if let Some(Pulled { manifest }) = pulled {
            print(&pull.reference.pinned(manifest));
        }
    });
    pulled.exits(Status::Application)?;
    if let Some(output) = &order.output {
        let component = std::fs::read(pull.store.path(&pull.reference));
        let component = component
            .context("what was pulled is gone")
            .exits(Status::Application)?;
        sys::file::write_whole(output, &component).exits(Status::Usage)?;
    }
    Ok(Status::Stopped)
}

/// Does what `wasmserve push` is for, and prints the name by which this is pulled, whatever the tag means later.
pub fn push_command(order: &cli::Push) -> Result<Status> {
    let named = order.reference.parse::<Reference>();
    let named = named.with_context(|| format!("`{}`", order.reference.escape_default()));
    let (reference, clear) = (
        named.exits(Status::Usage)?,
        config::registry::clear(&order.clear).exits(Status::Usage)?,
    );
    let published = guest::published(&order.component).exits(Status::Application)?;
    let artifact = Artifact {
        component: published.component.into(),
        system: published.system,
        exports: published.exports,
        imports: published.imports,
        created: created(),
    };
    let credentials = Credentials::find(&reference.host).exits(Status::Application)?;
    let sandbox = kept_to(&Sandbox::default(), Vec::new());
    sandbox.begin()?;
    let confine = || sandbox.enter(Role::Registry).map(drop);
    let digest = push(&reference, &clear, credentials, artifact, confine);
    print(&reference.pinned(digest.exits(Status::Application)?));
    Ok(Status::Stopped)
}

/// Prints the name of what was pulled or pushed. That it cannot be printed undoes nothing.
fn print(name: &Reference) {
    if let Err(error) = writeln!(std::io::stdout(), "{name}") {
        error!("its name, {name}, cannot be printed: {error}");
    }
}

/// Returns now, or what whoever builds the same twice says instead (reproducible-builds.org).
fn created() -> SystemTime {
    let said = std::env::var("SOURCE_DATE_EPOCH").ok();
    let seconds = said.and_then(|said| said.parse().ok());
    let said = seconds.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    said.unwrap_or_else(SystemTime::now)
}

/// Pulls what a configuration serves, where that is in a registry.
pub fn pull_served(config: &Config) -> Result<()> {
    let Some(pull) = &config.pull else {
        return Ok(());
    };
    in_child(pull, &config.worker.sandbox, drop).exits(Status::Application)
}

/// Gives the file of a component, which is pulled before where it is in a registry.
pub fn local(component: &Path) -> Result<PathBuf> {
    let Some(pull) = config::registry::of_component(component).exits(Status::Usage)? else {
        return Ok(component.to_owned());
    };
    in_child(&pull, &Sandbox::default(), drop).exits(Status::Application)?;
    Ok(pull.store.path(&pull.reference))
}

/// Pulls in a process of its own, which says itself what is wrong, and waits for it.
fn in_child(pull: &Pull, sandbox: &Sandbox, done: impl FnOnce(Option<Pulled>)) -> Result<()> {
    let work = || match self::pull(pull, sandbox) {
        Ok(pulled) => {
            done(pulled);
            Status::Stopped
        }
        Err(why) => {
            error!("{why:#}");
            Status::Application
        }
    };
    let child = fork::fork_alone(|| {
        process::die_with_parent();
        work().code()
    });
    match process::wait_for(child.context("cannot start pulling")?) {
        Some(End::Exited(0)) => Ok(()),
        Some(End::Exited(_)) => bail!("{} was not pulled", pull.reference),
        other => Err(anyhow!("pulling {} did not end: {other:?}", pull.reference)),
    }
}
