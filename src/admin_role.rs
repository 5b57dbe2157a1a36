//! This file runs the admin process as one of the supervisor's children, and says what it is told about the version
//! that is served. It stands in the crate's root, since it names rooms that do not know each other.

use crate::ServerRoles;
use crate::admin::{Admin, MountedServer};
use crate::channel::CodeInfo;
use crate::config::Config;
use crate::sandbox::{Grants, Role, Sandbox};
use crate::scoreboard::Scoreboard;
use crate::supervisor::{AdminContext, Roles, Served};
use crate::sys::{process, signals};
use crate::warning;
use anyhow::Result;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

/// Answers questions about the server, in a process of its own.
pub fn run(server: &ServerRoles, context: AdminContext) -> Result<()> {
    let sandbox = Sandbox {
        // Nothing of what guests were given.
        grants: Grants::default(),
        sources: Vec::new(),
        cache: None,
        ..server.sandbox().clone()
    };
    sandbox.begin()?;
    // Becoming another user has undone it (PR_SET_PDEATHSIG(2const)).
    process::die_with_parent();
    signals::unblock_for_compiler()?;
    let sockets = server.admin.take().into_sockets();
    let admin = Admin {
        listeners: sockets.into_iter().map(|(socket, _)| socket).collect(),
        scoreboard: context.scoreboard,
        mounts: mounts(server, context.mounts),
        commands: context.commands,
        stays: server.has_admin_always(),
    };
    // What the kernel lacks the workers tell.
    admin.run(|| sandbox.enter(Role::Admin).map(drop))
}

/// Lists what is mounted, with the scoreboards of those that run.
fn mounts(server: &ServerRoles, running: Vec<(String, Rc<Scoreboard>)>) -> Vec<MountedServer> {
    let running = running.into_iter().zip(0..);
    let mut running: HashMap<String, (u16, Rc<Scoreboard>)> = running
        .map(|((name, scoreboard), index)| (name, (index, scoreboard)))
        .collect();
    let mounts = server.config.mounts.iter().map(|mount| {
        let name = mount.route.name.clone();
        MountedServer {
            component: mount.config.component_name().display().to_string(),
            running: running.remove(&name),
            name,
        }
    });
    mounts.collect()
}

/// Keeps the addresses that were bound at the start: what a reload wants otherwise is told, and left.
pub fn keep_addresses(config: &mut Config, served: &Config) {
    if config.addresses != served.addresses {
        warning!("The addresses stay as they are: new ones need a restart");
        config.addresses = served.addresses.clone();
    }
    if config.admin != served.admin {
        warning!("--admin and --no-admin stay as they are: a change needs a restart");
        config.admin = served.admin.clone();
    }
}

/// JSON has no names that are not UTF-8.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Describes the version that is served, as JSON.
pub fn describe(server: &ServerRoles, served: &Served) -> String {
    let (info, order) = (served.info, &server.config.compile_request);
    let instances = match (info, order.limits.reuse.requests) {
        (_, 2..) => "reused",
        (Some(info), _) if info.restores() => "restored",
        _ => "made anew",
    };
    let path = match &server.config.pull {
        Some(pull) => pull.reference.to_string(),
        None => shown(&server.start.file(&order.path)),
    };
    let profiles = order.capabilities.profile.as_ref();
    let profiles = profiles.filter(|it| it.by_command);
    let component = server.config.has_application.then(|| {
        serde_json::json!({
            "path": path,
            "digest": served.name.map(|name| name.component_digest()),
            "world": info.map(CodeInfo::world),
            "generation": served.number,
            "from_cache": served.found,
            "instances": instances,
            "profile_dir": profiles.map(|it| shown(&server.start.file(&it.directory))),
            "served_since": served.since_ms as f64 / 1e3,
        })
    });
    let listeners = match server.mounted_at() {
        None => server.listeners.borrow().addresses(),
        Some(_) => Vec::new(),
    };
    let about = serde_json::json!({
        "component": component,
        "listeners": listeners,
    });
    about.to_string()
}
