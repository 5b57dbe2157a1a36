//! An application in Python or JavaScript is read when it is served, so that a change of it takes a new start of the
//! application, and no new component. One in Python is read from its folder, and a build is needed where what it
//! requires has changed; one in JavaScript is read from a file that each build makes of it.

use crate::sys::file;
use anyhow::{Context, Result};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The component looks for the application here.
const GUEST_PATH: &str = "/app";

/// These files say what an application requires, wherever they are.
const REQUIREMENTS: [&str; 2] = ["requirements.txt", "pyproject.toml"];

/// An `AppFolder` has the application that a build has left out of the component.
pub struct AppFolder {
    /// The application is in this folder.
    folder: PathBuf,
    /// The component was made from these files.
    inputs: Vec<PathBuf>,
    /// The build made what is in the folder.
    is_built: bool,
}

impl AppFolder {
    /// Reads what the build has said; returns `None` where it has left out nothing.
    pub fn read(note: &Path) -> Result<Option<AppFolder>> {
        let text = std::fs::read(note).context("the build does not say what it has left out")?;
        let note: Value = serde_json::from_slice(&text)?;
        let Some(folder) = note["folder"].as_str().map(PathBuf::from) else {
            return Ok(None);
        };
        let inputs = note["inputs"].as_array().context("no inputs")?;
        let inputs = inputs.iter().filter_map(Value::as_str).map(PathBuf::from);
        Ok(Some(AppFolder {
            folder,
            inputs: inputs.collect(),
            is_built: note["built"] == true,
        }))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Has the name that the server was given lead to the application's folder.
    pub fn place(&self, link: &Path) -> Result<()> {
        point(link, &self.folder)
    }

    /// Says whether it is enough to start the application again when these files have changed.
    pub fn is_enough(&self, changed: &[PathBuf]) -> bool {
        let is_enough = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default();
            let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
            !REQUIREMENTS.contains(&&*name.to_string_lossy()) && !self.inputs.contains(&whole)
        };
        !self.is_built && changed.iter().all(is_enough)
    }
}

/// Says whether two files have the same in them.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let read = |path| std::fs::read(path).ok();
    read(one).is_some_and(|bytes| read(other) == Some(bytes))
}

/// Has a name lead to this directory.
pub fn point(link: &Path, directory: &Path) -> Result<()> {
    let pointed = file::point(link, directory, &link.with_extension("new"));
    pointed.with_context(|| format!("cannot make `{}`", link.display()))
}

/// Makes the option that gives the guest a directory for the application.
pub fn grant(directory: &Path) -> [OsString; 2] {
    let mut grant = directory.as_os_str().to_owned();
    grant.push("::");
    grant.push(GUEST_PATH);
    ["--dir".into(), grant]
}

/// Says whether the options to serve with leave the guest's directory of the application alone.
pub fn is_possible(options: &[OsString]) -> bool {
    let is_taken = |word: &OsString| {
        let word = word.to_string_lossy();
        word.ends_with("::/app") || word.ends_with("::/app/")
    };
    !options.iter().any(is_taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Scratch;

    #[test]
    fn a_build_is_needed_where_what_is_required_has_changed() {
        let scratch = Scratch::new().unwrap();
        let at = scratch.path().canonicalize().unwrap();
        let [main, listing, more] = ["main.py", "dev.txt", "page.html"].map(|name| at.join(name));
        for file in [&main, &listing, &more] {
            std::fs::write(file, "").unwrap();
        }
        let note = at.join("note");
        let text = serde_json::json!({"folder": &at, "inputs": [&listing]});
        std::fs::write(&note, text.to_string()).unwrap();
        let app = AppFolder::read(&note).unwrap().unwrap();
        assert!(app.is_enough(&[main.clone(), more]));
        assert!(!app.is_enough(&[main, listing]));
        assert!(
            !app.is_enough(&[at.join("requirements.txt")]),
            "it is new, or gone"
        );
        let text = serde_json::json!({"folder": &at, "inputs": [], "built": true});
        std::fs::write(&note, text.to_string()).unwrap();
        let built = AppFolder::read(&note).unwrap().unwrap();
        assert!(!built.is_enough(&[at.join("index.js")]));
        std::fs::write(&note, r#"{"folder": null}"#).unwrap();
        assert!(AppFolder::read(&note).unwrap().is_none());
        let link = at.join("link");
        point(&link, Path::new("/")).unwrap();
        app.place(&link).unwrap();
        assert_eq!(std::fs::read_link(&link).unwrap(), at);
    }

    #[test]
    fn a_directory_that_somebody_gave_the_guest_stays() {
        let options = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert!(is_possible(&options(&[
            "--port",
            "1",
            "--dir",
            "data::/data"
        ])));
        assert!(!is_possible(&options(&["--dir-rw", ".::/app"])));
        assert!(!is_possible(&options(&["--dir-rw=.::/app"])));
    }
}
