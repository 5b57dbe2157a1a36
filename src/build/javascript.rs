//! For JavaScript and TypeScript, esbuild makes one module of the application, and componentize-js a component of
//! that. An application that exports something with a `fetch`, as Hono, Bun, Deno and Workers have it, is called by
//! our bridge; one that brings its own handler, or listens for the `fetch` event, is left as it is. An application
//! takes WebSockets if it opens one in the way of Workers.

mod componentize;
mod late;

use super::project::{JavaScript, nearest};
use super::tool::{Tools, needed};
use super::wit;
use super::{advice, embedded};
use crate::cli;
use crate::sys::exec::on_path;
use anyhow::{Context, Result, bail};
use componentize::{componentize, componentizer};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// These files are bundled with applications, or take part in that.
const OURS: [embedded::Embedded; 22] = [
    ("bindings.mjs", include_str!("javascript/bindings.mjs")),
    ("bodies.js", include_str!("javascript/bodies.js")),
    ("bridge.js", include_str!("javascript/bridge.js")),
    (TABLES, NO_CLASSES),
    (CLASSES, include_str!("javascript/classes.mjs")),
    ("crypto.js", include_str!("javascript/crypto.js")),
    ("development.js", include_str!("javascript/development.js")),
    ("host.js", include_str!("javascript/host.js")),
    ("intl.js", include_str!("javascript/intl.js")),
    ("intl_words.js", include_str!("javascript/intl_words.js")),
    ("late.js", include_str!("javascript/late.js")),
    ("light.js", include_str!("javascript/light.js")),
    ("locale.js", include_str!("javascript/locale.js")),
    ("normalize.js", include_str!("javascript/normalize.js")),
    ("platform.js", include_str!("javascript/platform.js")),
    ("positions.js", include_str!("javascript/positions.js")),
    ("response.js", include_str!("javascript/response.js")),
    ("sockets.js", include_str!("javascript/sockets.js")),
    ("standard.js", include_str!("javascript/standard.js")),
    ("unicode.js", include_str!("javascript/unicode.js")),
    ("waiting.js", include_str!("javascript/waiting.js")),
    ("websocket.js", include_str!("javascript/websocket.js")),
];

/// An application for Workers makes one of these to open a WebSocket.
const PAIR: &str = "WebSocketPair";

/// An application that listens for the `fetch` event calls this.
const LISTENS: &str = "addEventListener";

/// Finds the classes of Unicode that a module names.
const CLASSES: &str = "classes.mjs";
const TABLES: &str = "classes.js";
const NO_CLASSES: &str = "export const classes = {};\n";

/// This module is for an application that listens for events.
const LEFT: &str = "import \"./platform.js\";
export * from \"./application.js\";
";

/// An application exports its own handler by one of these names.
const HANDLERS: [&str; 2] = ["incomingHandler", "wasi:http/incoming-handler@0.2.10"];

const NODE: [&str; 2] = ["nodejs", "npm"];

/// A main file is looked for under these names, in this order, with each of the extensions.
const MAINS: [&str; 10] = [
    "src/index",
    "src/main",
    "src/app",
    "src/server",
    "src/worker",
    "index",
    "main",
    "app",
    "server",
    "worker",
];
const EXTENSIONS: [&str; 6] = ["ts", "tsx", "mts", "js", "jsx", "mjs"];

/// A `NodeProject` is where a project is, and the Node.js that it is built with.
struct NodeProject<'a> {
    root: &'a Path,
    node: &'a Path,
}

/// A `Bundle` is one module, which esbuild has made of a file and all that it imports.
struct Bundle {
    exports: Vec<String>,
    /// It imports these interfaces of the host.
    imports: Vec<String>,
}

