//! This file says what a path is a project of, by its name, or by the names of what is in it.

use crate::sys::watch::directory_of;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

#[derive(Debug, PartialEq, Eq)]
pub enum Project {
    /// The project is one source, or a directory of them.
    C(PathBuf),
    /// A project in Go has the directory of its program, or one above that.
    Go(PathBuf),
    JavaScript(JavaScript),
    /// A project in Python has its main file, or its directory.
    Python(PathBuf),
    /// A project in Rust has the directory of its Cargo.toml.
    Rust(PathBuf),
}

#[derive(Debug, PartialEq, Eq)]
pub struct JavaScript {
    /// The root is the directory of its package.json, or of its main file where there is none.
    pub root: PathBuf,
    /// The main file is there where it was named.
    pub main: Option<PathBuf>,
}

/// These files tell what a directory is, with the language that they tell of, and whether they do so even where
/// another language's are there too: what a language's own tool reads, not what one happens to name a file.
const SIGNS: [(&str, &str, bool); 23] = [
    ("Cargo.toml", "Rust", true),
    ("go.mod", "Go", true),
    ("go.work", "Go", true),
    ("package.json", "JavaScript", true),
    ("pyproject.toml", "Python", true),
    ("requirements.txt", "Python", true),
    ("main.c", "C", false),
    ("main.py", "Python", false),
    ("app.py", "Python", false),
    ("api.py", "Python", false),
    ("asgi.py", "Python", false),
    ("wsgi.py", "Python", false),
    ("application.py", "Python", false),
    ("app/main.py", "Python", false),
    ("app/app.py", "Python", false),
    ("app/api.py", "Python", false),
    ("app/asgi.py", "Python", false),
    ("app/wsgi.py", "Python", false),
    ("app/application.py", "Python", false),
    ("app/__init__.py", "Python", false),
    ("index.js", "JavaScript", false),
    ("index.mjs", "JavaScript", false),
    ("index.ts", "JavaScript", false),
];

impl Project {
    /// `app` names an application in Python within a directory, whatever else that has.
    pub fn recognise(path: &Path, app: Option<&str>) -> Result<Project> {
        if path.ends_with(PATTERN) {
            return Ok(Project::Go(without_pattern(path).to_owned()));
        }
        if path.is_dir() && app.is_some() {
            return Ok(Project::Python(path.to_owned()));
        }
        if path.is_dir() {
            return Project::of_directory(path);
        }
        if !path.exists() {
            bail!("cannot find `{}`", path.display());
        }
        Project::of_file(path)
    }

    fn of_file(path: &Path) -> Result<Project> {
        let directory = directory_of(path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some((sign, language, _)) = SIGNS.iter().find(|(sign, _, own)| *own && *sign == name)
        {
            return Ok(Project::of_language(language, directory, sign));
        }
        let with = |sign| nearest(directory, sign).unwrap_or_else(|| directory.to_owned());
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("c") => Ok(Project::C(path.to_owned())),
            Some("py") => Ok(Project::Python(path.to_owned())),
            Some("js" | "mjs" | "ts" | "mts" | "jsx" | "tsx") => {
                Ok(Project::JavaScript(JavaScript {
                    root: with("package.json"),
                    main: Some(path.to_owned()),
                }))
            }
            Some("rs") => Ok(Project::Rust(with("Cargo.toml"))),
            Some("go") => Ok(Project::Go(directory.to_owned())),
            Some("wasm" | "wat") => bail!(
                "`{}` is built already: `wasmserve {0}` serves it",
                path.display()
            ),
            _ => bail!(
                "cannot tell what language `{}` is written in; give a .py, .js, .ts, .rs, .go or .c file, or \
                 the directory of a project",
                path.display()
            ),
        }
    }

    fn of_directory(path: &Path) -> Result<Project> {
        let signs = |own: bool| {
            let mut found: Vec<(&str, &str)> = SIGNS
                .iter()
                .filter(|(name, _, counts)| *counts == own && path.join(name).is_file())
                .map(|(name, language, _)| (*name, *language))
                .collect();
            found.dedup_by_key(|(_, language)| *language);
            found
        };
        let found = match signs(true) {
            found if found.is_empty() => signs(false),
            found => found,
        };
        match found[..] {
            [(name, language)] => Ok(Project::of_language(language, path, name)),
            [] if nearest(path, "go.mod").is_some() => Ok(Project::Go(path.to_owned())),
            [] => bail!(
                "`{}` is no project that is known here: it has no Cargo.toml, go.mod, package.json, \
                 pyproject.toml, requirements.txt, main.py, app.py, app/main.py, main.c, index.js or \
                 index.ts; name the application's main file",
                path.display()
            ),
            [(one, _), (other, _), ..] => bail!(
                "`{}` has both {one} and {other}: name the one that is the application's",
                path.display()
            ),
        }
    }

