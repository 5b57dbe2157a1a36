//! These options say what the processes that serve may ask of the system, and who they run as.

use clap::Args;

#[derive(Clone, Debug, Args)]
pub struct Sandbox {
    /// auto: confine processes as far as the kernel can; strict: serve nothing unless it can do all of it; off: confine nothing
    /// [default: auto]
    #[arg(
        long,
        value_name = "MODE",
        env = "WASMSERVE_SANDBOX",
        help_heading = "Processes"
    )]
    pub sandbox: Option<String>,

    /// The same as --sandbox off
    #[arg(long, env = "WASMSERVE_NO_SANDBOX", help_heading = "Processes")]
    pub no_sandbox: bool,

    /// Run everything but the supervisor as this user, by name or number (started by root)
    #[arg(
        long,
        value_name = "USER",
        env = "WASMSERVE_USER",
        help_heading = "Processes"
    )]
    pub user: Option<String>,

    /// Run everything but the supervisor with this group [default: those of --user]
    #[arg(
        long,
        value_name = "GROUP",
        env = "WASMSERVE_GROUP",
        help_heading = "Processes"
    )]
    pub group: Option<String>,
}

impl Sandbox {
    /// Gives the mode that was asked for, or the one that holds where neither option is given.
    pub fn mode(&self) -> &str {
        match (&self.sandbox, self.no_sandbox) {
            (Some(mode), _) => mode,
            (None, true) => "off",
            (None, false) => "auto",
        }
    }
}