pub fn build(
    tools: &mut Tools<'_>,
    project: &JavaScript,
    asked: &cli::Build,
    output: &Path,
) -> Result<()> {
    let node = needed("node", &advice::packages(&NODE))?;
    let root = whole(&project.root)?;
    install(tools, &root)?;
    // Both are looked for before either works.
    esbuild(&root)?;
    componentizer(&root)?;
    let main = match &project.main {
        Some(main) => whole(main)?,
        None => main_of(&root)?,
    };
    let node_project = NodeProject {
        root: &root,
        node: &node,
    };
    let made = bundle(tools, &root, &main, "application.js", &[])?;
    let called =
        made.exports.iter().any(|name| name == "default") && !brings_handler(&made.exports);
    embedded::write_all(tools.scratch(), OURS)?;
    find_classes(tools, &node, "application.js")?;
    let application = tools.scratch().join("application.js");
    let application = std::fs::read_to_string(application).context("esbuild left no module")?;
    if !called && !brings_handler(&made.exports) && !application.contains(LISTENS) {
        bail!(
            "`{}` has no default export, so that nothing answers requests: `export default` what has a `fetch`, such as an \
             application of Hono",
            main.display()
        );
    }
    let sockets = takes_websockets(&application);
    if let Some(note) = &asked.late {
        // What is evaluated when it is served imports nothing of the host, and exports nothing more.
        if called && made.imports.is_empty() && !sockets {
            return late::build(tools, &node_project, &main, note, output);
        }
        late::leave_nothing_out(note)?;
    }
    let entry = tools.scratch().join("entry.js");
    let text = match called {
        true => entry_of(&application, asked.development),
        false => entry_beside(&made.exports),
    };
    embedded::write(&entry, text.as_bytes())?;
    bundle(tools, &root, &entry, "bundle.js", &[])?;
    let world = match (called, sockets) {
        (true, true) => wit::WITH_WEBSOCKETS,
        (true, false) => wit::BRIDGED,
        (false, _) => wit::WORLD,
    };
    componentize(tools, &node_project, world, &made.imports, output)
}

/// Says whether an application, which is one module, takes WebSockets.
fn takes_websockets(application: &str) -> bool {
    application.contains(PAIR)
}

/// Writes the module that has our bridge call an application. What comes first is there before the application is
/// evaluated.
fn entry_of(application: &str, development: bool) -> String {
    let mut lines = vec!["import { handlerOf } from \"./bridge.js\";"];
    let mut exports = vec![];
    if development {
        lines.push("import { shown } from \"./development.js\";");
    }
    let given = if development { ", shown" } else { "" };
    exports.push(format!(
        "export const incomingHandler = handlerOf(application{given});"
    ));
    if takes_websockets(application) {
        lines.push("import { socketHandlerOf } from \"./websocket.js\";");
        exports.push(format!(
            "export const socketHandler = socketHandlerOf(application{given});"
        ));
    }
    lines.push("import application from \"./application.js\";");
    lines.extend(exports.iter().map(String::as_str));
    lines.push("export { bridge, lifecycle as application } from \"./bridge.js\";\n");
    lines.join("\n")
}

fn whole(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("cannot find `{}`", path.display()))
}

fn brings_handler(exports: &[String]) -> bool {
    handler_in(exports).is_some()
}

/// Finds the name that an application exports its own handler by.
fn handler_in(exports: &[String]) -> Option<&String> {
    exports
        .iter()
        .find(|name| HANDLERS.contains(&name.as_str()))
}

/// Writes the module for an application that our bridge does not call. Its own handler is called by way of ours, which knows
/// then that the instance is one that answers, and has random numbers of its own.
fn entry_beside(exports: &[String]) -> String {
    let Some(name) = handler_in(exports) else {
        return LEFT.to_owned();
    };
    format!(
        "import {{ begun }} from \"./platform.js\";\n\
         import {{ \"{name}\" as own }} from \"./application.js\";\n\
         export * from \"./application.js\";\n\
         const handler = begun(own);\n\
         export {{ handler as \"{name}\" }};\n"
    )
}

/// Has npm install what package.json asks for, where nothing was installed yet.
fn install(tools: &mut Tools<'_>, root: &Path) -> Result<()> {
    let Ok(text) = std::fs::read_to_string(root.join("package.json")) else {
        return Ok(());
    };
    let package: Value = serde_json::from_str(&text).context("package.json is no JSON")?;
    let wants = ["dependencies", "devDependencies"].iter().any(|kind| {
        package[kind]
            .as_object()
            .is_some_and(|list| !list.is_empty())
    });
    if !wants || nearest(root, "node_modules").is_some() {
        return Ok(());
    }
    let locked = root.join("package-lock.json").exists();
    let mut command = Command::new(needed("npm", &advice::packages(&NODE))?);
    command
        .current_dir(root)
        .arg(if locked { "ci" } else { "install" })
        .args(["--no-audit", "--no-fund"]);
    tools.run("npm install", command)
}

/// Finds the main file that package.json names, or else one of a usual name.
fn main_of(root: &Path) -> Result<PathBuf> {
    let text = std::fs::read_to_string(root.join("package.json")).unwrap_or_default();
    let package: Value = serde_json::from_str(&text).unwrap_or_default();
    let named = ["module", "main"]
        .iter()
        .filter_map(|field| Some(root.join(package[field].as_str()?)));
    let usual = MAINS.iter().flat_map(|name| {
        EXTENSIONS
            .iter()
            .map(move |extension| root.join(format!("{name}.{extension}")))
    });
    named
        .chain(usual)
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "`{}` has no main file: name it in package.json (`\"main\": \"src/index.ts\"`)",
                root.display()
            )
        })
}

