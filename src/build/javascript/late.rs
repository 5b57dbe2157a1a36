//! Under `wasmserve dev` the component has the bridge alone, and reads the application from a file when it starts. It is
//! made once for each version of the toolchain, and kept; a build makes the file, which takes a fraction of a second.

use super::{
    NO_CLASSES, NodeProject, bundle, componentize, componentizer, find_classes, write_classes,
};
use crate::build::embedded;
use crate::build::project::nearest;
use crate::build::tool::Tools;
use crate::build::wit;
use crate::sys::{directory, file};
use crate::warning;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

/// The component looks for the application under this name, and for where its lines come from beside it.
const NAME: &str = "application.js";
const MAP: &str = "application.js.map";

/// Some components stay, of earlier versions of the toolchain too; each has 13 MB.
const KEPT: usize = 4;

/// These packages take part in making a component.
const PARTS: [&str; 3] = [
    "@bytecodealliance/componentize-js",
    "@bytecodealliance/jco",
    "@bytecodealliance/wizer",
];
const ENGINE: &str = "lib/starlingmonkey_embedding.wasm";

/// Makes the file of an application, and gives the component that reads it; says in `note` which folder belongs there.
pub fn build(
    tools: &mut Tools<'_>,
    project: &NodeProject<'_>,
    main: &Path,
    note: &Path,
    output: &Path,
) -> Result<()> {
    let folder = note.with_extension("files");
    write_application(tools, project, main, &folder)?;
    let kept = kept(project)?;
    let is_there = kept.as_deref().is_some_and(|kept| take(kept, output));
    if !is_there {
        let bridge = tools.scratch().join("late.js");
        bundle(tools, project.root, &bridge, "bundle.js", &[])?;
        componentize(tools, project, wit::LATE, &[], output)?;
        if let Some(kept) = &kept
            && let Err(error) = keep(output, kept)
        {
            warning!("the component is made anew for each change: {error:#}");
        }
    }
    write_note(
        note,
        &json!({"folder": folder, "built": true, "inputs": []}),
    )
}

/// Says that the component has all of the application.
pub fn leave_nothing_out(note: &Path) -> Result<()> {
    write_note(note, &json!({"folder": null}))
}

fn write_note(note: &Path, said: &Value) -> Result<()> {
    embedded::write(note, said.to_string().as_bytes())
}

/// Has esbuild make one script of the application, which hands it over.
fn write_application(
    tools: &mut Tools<'_>,
    project: &NodeProject<'_>,
    main: &Path,
    folder: &Path,
) -> Result<()> {
    let entry = tools.scratch().join("handed.js");
    let main = main
        .to_str()
        .context("the path of the main file is no text")?;
    let text = format!(
        "import application from {};\nglobalThis[Symbol.for(\"wasmserve.application\")](application);\n",
        Value::from(main)
    );
    embedded::write(&entry, text.as_bytes())?;
    let more = ["--sourcemap=external", "--sources-content=false"];
    bundle(tools, project.root, &entry, NAME, &more)?;
    if find_classes(tools, project.node, NAME)? {
        // They are in the file, as the component is that of any application.
        embedded::write(
            &entry,
            format!("import \"./unicode.js\";\n{text}").as_bytes(),
        )?;
        bundle(tools, project.root, &entry, NAME, &more)?;
        write_classes(tools, NO_CLASSES)?;
    }
    let made = tools.scratch();
    let map = std::fs::read(made.join(MAP)).context("esbuild left no source map")?;
    let mut map: Value = serde_json::from_slice(&map).context("esbuild's source map is no JSON")?;
    name_sources(&mut map, &made.canonicalize()?, project.root);
    let script = std::fs::read(made.join(NAME)).context("esbuild left no module")?;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make `{}`", folder.display()))?;
    file::write_whole(&folder.join(MAP), map.to_string().as_bytes())?;
    file::write_whole(&folder.join(NAME), &script)
}

/// Names the files of a source map, which lies in `from`, as whoever works in `root` does.
fn name_sources(map: &mut Value, from: &Path, root: &Path) {
    for source in map["sources"].as_array_mut().into_iter().flatten() {
        let Some(name) = source.as_str() else {
            continue;
        };
        let whole = resolved(&from.join(name));
        let shown = whole.strip_prefix(root).unwrap_or(&whole);
        *source = Value::from(shown.to_string_lossy());
    }
}

/// Returns a path without `..`.
fn resolved(path: &Path) -> PathBuf {
    let mut found = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                found.pop();
            }
            part => found.push(part),
        }
    }
    found
}

/// Finds where a component is kept that these tools make of this bridge; nowhere where the tools cannot be told from
/// others.
fn kept(project: &NodeProject<'_>) -> Result<Option<PathBuf>> {
    let script = componentizer(project.root)?.canonicalize()?;
    let package = script.parent().and_then(Path::parent);
    let (Some(package), Some(cache)) = (package, cache()) else {
        return Ok(None);
    };
    let Ok(engine) = std::fs::read(package.join(ENGINE)) else {
        return Ok(None);
    };
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(&engine);
    for part in PARTS {
        let description = format!("node_modules/{part}/package.json");
        let Some(directory) = nearest(package, &description) else {
            return Ok(None);
        };
        add(&std::fs::read(directory.join(description))?);
    }
    for (name, text) in super::OURS.iter().chain(wit::files()) {
        add(name.as_bytes());
        add(text.as_bytes());
    }
    let digest = hasher.finalize().to_hex();
    Ok(Some(cache.join(format!("late-{}.wasm", &digest[..16]))))
}

/// Takes a component that is kept. Says whether there is one.
fn take(kept: &Path, output: &Path) -> bool {
    let taken = std::fs::copy(kept, output).is_ok();
    if taken {
        let used = File::open(kept).and_then(|file| file.set_modified(SystemTime::now()));
        // It may only go sooner than it should.
        let _ = used;
    }
    taken
}

/// Keeps a component, and removes those that were longest of no use.
fn keep(component: &Path, kept: &Path) -> Result<()> {
    let cache = kept.parent().context("the cache has no name")?;
    // Compiled code is kept beside it, and trusted where nobody else can write.
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    let made = builder.create(cache);
    made.with_context(|| format!("cannot make `{}`", cache.display()))?;
    file::write_whole(kept, &std::fs::read(component)?)?;
    let entries = std::fs::read_dir(cache)?.flatten();
    let found = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("late-"));
    let times = found.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry)));
    let mut found: Vec<_> = times.collect();
    found.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    for (_, entry) in found.into_iter().skip(KEPT) {
        let _ = std::fs::remove_file(entry.path());
    }
    Ok(())
}

fn cache() -> Option<PathBuf> {
    Some(directory::of_user_caches()?.join("wasmserve/javascript"))
}
