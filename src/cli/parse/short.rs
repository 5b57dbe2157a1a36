//! `wasmserve -h` prints what most people need, on one screen of 24 lines and 80 columns.

use crate::cli::Cli;
use clap::CommandFactory;
use clap::error::{Error, ErrorKind};
use std::ffi::OsString;

/// This is the help of serving. `wasmserve --help` lists everything.
const SERVING: &str = "\
Serves a WASI HTTP component from several worker processes

Usage: wasmserve [OPTIONS] <COMPONENT>
       wasmserve build main.py -o app.wasm    make a component of a project
       wasmserve dev .                        build and serve, again on change
       wasmserve inspect|check|compile        look before serving
       wasmserve status|reload|scale|stop     steer a server that is running

  -w, --workers <COUNT>        worker processes, or auto
      --bind <ADDRESS>         HOST:PORT, unix:PATH, fd://3 [127.0.0.1:8000]
      --host, --port, --uds    the same as uvicorn has them
      --reload                 reload when the component's file changes
      --ssl-certfile, --ssl-keyfile <FILE>   speak TLS
      --env <NAME=VALUE>       an environment variable for the application
      --dir-rw <HOST::GUEST>   a directory that it may read and write
      --allow-http <RULE>      where it may send requests
      --keyvalue <STORE>       sqlite:PATH or redis://HOST:PORT
      --max-memory <SIZE>      memory of one instance [512MiB]
      --timeout-request <DURATION>           time until a response begins [30s]
      --config-file <FILE>     options from a TOML file

      --help                   every option; each has a variable WASMSERVE_...
";

/// This is the short help of the commands that have all options of serving.
const CHECK: &str = "\
Check the options and the component, say what would be used, and serve nothing

Usage: wasmserve check [OPTIONS] <COMPONENT>

It takes the options of serving: `wasmserve -h` has the most common ones.

      --help                   every option; each has a variable WASMSERVE_...
";
const UNIT: &str = "\
Print a hardened service and its socket for systemd

Usage: wasmserve unit [OPTIONS] <COMPONENT>

      --name <NAME>            what the units are called [the component's file]
  -o, --output <DIR>           write NAME.service and NAME.socket into it

It takes the options of serving too: `wasmserve -h` has the most common ones.

      --help                   every option; each has a variable WASMSERVE_...
";

/// Puts the short help in place of the long one, where it is `-h` that asks for help with serving.
pub fn in_place_of(help: Error, given: &[OsString]) -> Error {
    let asks = |what: &str| given.iter().any(|given| given == what);
    if help.kind() != ErrorKind::DisplayHelp || !asks("-h") || asks("--help") {
        return help;
    }
    let first = given.get(1).and_then(|first| first.to_str());
    let text = match first {
        Some("check") => CHECK,
        Some("unit") => UNIT,
        Some(name) if Cli::command().find_subcommand(name).is_some() => return help,
        _ => SERVING,
    };
    // The library prints it, as any help.
    let short = Cli::command().override_help(text);
    let asked = short.try_get_matches_from(["wasmserve", "-h"]);
    asked.err().unwrap_or(help)
}
