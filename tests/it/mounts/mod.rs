//! Components that are mounted beside the application: each with a server of its own, behind the same addresses.

mod bad_input;
mod forwarding;
mod life;
mod lost;
mod orders;

use crate::harness::{Folder, HELLO, Server, Start, guest};
use serde_json::Value;
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

/// What the status says of the mount at this place.
fn mount(server: &Server, at: &str) -> Value {
    let status = server.status();
    let mounts = status["mounts"].as_array().unwrap();
    let found = mounts.iter().find(|mount| mount["at"] == at);
    found.unwrap_or_else(|| panic!("{at} in {status}")).clone()
}

fn pid(mount: &Value) -> i32 {
    i32::try_from(mount["pid"].as_i64().unwrap()).unwrap()
}

/// A site whose first mount is a file that is replaced.
fn replaceable() -> (Site, String) {
    let site = Site::new("");
    let file = site.folder.file("one.wasm");
    fs::copy(guest("behaviours"), &file).unwrap();
    site.write(&format!(
        "component = \"{{hello}}\"\n[mount.\"/one\"]\ncomponent = \"{file}\"\n\
         [mount.\"/two\"]\ncomponent = \"{{behaviours}}\"\nreuse = 1000\n"
    ));
    (site, file)
}
