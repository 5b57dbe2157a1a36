//! This file writes the service: how it is started, watched and stopped, and what it may do.

use super::command_line::CommandLine;
use super::user::ServiceUser;
use super::{paths, quote, servers};
use crate::cli::{Serve, Unit};
use crate::config::{Address, Config, Endpoint};
use crate::sys::runtime::SERVICE_PREFIX;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::time::Duration;

/// Ends take this long beyond the time that requests in flight get.
const SLACK: Duration = Duration::from_secs(15);

/// These protections hold for every command line. The kernel's interfaces that workers confine themselves by
/// (landlock, seccomp) are not among systemd's @system-service before version 254. Code is compiled while the service
/// runs, so MemoryDenyWriteExecute= is left out.
const PROTECTIONS: &str = "\
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp
SystemCallFilter=~@chown @keyring @memlock @setuid
SystemCallErrorNumber=EPERM
";

/// Writes the unit of the service.
pub fn text(name: &str, order: &Unit, config: &Config, command: &CommandLine) -> Result<String> {
    let here = std::env::current_dir().context("cannot tell the working directory")?;
    let mut text = format!(
        "[Unit]\n\
         Description=wasmserve: {name}\n\
         Requires={name}.socket\n\
         After={name}.socket network-online.target\n\
         Wants=network-online.target\n\n\
         [Service]\n\
         Type=notify\n\
         NotifyAccess=main\n\
         WorkingDirectory={}\n",
        quote::value(&here.display().to_string())
    );
    run(&mut text, name, order, config, command);
    text.push('\n');
    ServiceUser::of(&order.serve, config).write(&mut text);
    protect(&mut text, order, config);
    paths::write(&mut text, order, config, command, &here)?;
    text.push_str("\n[Install]\nWantedBy=multi-user.target\n");
    Ok(text)
}

/// Writes how the service is started, watched, reloaded and stopped.
fn run(text: &mut String, name: &str, order: &Unit, config: &Config, command: &CommandLine) {
    let settings = &config.supervisor;
    let pull = config
        .pull
        .as_ref()
        .map_or(Duration::ZERO, |pull| pull.limit);
    let canary = match settings.canary.share {
        Some(_) => settings.canary.time,
        None => Duration::ZERO,
    };
    let start = pull + settings.compile.time + settings.startup + canary + SLACK;
    let stop = settings.shutdown_delay + settings.graceful_shutdown + SLACK;
    for variable in &command.variables {
        let _ = writeln!(text, "Environment={variable}");
    }
    for (name, path) in &command.credentials {
        let path = quote::value(&path.display().to_string());
        let _ = writeln!(
            text,
            "# Read when the service is started: what is new there needs a restart, not a reload.\n\
             LoadCredential={name}:{path}"
        );
    }
    let _ = write!(
        text,
        "ExecStart={}\n\
         ExecReload={}\n\
         WatchdogSec=30s\n\
         TimeoutStartSec={}s\n\
         TimeoutStopSec={}s\n\
         KillMode=mixed\n\
         Restart=on-failure\n\
         RestartSec=1s\n\
         # The command line is wrong: another attempt would not help.\n\
         RestartPreventExitStatus=2\n\
         # A worker that is killed for memory is replaced; the others go on.\n\
         OOMPolicy=continue\n\
         CacheDirectory={name}\n\
         # Commands such as `wasmserve status` find the service by its socket here.\n\
         RuntimeDirectory={SERVICE_PREFIX}{name}\n\
         RuntimeDirectoryMode=0700\n",
        command.exec,
        reload(order, command, start),
        start.as_secs(),
        stop.as_secs(),
    );
}

/// Writes the command that reloads the service. It waits until the new version is served, and fails where it is not.
fn reload(order: &Unit, command: &CommandLine, start: Duration) -> String {
    match order.serve.admin.no_admin {
        true => "/bin/kill -HUP $MAINPID".to_owned(),
        false => format!(
            "{} reload --pid $MAINPID --timeout {}s",
            command.executable,
            (start - SLACK).as_secs()
        ),
    }
}

/// Writes what the service may do.
fn protect(text: &mut String, order: &Unit, config: &Config) {
    text.push_str(PROTECTIONS);
    let capability = match binds_privileged_port(config) {
        true => "CAP_NET_BIND_SERVICE",
        false => "",
    };
    let _ = writeln!(text, "CapabilityBoundingSet={capability}");
    let _ = writeln!(text, "AmbientCapabilities={capability}");
    if capability.is_empty() {
        text.push_str("PrivateUsers=yes\n");
    }
    let talks = servers(order, config).any(|(serve, config)| talks(serve, config));
    // Names are resolved with the help of the interfaces that there are.
    let families = if talks { " AF_NETLINK" } else { "" };
    let _ = writeln!(
        text,
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6{families}"
    );
}

/// Says whether a server speaks to others on its own account, or its guests do.
fn talks(serve: &Serve, config: &Config) -> bool {
    let (outbound, databases) = (&serve.outbound, &serve.databases);
    let redis = serve.capabilities.keyvalue.as_deref();
    let asks = !outbound.allow_http.is_empty() || !outbound.allow_net.is_empty();
    let stores = redis.is_some_and(|store| store.starts_with("redis"));
    asks || stores || config.pull.is_some() || !databases.postgres.is_empty()
}

/// Says whether an address stays with the service that needs a privilege.
fn binds_privileged_port(config: &Config) -> bool {
    let redirect = config.addresses.redirect.as_ref();
    redirect.is_some_and(|Address { place, .. }| {
        matches!(place, Endpoint::Inet { port, .. } if (1..1024).contains(port))
    })
}
