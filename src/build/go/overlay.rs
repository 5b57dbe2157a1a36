//! An overlay replaces files of an application's module and of Go's own packages while it is built, so that no file of
//! either is changed: our bridge, and the places where Go asks it first.

use super::databases::{COMMON, Driver};
use super::package::Package;
use super::paths;
use super::{NEWEST, OLDEST, embedded, read};
use crate::build::embedded::Embedded;
use anyhow::{Result, bail};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// The bridge is here within the application's module.
const WITHIN: &str = "internal/wasmserve";

/// These are the packages of the bridge: the bindings are as wit-bindgen writes them (`guests/go/bindings`).
const PACKAGES: [Embedded; 14] = [
    ("bridge/body.go", include_str!("bridge/body.go")),
    ("bridge/lifecycle.go", include_str!("bridge/lifecycle.go")),
    ("bridge/request.go", include_str!("bridge/request.go")),
    ("bridge/response.go", include_str!("bridge/response.go")),
    ("bridge/server.go", include_str!("bridge/server.go")),
    ("bridge/transport.go", include_str!("bridge/transport.go")),
    ("bridge/wait.go", include_str!("bridge/wait.go")),
    (
        "wasi_http_outgoing_handler/bindings.go",
        include_str!("bindings/wasi_http_outgoing_handler.go"),
    ),
    (
        "wasi_http_types/bindings.go",
        include_str!("bindings/wasi_http_types.go"),
    ),
    (
        "wasi_io_error/bindings.go",
        include_str!("bindings/wasi_io_error.go"),
    ),
    (
        "wasi_io_poll/bindings.go",
        include_str!("bindings/wasi_io_poll.go"),
    ),
    (
        "wasi_io_streams/bindings.go",
        include_str!("bindings/wasi_io_streams.go"),
    ),
    (
        "wit/runtime/runtime.go",
        include_str!("bindings/wit_runtime.go"),
    ),
    ("wit/types/types.go", include_str!("bindings/wit_types.go")),
];

/// What the host writes is read by this where the bindings have no part in it.
const SPANS: Embedded = ("bridge/spans.go", include_str!("bridge/spans.go"));

/// Has encoding/json make what it makes when it is first used, where the application uses it.
const JSON: Embedded = ("bridge/json.go", include_str!("bridge/json.go"));

/// These files of the bridge are for applications that take WebSockets.
const WEBSOCKETS: [Embedded; 4] = [
    (
        "bridge/connections.go",
        include_str!("bridge/connections.go"),
    ),
    ("bridge/socket.go", include_str!("bridge/socket.go")),
    ("bridge/waiting.go", include_str!("bridge/waiting.go")),
    ("bridge/websocket.go", include_str!("bridge/websocket.go")),
];

/// The packages of the bridge name each other in this way, before they have a place.
const NAMED: [&str; 2] = ["\"wit_component/", "\"go.bytecodealliance.org/pkg/"];

/// The host has memory allocated by this line of theirs, and a collection of garbage in it would ask the host for the
/// time, which traps.
const ALLOCATES: &str = "\t\tpointer := Allocate(&pinner, newSize, align)\n";
const HOLDS: &str = "\t\truntime.WasmserveHold(true)\n\t\tpointer := Allocate(&pinner, newSize, align)\n\
                     \t\truntime.WasmserveHold(false)\n";

/// `Added` is a file that is added to Go's runtime, and relies on these lines of a file of it.
struct Added {
    name: &'static str,
    text: &'static str,
    file: &'static str,
    relies_on: &'static [&'static str],
}

const RESEED: Added = Added {
    name: "wasmserve_reseed.go",
    text: include_str!("bridge/reseed.go"),
    file: "rand.go",
    relies_on: &[
        "\nvar globalRand struct {",
        "\nfunc randinit() {",
        "\nfunc mrandinit(mp *m) {",
    ],
};

const IDLE: Added = Added {
    name: "wasmserve_idle.go",
    text: include_str!("bridge/idle.go"),
    file: "proc.go",
    relies_on: &[
        "\nfunc runqempty(pp *p) bool {",
        "\nfunc (q *gQueue) empty() bool {",
    ],
};

/// A `Patch` puts something else before a line of a file of Go's.
struct Patch {
    file: &'static str,
    /// Stands before this line, which is there once.
    before: &'static str,
    added: &'static str,
    /// Stands at the end of the file.
    declared: &'static str,
}

