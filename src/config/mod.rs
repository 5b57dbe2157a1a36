//! A `Config` is everything that was asked for, resolved, checked and defaulted once: below this there are no strings
//! to parse and no options that may be missing. Each mistake names its option.

mod address;
mod addresses;
mod admin;
mod canary;
mod capabilities;
mod clients;
mod databases;
mod dotenv;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod headers;
mod jobs;
mod logging;
mod mounts;
mod outbound;
mod overlap;
mod priming;
mod processes;
pub mod registry;
mod sandbox;
mod static_files;
mod tls;
mod tracing;
mod units;
mod used;
mod websockets;

pub use address::{Address, Endpoint, Host};
pub use addresses::Addresses;
pub use admin::Admin;
pub use mounts::Mount;

use crate::cache;
use crate::cli::{OptLevel, Serve};
use crate::guest::{self, CompileRequest, Effort, GuestLimits};
use crate::registry::{Pull, When};
use crate::{exporter, log, request, supervisor, worker};
use anyhow::{Context, Result, bail};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A `Config` says what `wasmserve` was asked to do.
#[derive(Clone, Debug)]
pub struct Config {
    pub addresses: Addresses,
    pub admin: Admin,
    /// The component is pulled first in this way, where it is in a registry.
    pub pull: Option<Pull>,
    pub compile_request: CompileRequest,
    /// An application is served, and not only what is mounted.
    pub has_application: bool,
    pub supervisor: supervisor::Settings,
    pub worker: worker::Settings,
    /// TLS is spoken with this, where it is.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub log: log::Settings,
    /// Spans are sent there, if they are.
    pub exporter: Option<exporter::Settings>,
    /// This file says which process the server is.
    pub pid_file: Option<PathBuf>,
    /// These components are served beside the application.
    pub mounts: Vec<Mount>,
}

impl Config {
    /// Resolves what the command line and the environment say.
    pub fn resolve(serve: &Serve) -> Result<Config> {
        match serve.mounts.tables.is_empty() {
            true => Config::of_one(serve),
            false => mounts::resolve(serve),
        }
    }

    /// Resolves the options of one server, of which what is mounted beside it is another.
    fn of_one(serve: &Serve) -> Result<Config> {
        let none = PathBuf::new();
        let component = match &serve.component {
            Some(component) => component,
            None if serve.mounts.tables.is_empty() => {
                bail!("no component was named; give the path of a .wasm file")
            }
            None => &none,
        };
        let mut supervisor = processes::resolve(serve)?;
        let limits = limits(serve, supervisor.workers.most())?;
        if serve.instances.max_worker_memory != "auto" {
            supervisor.workers = processes::within_memory(supervisor.workers, limits.worker_memory);
        }
        let capabilities = capabilities::resolve(serve)?;
        let cache = cache_settings(serve)?;
        let pull = registry::resolve(serve)?;
        let path = match &pull {
            Some(pull) => pull.store.path(&pull.reference),
            None => component.clone(),
        };
        let compile_request = CompileRequest {
            path,
            name: component.clone(),
            middleware: serve.capabilities.middleware.clone(),
            steps: serve.capabilities.before_start.clone(),
            jobs: supervisor.jobs.iter().map(|job| job.path.clone()).collect(),
            cache,
            allow_precompiled: serve.code.allow_precompiled,
            effort: effort(serve),
            limits,
            capabilities: Arc::new(capabilities),
            priming: priming::resolve(serve, supervisor.startup)?,
        };
        let worker = worker_settings(serve, &supervisor, &compile_request)?;
        let tls = tls::resolve(&serve.tls, worker.connection.protocols)?;
        overlap::check(serve, &compile_request, &worker.request.files)?;
        Ok(Config {
            addresses: Addresses::resolve(&serve.addresses, tls.is_some())?,
            admin: admin::resolve(&serve.admin)?,
            exporter: tracing::exporter(&serve.tracing, name_of(pull.as_ref(), component))?,
            pull,
            compile_request,
            has_application: serve.component.is_some(),
            supervisor,
            tls,
            worker,
            log: logging::resolve(&serve.logging)?,
            pid_file: processes::pid_file(&serve.processes)?,
            mounts: Vec::new(),
        })
    }

