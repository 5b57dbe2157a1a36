//! This file runs the exporter as one of the supervisor's children. It stands in the crate's root, since it names rooms
//! that do not know each other.

use crate::exporter::Exporter;
use crate::roles::ServerRoles;
use crate::sandbox::{Grants, Role, Sandbox};
use crate::supervisor::ExporterContext;
use crate::sys::process;
use anyhow::Result;

/// Sends the spans of requests to a collector, in a process of its own.
pub fn run(server: &ServerRoles, context: ExporterContext) -> Result<()> {
    let Some(settings) = server.config.exporter.clone() else {
        return Ok(());
    };
    let sandbox = Sandbox {
        // Nothing of what guests were given.
        grants: Grants {
            connects: true,
            port: Some(settings.port()),
            ..Grants::default()
        },
        sources: Vec::new(),
        cache: None,
        ..server.sandbox().clone()
    };
    sandbox.begin()?;
    // Becoming another user has undone it (PR_SET_PDEATHSIG(2const)).
    process::die_with_parent();
    let exporter = Exporter {
        settings,
        scoreboard: context.scoreboard,
        lifeline: context.lifeline,
    };
    // What the kernel lacks the workers tell.
    exporter.run(|| sandbox.enter(Role::Exporter).map(drop))
}
