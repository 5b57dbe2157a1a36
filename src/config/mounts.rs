//! This file resolves the components that are mounted beside the application. Each is a server of its own with a
//! configuration of its own: what is about the whole server it has from there, and what its table does not say has its
//! default. Nothing that the application was given is given to it.

use super::{Config, processes};
use crate::cli::{Mounted, Serve};
use crate::request::mounts::{Choice, Route, choose};
use anyhow::{Context, Result, bail};

/// A `Mount` is a component that answers at a place of its own.
#[derive(Clone, Debug)]
pub struct Mount {
    pub route: Route,
    pub config: Config,
}

/// The front sends this many requests at a time over one connection (RFC 9113 section 6.5.2).
const STREAMS: &str = "1000";

/// Resolves the application and what is mounted beside it.
pub fn resolve(serve: &Serve) -> Result<Config> {
    let tables = &serve.mounts.tables;
    let mut routes: Vec<Route> = Vec::new();
    for mounted in tables {
        let route = route(mounted)?;
        if routes.contains(&route) {
            let place = mounted.place.as_deref().unwrap_or("option --mount");
            bail!("{place}: `{}` is mounted twice", route.name);
        }
        routes.push(route);
    }
    let each = memory_of_one(serve)?;
    let mut main = serve.clone();
    share_memory(&mut main, each);
    let mut config = Config::of_one(&main)?;
    let mounts = tables.iter().zip(routes).map(|(mounted, route)| {
        let mut own = of_mount(serve, mounted, &route);
        share_memory(&mut own, each);
        let config = Config::of_one(&own).with_context(|| about(mounted))?;
        Ok(Mount { route, config })
    });
    config.mounts = mounts.collect::<Result<_>>()?;
    let routes = config.mounts.iter().map(|mount| mount.route.clone());
    config.worker.request.mounts = routes.collect();
    check_priming(&config)?;
    Ok(config)
}

/// Refuses to ask the application before anybody does what somebody else answers.
fn check_priming(config: &Config) -> Result<()> {
    let priming = &config.compile_request.priming;
    let routes = &config.worker.request.mounts;
    for asked in &priming.requests {
        let request = asked.request(&priming.fields);
        let host = request.uri().host().unwrap_or_default();
        if let Choice::Mount(index) = choose(routes, host, request.uri().path()) {
            let (path, name) = (asked.target.path(), &routes[index].name);
            bail!(
                "option --prime: `{path}` is answered by what is mounted at `{name}`, and never by the application; write \
                 it into the table of that mount in the file of --config-file, or leave it out"
            );
        }
    }
    Ok(())
}

fn route(mounted: &Mounted) -> Result<Route> {
    Route::parse(&mounted.route).with_context(|| match &mounted.place {
        Some(place) => format!("{place}: table `mount`"),
        None => "option --mount".to_owned(),
    })
}

fn about(mounted: &Mounted) -> String {
    let place = mounted.place.as_ref();
    let place = place.map_or(String::new(), |place| format!("{place}: "));
    format!("{place}mount `{}`", mounted.route)
}

/// Computes the bytes that each worker may take where nobody says so: all workers of all servers share the memory.
fn memory_of_one(serve: &Serve) -> Result<u64> {
    let mut workers = 0;
    for mounted in &serve.mounts.tables {
        let own = mounted.serve.processes.workers.is_some();
        let counted = processes::workers(if own { &mounted.serve } else { serve });
        workers += counted.with_context(|| about(mounted))?.most();
    }
    workers += match serve.component {
        Some(_) => processes::workers(serve)?.most(),
        None => 0,
    };
    Ok(processes::shared_memory() / workers.max(1) as u64)
}

fn share_memory(serve: &mut Serve, each: u64) {
    if serve.instances.max_worker_memory == "auto" {
        serve.instances.max_worker_memory = each.to_string();
    }
}

/// Makes the options of a mount's own server: it hears only the front, whom it believes, and who knows the clients.
fn of_mount(serve: &Serve, mounted: &Mounted, route: &Route) -> Serve {
    let mut own = (*mounted.serve).clone();
    own.config_file.clone_from(&serve.config_file);
    own.admin.no_admin = true;
    own.clients = serve.clients.clone();
    "auto".clone_into(&mut own.clients.http);
    STREAMS.clone_into(&mut own.clients.limit_streams);
    own.tracing = serve.tracing.clone();
    own.sandbox = serve.sandbox.clone();
    own.registry = serve.registry.clone();
    own.code.cache_dir.clone_from(&serve.code.cache_dir);
    own.code.cache_size.clone_from(&serve.code.cache_size);
    own.logging = serve.logging.clone();
    // The front logs each request, with the client's connection.
    own.logging.access_log = false;
    own.logging.no_access_log = true;
    let (processes, of_server) = (&mut own.processes, &serve.processes);
    processes.reload = of_server.reload;
    let graceful = &of_server.timeout_graceful_shutdown;
    processes.timeout_graceful_shutdown.clone_from(graceful);
    if processes.workers.is_none() {
        processes.workers.clone_from(&of_server.workers);
    }
    let (headers, of_server) = (&mut own.headers, &serve.headers);
    headers.forwarded_allow_ips = Some(vec!["unix".to_owned()]);
    headers.root_path.clone_from(&route.prefix);
    // The front adds what the whole server says of itself.
    headers.server_header = false;
    headers.no_server_header = true;
    headers.date_header = false;
    headers.no_date_header = true;
    headers.request_id = of_server.gives_ids();
    headers.no_request_id = !of_server.gives_ids();
    let outer = of_server.root_path.trim_end_matches('/');
    if !outer.is_empty() {
        // The front has taken its own prefix off, and links begin with both.
        let whole = format!("x-forwarded-prefix: {outer}{}", route.prefix);
        headers.request_header.push(whole);
    }
    own
}