    /// Returns the component's name without where it is: the end of it may be a file's.
    pub fn component_name(&self) -> &Path {
        name_of(self.pull.as_ref(), &self.compile_request.path)
    }

    /// Returns the configuration of what is mounted by this name.
    pub fn mount(&self, name: &str) -> Option<&Config> {
        let mut mounts = self.mounts.iter();
        let mount = mounts.find(|mount| mount.route.name == name);
        mount.map(|mount| &mount.config)
    }

    /// Lists the files whose change `--reload` looks out for.
    pub fn watched(&self) -> Vec<PathBuf> {
        let component = Some(&self.compile_request.path);
        // What is pulled with each reload changes by that.
        let pulls = |pull: &Pull| pull.when == When::Always;
        let component =
            component.filter(|_| self.has_application && !self.pull.as_ref().is_some_and(pulls));
        let request = &self.compile_request;
        let files = component.into_iter().chain(&request.middleware);
        let files = files.chain(&request.steps);
        files.chain(&request.jobs).cloned().collect()
    }
}

fn name_of<'a>(pull: Option<&'a Pull>, component: &'a Path) -> &'a Path {
    pull.map_or(component, |pull| Path::new(&pull.reference.name))
}

fn limits(serve: &Serve, workers: usize) -> Result<GuestLimits> {
    Ok(GuestLimits {
        instances: processes::concurrency(serve)?,
        websockets: websockets::most(serve)?,
        memory: option(
            "--max-memory",
            &serve.instances.max_memory,
            units::some_size,
        )?,
        effort: effort(serve),
        worker_memory: option(
            "--max-worker-memory",
            &serve.instances.max_worker_memory,
            |text| worker_memory(text, workers),
        )?,
        sharers: NonZeroUsize::new(workers).filter(|_| serve.instances.max_worker_memory == "auto"),
        memory_timeout: option(
            "--timeout-queue",
            &serve.requests.timeout_queue,
            units::duration,
        )?,
        cpu: option("--limit-cpu", &serve.instances.limit_cpu, units::some_time)?,
        reuse: reuse(serve)?,
        core_dumps: serve.instances.coredump_dir.is_some(),
    })
}

fn effort(serve: &Serve) -> Effort {
    match serve.code.opt_level {
        OptLevel::None => Effort::Little,
        OptLevel::Speed => Effort::Full,
    }
}

fn worker_memory(text: &str, workers: usize) -> Result<u64> {
    if text != "auto" {
        return units::some_size(text);
    }
    Ok(processes::shared_memory() / workers as u64)
}

fn cache_settings(serve: &Serve) -> Result<cache::Settings> {
    Ok(cache::Settings {
        directory: serve
            .code
            .cache_dir
            .clone()
            .or_else(cache::default_directory),
        most: option("--cache-size", &serve.code.cache_size, units::size)?,
    })
}

fn reuse(serve: &Serve) -> Result<guest::Reuse> {
    let concurrency = &serve.instances.reuse_concurrency;
    let reuse = guest::Reuse {
        requests: option("--reuse", &serve.instances.reuse, units::positive)?.into(),
        idle: option("--reuse-idle", &serve.instances.reuse_idle, units::duration)?,
        concurrency: option("--reuse-concurrency", concurrency, units::positive)? as usize,
    };
    if reuse.concurrency > 1 && reuse.requests == 1 {
        bail!(
            "option --reuse-concurrency: an instance that answers one request answers no more at a time; give --reuse too"
        );
    }
    Ok(reuse)
}

/// Makes the place of a Unix socket of this path.
pub fn unix_endpoint(path: &Path) -> Result<Endpoint> {
    address::unix(path.as_os_str())
}

/// Parses the duration that an option gives.
pub fn duration(name: &str, text: &str) -> Result<Duration> {
    option(name, text, units::duration)
}

/// Parses one option, and names it where that fails.
fn option<T>(name: &str, text: &str, parse: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    parse(text).with_context(|| format!("option {name}"))
}

/// Parses what a variable says that other servers honour too, and names it where that fails.
fn honoured<T>(name: &str, parse: impl FnOnce(&str) -> Result<T>) -> Result<Option<T>> {
    let text = variable(name);
    text.map(|text| parse(&text).with_context(|| format!("variable {name}")))
        .transpose()
}

