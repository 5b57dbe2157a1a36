//! This file resolves the directories whose files are served.

use super::option;
use crate::request::files::Directory;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

pub fn directories(texts: &[String]) -> Result<Vec<Directory>> {
    let mut found: Vec<Directory> = Vec::new();
    for text in texts {
        let directory = option("--static", text, directory)?;
        if found.iter().any(|other| other.prefix == directory.prefix) {
            bail!("option --static: `{}/` is named twice", directory.prefix);
        }
        found.push(directory);
    }
    Ok(found)
}

fn directory(text: &str) -> Result<Directory> {
    let (prefix, path) = text
        .split_once('=')
        .with_context(|| format!("`{text}` is not URLPATH=DIR; write it like /assets=./dist"))?;
    if !prefix.starts_with('/') {
        bail!("`{prefix}` does not begin with a slash; write it like /assets=./dist");
    }
    let path = PathBuf::from(path);
    let metadata = std::fs::metadata(&path);
    let metadata = metadata.with_context(|| format!("cannot open `{}`", path.display()))?;
    if !metadata.is_dir() {
        bail!("`{}` is not a directory", path.display());
    }
    Ok(Directory {
        prefix: prefix.trim_end_matches('/').to_owned(),
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_a_directory_are_told_apart() {
        let read = |text: &str| directory(text).unwrap().prefix;
        assert_eq!(read("/assets/=/tmp"), "/assets");
        assert_eq!(read("/=/tmp"), "");
        for mistake in [
            "/tmp",
            "assets=/tmp",
            "/a=/nowhere/at/all",
            "/a=/proc/version",
        ] {
            assert!(directory(mistake).is_err(), "{mistake}");
        }
        let twice = ["/a=/tmp".to_owned(), "/a/=/".to_owned()];
        assert!(directories(&twice).is_err());
    }
}