const PATCHES: [Patch; 5] = [
    // `http2.ConfigureServer` calls Serve too, and has returned before this line.
    Patch {
        file: "net/http/server.go",
        before: "\torigListener := l\n",
        added: "\tif WasmserveServe != nil {\n\t\treturn WasmserveServe(s, l, false)\n\t}\n",
        declared: "\nvar WasmserveServe func(s *Server, l net.Listener, secure bool) error\n",
    },
    Patch {
        file: "net/http/server.go",
        before: "\t// Setup HTTP/2 before s.Serve, to initialize s.TLSConfig\n",
        added: "\tif WasmserveServe != nil {\n\t\treturn WasmserveServe(s, l, true)\n\t}\n",
        declared: "",
    },
    // Whoever registers another protocol has it called; http2.ConfigureTransport does so for https.
    Patch {
        file: "net/http/roundtrip.go",
        before: "\treturn t.roundTrip(req)\n",
        added: "\tif WasmserveRoundTrip != nil && req.URL != nil && (req.URL.Scheme == \"http\" || req.URL.Scheme == \
                \"https\") {\n\t\treturn WasmserveRoundTrip(req)\n\t}\n",
        declared: "\nvar WasmserveRoundTrip func(*Request) (*Response, error)\n",
    },
    // A guest has no /etc/hosts, and this name is nobody's to answer but the host's itself (RFC 6761, section 6.3).
    Patch {
        file: "net/hosts.go",
        before: "\treturn nil, \"\"\n",
        added: "\tif wasmserveIsLocalhost(host) {\n\t\treturn []string{\"127.0.0.1\"}, \"localhost.\"\n\t}\n",
        declared: "\nfunc wasmserveIsLocalhost(host string) bool {\n\tname := []byte(host)\n\tlowerASCIIBytes(name)\n\
                   \treturn string(name) == \"localhost\" || string(name) == \"localhost.\"\n}\n",
    },
    // A file of a form that is larger than the application wants to hold in memory has no other place where nothing can
    // be written.
    Patch {
        file: "mime/multipart/formdata.go",
        before: "\t\tif n > maxFileMemoryBytes {\n",
        added: "\t\tif n > maxFileMemoryBytes && file == nil && !wasmserveSpills(r.tempDir) {\n\
                \t\t\tif _, err := io.Copy(&b, p); err != nil {\n\t\t\t\treturn nil, err\n\t\t\t}\n\
                \t\t\tfh.content = b.Bytes()\n\t\t\tfh.Size = int64(len(fh.content))\n\
                \t\t\tform.File[name] = append(form.File[name], fh)\n\t\t\tcontinue\n\t\t}\n",
        declared: "\nfunc wasmserveSpills(dir string) bool {\n\
                   \tfile, err := os.CreateTemp(dir, \"multipart-\")\n\tif err != nil {\n\t\treturn false\n\t}\n\
                   \tfile.Close()\n\treturn os.Remove(file.Name()) == nil\n}\n",
    },
];

/// Writes the files that are laid over others into `scratch`, and a table of which they are laid over.
pub fn write(
    scratch: &Path,
    goroot: &Path,
    package: &Package,
    drivers: &[&Driver],
) -> Result<PathBuf> {
    let laid = scratch.join("overlay");
    let mut replace = Map::new();
    let mut lay = |name: &str, over: PathBuf, text: String| -> Result<()> {
        let file = laid.join(name);
        embedded::write(&file, text.as_bytes())?;
        let (over, file) = (over.display().to_string(), file.display().to_string());
        replace.insert(over, Value::String(file));
        Ok(())
    };
    let within = format!("\"{}/{WITHIN}/", package.module);
    let takes_websockets = package.takes_websockets();
    let (websockets, added): (&[Embedded], &[Added]) = match takes_websockets {
        true => (&WEBSOCKETS, &[RESEED, IDLE]),
        false => (&[], &[RESEED]),
    };
    let is_with_spans = takes_websockets || !drivers.is_empty();
    let spans = is_with_spans.then_some(&SPANS);
    let common = (!drivers.is_empty()).then_some(&COMMON);
    let json = package.uses("encoding/json").then_some(&JSON);
    let databases = drivers.iter().flat_map(|driver| driver.files);
    let further = websockets.iter().chain(spans).chain(common).chain(json);
    for (name, text) in PACKAGES.iter().chain(further).chain(databases) {
        let placed = NAMED
            .iter()
            .fold((*text).to_owned(), |text, named| {
                text.replace(named, &within)
            })
            .replace(ALLOCATES, HOLDS);
        let over = package.module_directory.join(WITHIN).join(name);
        lay(name, over, placed)?;
    }
    let start = format!(
        "package main\n\nimport {within}bridge\"\n\nfunc init() {{ bridge.Start(main) }}\n"
    );
    let over = package.directory.join("wasmserve_start.go");
    lay("start.go", over, start)?;
    let source = goroot.join("src");
    for file in PATCHES.map(|patch| patch.file) {
        let over = source.join(file);
        let text = asking_first(file, read(&over)?)?;
        lay(&format!("go/{file}"), over, text)?;
    }
    let over = source.join(paths::FILE);
    let text = paths::without_directory(&paths::by_whole_names(&read(&over)?));
    lay(&format!("go/{}", paths::FILE), over, text)?;
    let runtime = source.join("runtime");
    for file in added {
        check_runtime(file, &read(&runtime.join(file.file))?)?;
        lay(file.name, runtime.join(file.name), file.text.to_owned())?;
    }
    let table = scratch.join("overlay.json");
    embedded::write(&table, json!({ "Replace": replace }).to_string().as_bytes())?;
    Ok(table)
}