/// Parses an option that may be left out, and names it where that fails.
fn maybe<T>(
    name: &str,
    text: Option<&String>,
    parse: impl Fn(&str) -> Result<T>,
) -> Result<Option<T>> {
    text.map(|text| option(name, text, parse)).transpose()
}

fn worker_settings(
    serve: &Serve,
    supervisor: &supervisor::Settings,
    compile_request: &CompileRequest,
) -> Result<worker::Settings> {
    let header_policy = headers::resolve(&serve.headers)?;
    let files = static_files::directories(&serve.requests.files)?;
    let connection = clients::settings(serve, &header_policy)?;
    let idle_body = &serve.requests.timeout_idle_body;
    let idle_body = option("--timeout-idle-body", idle_body, units::some_time)?;
    Ok(worker::Settings {
        // Several beats within what counts as silence.
        heartbeat: (supervisor.healthcheck / 5)
            .clamp(Duration::from_millis(20), Duration::from_millis(500)),
        graceful_shutdown: supervisor.graceful_shutdown,
        sandbox: Arc::new(sandbox::resolve(&serve.sandbox, compile_request, &files)?),
        request: request::Settings {
            concurrency: compile_request.limits.instances as usize,
            queue: option("--limit-queue", &serve.requests.limit_queue, |text| {
                text.parse::<usize>()
                    .with_context(|| format!("`{text}` is not a whole number"))
            })?,
            queue_wait: option(
                "--timeout-queue",
                &serve.requests.timeout_queue,
                units::duration,
            )?,
            head: option(
                "--timeout-request",
                &serve.requests.timeout_request,
                units::some_time,
            )?,
            idle_body,
            websockets: websockets::settings(serve, idle_body, &connection)?,
            body: option("--limit-body", &serve.clients.limit_body, units::size)?,
            rate: connection.rate,
            fields: connection.head.fields,
            access_log: serve.logging.logs_requests(),
            tracing: tracing::resolve(&serve.tracing)?,
            compress: compression(serve)?,
            files,
            mounts: Vec::new(),
            header_policy,
        },
        connection,
    })
}

fn compression(serve: &Serve) -> Result<Option<request::compress::Settings>> {
    let least = option(
        "--compress-min-size",
        &serve.requests.compress_min_size,
        units::size,
    )?;
    Ok(serve
        .requests
        .compress
        .then_some(request::compress::Settings { least }))
}

/// Reads an environment variable that other servers honour too; an empty one counts as not set.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn resolve(arguments: &[&str]) -> Result<Config> {
        let arguments = ["wasmserve", "app.wasm"].iter().chain(arguments);
        Config::resolve(&Cli::parse_from(arguments).serve)
    }

    fn mistake(arguments: &[&str]) -> String {
        format!("{:#}", resolve(arguments).unwrap_err())
    }

    #[test]
    fn options_are_resolved() {
        let config = resolve(&["--workers", "4"]).unwrap();
        assert_eq!(config.supervisor.workers.most(), 4);
        let bounds = |text| {
            let workers = resolve(&["--workers", text]).unwrap().supervisor.workers;
            (workers.least(), workers.most())
        };
        assert_eq!(bounds("2..8"), (2, 8));
        let (least, most) = bounds("auto");
        assert!(least >= 1 && least == most);
        assert_eq!(bounds("1..auto"), (1, most));
    }

    #[test]
    fn workers_share_the_memory() {
        let share = |workers| {
            let config = resolve(&["--workers", workers]).unwrap();
            config.compile_request.limits.worker_memory
        };
        assert!(share("1") > 0);
        assert_eq!(share("1") / 4, share("4"));
        let config = resolve(&["--max-worker-memory", "64MiB"]).unwrap();
        assert_eq!(config.compile_request.limits.worker_memory, 64 << 20);
    }

    #[test]
    fn a_mistake_names_its_option() {
        for workers in ["0", "0..2", "3..2", "2..", "..", "1..9999"] {
            assert!(mistake(&["--workers", workers]).starts_with("option --workers: "));
        }
        assert!(mistake(&["--port", "70000"]).starts_with("option --port: "));
        assert!(mistake(&["--host", "not a name"]).starts_with("option --host: "));
        assert!(mistake(&["--max-memory", "lots"]).starts_with("option --max-memory: "));
        let text = mistake(&["--max-worker-memory", "lots"]);
        assert!(text.starts_with("option --max-worker-memory: "));
    }
}