/// Makes one module of a file and all that it imports.
fn bundle(
    tools: &mut Tools<'_>,
    root: &Path,
    main: &Path,
    module: &str,
    more: &[&str],
) -> Result<Bundle> {
    let facts = tools.scratch().join("facts.json");
    let mut command = Command::new(esbuild(root)?);
    command
        .current_dir(root)
        .arg(main)
        .args(["--bundle", "--format=esm", "--target=es2022"])
        // What packages have for browsers does without Node.js, as on Workers, where bundles are made so too.
        .args(["--platform=browser", "--main-fields=browser,module,main"])
        .args(["--conditions=worker,browser,import", "--external:wasi:*"])
        // Packages ask it in passing, and there is no `process`.
        .arg("--define:process.env.NODE_ENV=\"production\"")
        .args(["--external:wasmserve:*", "--external:spin:*"])
        // The engine has no tables of Unicode. What makes an expression when it is evaluated is given those that
        // `classes.mjs` has found; a literal would be a syntax error of the whole module.
        // All that may have one are made so, as esbuild does not look between brackets.
        .args([
            "--supported:regexp-sticky-and-unicode-flags=false",
            "--supported:regexp-set-notation=false",
        ])
        .arg("--log-level=warning")
        .args(more)
        .arg(option("--metafile=", &facts))
        .arg(option("--outfile=", &tools.scratch().join(module)));
    if let Err(error) = tools.run("esbuild", command) {
        if tools.has_said("is built into node") {
            bail!(
                "the engine has no modules of Node.js, such as that named above: use what the web platform has, or a package that \
                 is made for browsers or Workers"
            );
        }
        return Err(error);
    }
    let text = std::fs::read_to_string(&facts).context("esbuild left no metafile")?;
    let facts: Value = serde_json::from_str(&text).context("esbuild's metafile is no JSON")?;
    Ok(Bundle::of(&facts))
}

/// Writes the tables of the classes of Unicode that a module names, for `unicode.js`. Says whether it names any.
fn find_classes(tools: &mut Tools<'_>, node: &Path, module: &str) -> Result<bool> {
    let mut command = Command::new(node);
    command
        .current_dir(tools.scratch())
        .args([CLASSES, module, TABLES]);
    tools.run("node", command)?;
    let found = std::fs::read(tools.scratch().join(TABLES)).context("node left no tables")?;
    Ok(found != NO_CLASSES.as_bytes())
}

fn write_classes(tools: &Tools<'_>, text: &str) -> Result<()> {
    embedded::write(&tools.scratch().join(TABLES), text.as_bytes())
}

impl Bundle {
    /// Reads esbuild's metafile.
    fn of(facts: &Value) -> Bundle {
        let outputs = facts["outputs"].as_object();
        let listed = |what: &'static str| {
            let outputs = outputs.into_iter().flat_map(|outputs| outputs.values());
            outputs
                .filter_map(move |output| output[what].as_array())
                .flatten()
        };
        let exports = listed("exports").filter_map(|name| Some(name.as_str()?.to_owned()));
        let imports = listed("imports").filter(|import| import["external"] == true);
        let imports = imports.filter_map(|import| Some(import["path"].as_str()?.to_owned()));
        Bundle {
            exports: exports.collect(),
            imports: imports.collect(),
        }
    }
}

fn option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push(path);
    option
}

fn esbuild(root: &Path) -> Result<PathBuf> {
    installed(root, ".bin/esbuild", "esbuild", "esbuild")
}

/// Finds a tool that the project has, or one on the path.
fn installed(root: &Path, file: &str, program: &str, packages: &str) -> Result<PathBuf> {
    let local = Path::new("node_modules").join(file);
    let here = nearest(root, &local.to_string_lossy()).map(|directory| directory.join(local));
    match here.or_else(|| on_path(program)) {
        Some(found) => Ok(found),
        None => bail!(
            "{program} is missing; install it with `npm install --save-dev {packages}` in `{}`",
            root.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_that_opens_no_websocket_takes_none() {
        let entry = entry_of("export default { fetch() {} };", false);
        assert!(!entry.contains("socket"), "{entry}");
        let entry = entry_of("const pair = new WebSocketPair();", true);
        let handler = "export const socketHandler = socketHandlerOf(application, shown);";
        let place = |part: &str| entry.find(part).unwrap();
        assert!(entry.contains(handler), "{entry}");
        assert!(place("./websocket.js") < place("./application.js"));
    }
}
