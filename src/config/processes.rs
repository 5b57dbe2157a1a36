//! This file resolves how many processes there are, how long each may take for what it does, and when it is replaced.

use super::{cache_settings, canary, honoured, jobs, maybe, option, sandbox, units};
use crate::channel::WorkerRange;
use crate::cli::{self, Serve};
use crate::supervisor;
use crate::sys::{cpus, memory};
use crate::warning;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::time::Duration;

/// Resolves the options about the processes.
pub fn resolve(serve: &Serve) -> Result<supervisor::Settings> {
    let number = |text: &str| {
        text.parse::<u64>()
            .with_context(|| format!("`{text}` is not a whole number"))
    };
    let positive = |number: &u64| *number > 0;
    let lasting = |time: &Duration| !time.is_zero();
    Ok(supervisor::Settings {
        workers: workers(serve)?,
        concurrency: concurrency(serve)? as usize,
        scale_down: option(
            "--scale-down-after",
            &serve.processes.scale_down_after,
            units::duration,
        )?,
        graceful_shutdown: option(
            "--timeout-graceful-shutdown",
            &serve.processes.timeout_graceful_shutdown,
            units::duration,
        )?,
        shutdown_delay: option(
            "--shutdown-delay",
            &serve.processes.shutdown_delay,
            units::duration,
        )?,
        healthcheck: option(
            "--timeout-worker-healthcheck",
            &serve.processes.timeout_worker_healthcheck,
            units::some_time,
        )?,
        startup: option(
            "--timeout-worker-startup",
            &serve.processes.timeout_worker_startup,
            units::some_time,
        )?,
        limit_max_requests: maybe(
            "--limit-max-requests",
            serve.processes.limit_max_requests.as_ref(),
            number,
        )?
        .filter(positive),
        limit_max_requests_jitter: option(
            "--limit-max-requests-jitter",
            &serve.processes.limit_max_requests_jitter,
            number,
        )?,
        max_worker_rss: maybe(
            "--max-worker-rss",
            serve.processes.max_worker_rss.as_ref(),
            units::size,
        )?
        .filter(positive),
        max_worker_lifetime: maybe(
            "--max-worker-lifetime",
            serve.processes.max_worker_lifetime.as_ref(),
            units::duration,
        )?
        .filter(lasting),
        reload: serve.processes.reload,
        exit_idle: maybe(
            "--exit-idle",
            serve.processes.exit_idle.as_ref(),
            units::duration,
        )?
        .filter(lasting),
        compile: supervisor::CompileLimits {
            time: option(
                "--limit-compile-time",
                &serve.code.limit_compile_time,
                units::some_time,
            )?,
            memory: option(
                "--limit-compile-memory",
                &serve.code.limit_compile_memory,
                units::some_size,
            )?,
        },
        step_time: option(
            "--timeout-before-start",
            &serve.capabilities.timeout_before_start,
            units::some_time,
        )?,
        canary: canary::resolve(&serve.canary)?,
        jobs: jobs::resolve(&serve.capabilities)?,
        job_time: option(
            "--timeout-every",
            &serve.capabilities.timeout_every,
            units::some_time,
        )?,
        code: code_settings(serve)?,
    })
}

/// Resolves how many requests a worker answers at a time.
pub fn concurrency(serve: &Serve) -> Result<u32> {
    let text = &serve.requests.limit_concurrency;
    option("--limit-concurrency", text, units::positive)
}

/// Resolves how many workers there are.
pub fn workers(serve: &Serve) -> Result<WorkerRange> {
    if let Some(text) = &serve.processes.workers {
        return option("--workers", text, worker_range);
    }
    match honoured(cli::honoured::WORKERS, worker_range)? {
        Some(workers) => Ok(workers),
        None => worker_range("1"),
    }
}

/// More processes than this on one machine are a slip of the finger.
const MOST_WORKERS: u16 = 512;

/// Parses `4`, `auto`, `2..8` or `1..auto`.
fn worker_range(text: &str) -> Result<WorkerRange> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let (least, most) = (worker_count(least)?, worker_count(most)?);
    WorkerRange::new(least, most).with_context(|| {
        format!("the least, {least}, is more than the most, {most}: write it as {most}..{least}")
    })
}

/// Bounds the workers by the memory that there is, where their number follows the load and each may take this much of
/// it.
pub fn within_memory(workers: WorkerRange, each: u64) -> WorkerRange {
    let room = u16::try_from(shared_memory() / each.max(1)).unwrap_or(u16::MAX);
    let Some(most) = workers.at_most(room) else {
        return workers;
    };
    warning!(
        "There is memory for {} workers of --max-worker-memory at most, and not for {} as --workers has it",
        most.most(),
        workers.most()
    );
    most
}

/// All workers together may have this part of the memory that there is, in percent; the rest is the supervisor's, the
/// compiler's and the kernel's.
const SHARE: u64 = 80;

/// Computes the bytes that all workers may take together.
pub fn shared_memory() -> u64 {
    memory::available().unwrap_or(u64::MAX) / 100 * SHARE
}

fn worker_count(text: &str) -> Result<u16> {
    let count = match text {
        "auto" => cpus::available(),
        _ => units::positive(text)? as usize,
    };
    match u16::try_from(count) {
        Ok(count @ 1..=MOST_WORKERS) => Ok(count),
        _ => bail!("it is {count}; it must be at least 1 and at most {MOST_WORKERS}"),
    }
}

/// Resolves what is compiled, and where the supervisor keeps it.
fn code_settings(serve: &Serve) -> Result<supervisor::CodeSettings> {
    let cache = cache_settings(serve)?;
    let steps = &serve.capabilities.before_start;
    let jobs = jobs::resolve(&serve.capabilities)?;
    let sources = serve.component.iter().chain(steps).cloned();
    Ok(supervisor::CodeSettings {
        sources: sources
            .chain(jobs.into_iter().map(|job| job.path))
            .collect(),
        directory: cache.directory,
        most: cache.most,
        owner: sandbox::run_as(&serve.sandbox)?.map(|run_as| run_as.uid()),
    })
}

/// Makes the path of `--pid` one that means the same from everywhere.
pub fn pid_file(processes: &cli::Processes) -> Result<Option<PathBuf>> {
    let Some(path) = &processes.pid else {
        return Ok(None);
    };
    let absolute = std::path::absolute(path).context("option --pid")?;
    match absolute.parent() {
        Some(parent) if parent.is_dir() => Ok(Some(absolute)),
        _ => bail!(
            "option --pid: there is no directory for `{}`",
            path.display()
        ),
    }
}