/// Says whether the runtime has what the file that is added relies on.
fn check_runtime(added: &Added, text: &str) -> Result<()> {
    let mut relied_on = added.relies_on.iter();
    if relied_on.any(|relied_on| !text.contains(relied_on)) {
        bail!(
            "this version of Go has another runtime than is known here; use Go 1.{OLDEST} to 1.{NEWEST}"
        );
    }
    Ok(())
}

fn asking_first(file: &str, mut text: String) -> Result<String> {
    for patch in PATCHES.iter().filter(|patch| patch.file == file) {
        if text.matches(patch.before).count() != 1 {
            bail!(
                "this version of Go has another {file} than is known here; use Go 1.{OLDEST} to 1.{NEWEST}"
            );
        }
        let added = format!("{}{}", patch.added, patch.before);
        text = text.replace(patch.before, &added) + patch.declared;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn net_http_asks_the_bridge_first() {
        let text =
            |patches: &[&Patch]| -> String { patches.iter().map(|patch| patch.before).collect() };
        let [serve, secure, ..] = &PATCHES;
        let asking = asking_first(serve.file, text(&[serve, secure])).unwrap();
        let expected = format!("{}{}{}", serve.added, serve.before, secure.added);
        assert!(asking.starts_with(&expected), "{asking}");
        assert!(asking.ends_with(serve.declared), "{asking}");
        assert!(asking_first(serve.file, text(&[serve])).is_err());
        assert!(asking_first(serve.file, text(&[serve, serve, secure])).is_err());
    }

    /// Each application has other files of the bridge, and few have all of them.
    #[test]
    fn no_two_files_of_the_bridge_declare_one_name() {
        let drivers = super::super::databases::DRIVERS.iter();
        let files = PACKAGES.iter().chain(&WEBSOCKETS);
        let files = files.chain([&SPANS, &JSON, &COMMON]);
        let files = files.chain(drivers.flat_map(|driver| driver.files));
        let lines = files
            .filter(|(name, _)| name.starts_with("bridge/"))
            .flat_map(|(_, text)| text.lines());
        let declared = lines.filter_map(|line| {
            let (kind, rest) = line.split_once(' ')?;
            let name = rest.split(|c: char| !c.is_alphanumeric()).next()?;
            let is_declared = ["func", "type", "const", "var"].contains(&kind);
            (is_declared && !["", "init"].contains(&name)).then_some(name)
        });
        let mut names: Vec<&str> = declared.collect();
        assert!(names.len() > 100, "{names:?}");
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None);
    }

    #[test]
    fn nothing_is_collected_while_the_host_allocates() {
        let allocate = PACKAGES.iter().filter(|(_, text)| text.contains(ALLOCATES));
        assert_eq!(allocate.count(), 1);
    }

    #[test]
    fn a_runtime_that_is_not_known_is_refused() {
        let text = format!("package runtime\n{}", RESEED.relies_on.join("}\n"));
        assert!(check_runtime(&RESEED, &text).is_ok());
        assert!(check_runtime(&RESEED, "package runtime\nfunc randinit() {").is_err());
        assert!(check_runtime(&IDLE, "package runtime\n").is_err());
    }
}
