//! What `wasmserve dev` reads in the options to serve with, and adds to them.

use std::ffi::{OsStr, OsString};

/// Has code be there soon rather than be fast, unless the options to serve with say otherwise.
pub fn compiling(options: &[OsString]) -> Option<&'static str> {
    let level = |word: &OsString| word.to_string_lossy().starts_with("--opt-level");
    (!options.iter().any(level)).then_some("--opt-level=0")
}

/// Finds `--env NAME=VALUE` among the options to serve with, in whatever form, for the build.
pub fn variables(options: &[OsString]) -> Vec<OsString> {
    let mut found = Vec::new();
    let mut words = options.iter();
    while let Some(word) = words.next() {
        if word == OsStr::new("--env") {
            found.extend(words.next().map(|value| [word.clone(), value.clone()]));
        } else if word.to_string_lossy().starts_with("--env=") {
            found.push([word.clone(), OsString::new()]);
        }
    }
    let words = found.into_iter().flatten();
    words.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_among_options() {
        let options = [
            "--port",
            "1",
            "--env",
            "A=1",
            "--env=B=2",
            "--env-file",
            "x",
        ];
        let found = variables(&options.map(OsString::from));
        assert_eq!(found, ["--env", "A=1", "--env=B=2"]);
    }

    #[test]
    fn code_is_there_soon_unless_it_is_to_be_fast() {
        assert_eq!(compiling(&["--port=1".into()]), Some("--opt-level=0"));
        for asked in [&["--opt-level=2"][..], &["--opt-level", "2"]] {
            let asked: Vec<OsString> = asked.iter().map(OsString::from).collect();
            assert_eq!(compiling(&asked), None);
        }
    }
}