    fn of_language(language: &str, path: &Path, sign: &str) -> Project {
        match language {
            "C" => Project::C(path.to_owned()),
            "Rust" => Project::Rust(path.to_owned()),
            "Go" => Project::Go(path.to_owned()),
            "Python" => Project::Python(path.to_owned()),
            _ => Project::JavaScript(JavaScript {
                root: path.to_owned(),
                main: (sign != "package.json").then(|| path.join(sign)),
            }),
        }
    }
}

/// Go's own commands take all packages of a directory so.
const PATTERN: &str = "...";

/// Finds the directory that such a pattern names, and else gives the path as it is.
pub fn without_pattern(path: &Path) -> &Path {
    match path.ends_with(PATTERN) {
        true => directory_of(path),
        false => path,
    }
}

/// Finds the nearest directory, from this one upwards, that has such a file.
pub fn nearest(directory: &Path, name: &str) -> Option<PathBuf> {
    let whole = directory.canonicalize().ok()?;
    let mut ancestors = whole.ancestors();
    ancestors
        .find(|ancestor| ancestor.join(name).exists())
        .map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Scratch;

    fn with(files: &[&str]) -> (Scratch, Result<Project, String>) {
        let scratch = Scratch::new().unwrap();
        for file in files {
            std::fs::write(scratch.path().join(file), "").unwrap();
        }
        let project = Project::recognise(scratch.path(), None).map_err(|error| error.to_string());
        (scratch, project)
    }

    #[test]
    fn a_directory_is_what_its_tools_read() {
        let (at, project) = with(&["Cargo.toml", "main.py"]);
        assert_eq!(project.unwrap(), Project::Rust(at.path().to_owned()));
        let (at, project) = with(&["requirements.txt", "pyproject.toml", "main.py"]);
        assert_eq!(project.unwrap(), Project::Python(at.path().to_owned()));
    }

    #[test]
    fn what_is_two_things_or_none_must_be_named() {
        let (_at, project) = with(&["package.json", "requirements.txt"]);
        let error = project.unwrap_err();
        assert!(
            error.contains("has both package.json and requirements.txt"),
            "{error}"
        );
        let (_at, project) = with(&["notes.txt"]);
        assert!(
            project
                .unwrap_err()
                .contains("name the application's main file")
        );
    }

    #[test]
    fn a_directory_in_a_module_of_go_is_a_part_of_it() {
        let (at, project) = with(&["go.mod", "package.json"]);
        assert!(
            project
                .unwrap_err()
                .contains("both go.mod and package.json")
        );
        let below = at.path().join("cmd/server");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::write(below.join("main.go"), "").unwrap();
        for (path, meant) in [
            ("go.mod", ""),
            ("./...", ""),
            ("cmd/...", "cmd"),
            ("cmd/server", "cmd/server"),
            ("cmd/server/main.go", "cmd/server"),
        ] {
            let project = Project::recognise(&at.path().join(path), None).unwrap();
            assert_eq!(project, Project::Go(at.path().join(meant)), "{path}");
        }
        assert_eq!(without_pattern(Path::new("...")), Path::new("."));
    }

    #[test]
    fn a_file_is_what_it_is_called() {
        let (at, _) = with(&["main.py", "package.json", "server.ts", "app.wasm"]);
        let main = at.path().join("main.py");
        assert_eq!(
            Project::recognise(&main, None).unwrap(),
            Project::Python(main)
        );
        let server = at.path().join("server.ts");
        let project = Project::recognise(&server, None).unwrap();
        let root = at.path().canonicalize().unwrap();
        let main = Some(server);
        assert_eq!(project, Project::JavaScript(JavaScript { root, main }));
        assert!(Project::recognise(&at.path().join("app.wasm"), None).is_err());
    }
}
