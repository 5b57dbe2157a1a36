//! Components that are mounted beside the application: each with a server of its own, behind the same addresses.

mod bad_input;
mod forwarding;
mod life;

use crate::harness::{Folder, HELLO, Server, Start, guest};
use std::fs;

/// A configuration file that mounts what these tables say, and a folder for what else there is.
struct Site {
    folder: Folder,
}

impl Site {
    fn new(text: &str) -> Site {
        let site = Site {
            folder: Folder::new("mounts"),
        };
        site.write(text);
        site
    }

    /// Writes the file anew. `{behaviours}` and `{hello}` are the paths of components.
    fn write(&self, text: &str) {
        let text = text
            .replace("{behaviours}", &guest("behaviours"))
            .replace("{hello}", HELLO);
        fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> String {
        self.folder.file("site.toml")
    }

    fn server(&self) -> Start {
        Server::configured().option("--config-file", self.file())
    }
}

/// An application and two mounts, of which one is reused.
const SITE: &str = r#"
component = "{hello}"
env = ["WHO=application"]
[mount."/api"]
component = "{behaviours}"
env = ["WHO=api"]
max-memory = "8MiB"
[mount."/api/v2"]
component = "{behaviours}"
reuse = 100
[mount."admin.example.com/"]
component = "{behaviours}"
env = ["WHO=admin"]
"#;
