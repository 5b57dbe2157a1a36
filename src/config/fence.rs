//! What of the machine a worker needs for what it is to serve.

use crate::guest::{Capabilities, Place};
use crate::request::files;
use crate::sys::watch::directory_of;
use crate::worker::Fence;

pub fn around(capabilities: &Capabilities, files: &[files::Directory]) -> Fence {
    let mut fence = Fence {
        readable: files.iter().map(|files| files.path.clone()).collect(),
        writable: Vec::new(),
        connects: !(capabilities.outbound.rules.is_empty() && capabilities.sockets.is_empty()),
    };
    for directory in &capabilities.directories {
        let paths = match directory.writable {
            true => &mut fence.writable,
            false => &mut fence.readable,
        };
        paths.push(directory.host.clone());
    }
    match &capabilities.keyvalue {
        // Beside the file are its journals.
        Some(Place::Sqlite(path)) => fence.writable.push(directory_of(path).to_owned()),
        Some(Place::Redis(_)) => fence.connects = true,
        None => {}
    }
    fence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::config::Config;
    use clap::Parser;
    use std::path::Path;

    fn fence(arguments: &[&str]) -> Option<Fence> {
        let arguments = ["wasmserve", "app.wasm"].iter().chain(arguments);
        let config = Config::resolve(&Cli::parse_from(arguments).serve);
        config.unwrap().worker.fence
    }

    #[test]
    fn only_what_was_named_is_within() {
        let fence = |arguments: &[&str]| super::tests::fence(arguments).unwrap();
        let nothing = fence(&[]);
        assert!(nothing.readable.is_empty() && nothing.writable.is_empty() && !nothing.connects);
        let files = fence(&[
            "--static", "/a=/usr", "--dir", "/etc::/e", "--dir-rw", "/tmp::/t",
        ]);
        assert_eq!(files.readable, [Path::new("/usr"), Path::new("/etc")]);
        assert_eq!(files.writable, [Path::new("/tmp")]);
        assert_eq!(
            fence(&["--keyvalue", "sqlite:a.db"]).writable,
            [Path::new(".")]
        );
        assert_eq!(
            fence(&["--keyvalue", "sqlite:/tmp/a.db"]).writable,
            [Path::new("/tmp")]
        );
        for connects in [
            ["--allow-http", "*"],
            ["--allow-net", "10.0.0.0/8:53"],
            ["--keyvalue", "redis://localhost"],
        ] {
            assert!(fence(&connects).connects, "{connects:?}");
        }
    }

    #[test]
    fn there_need_not_be_one() {
        assert!(fence(&["--no-sandbox"]).is_none());
    }
}
