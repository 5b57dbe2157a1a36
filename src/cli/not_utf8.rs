//! This file names what is not UTF-8 on the command line or in the environment: the parser only says that something is.

use clap::CommandFactory;
use std::ffi::{OsStr, OsString};

const REMEDY: &str =
    "write it in UTF-8; a file or directory of such a name can have another by a symbolic link";

/// Says what it is, by its option or variable.
pub fn told(given: &[OsString]) -> String {
    let mut found: Vec<String> = given
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, value)| value.to_str().is_none())
        .map(|(index, value)| {
            let option = match shown(value).split_once('=') {
                Some((name, _)) if name.starts_with("--") => return format!("option {name}"),
                _ => shown(&given[index - 1]),
            };
            match option.starts_with('-') && index > 1 {
                true => format!("option {option}"),
                false => format!("`{}`", shown(value)),
            }
        })
        .collect();
    let command = super::Cli::command();
    let variables = command.get_arguments().filter_map(|it| it.get_env());
    let is_meant = |name: &&OsStr| std::env::var_os(name).is_some_and(|it| it.to_str().is_none());
    found.extend(
        variables
            .filter(is_meant)
            .map(|name| format!("variable {}", shown(name))),
    );
    format!("{}: the value is not UTF-8; {REMEDY}", found.join(", "))
}

fn shown(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn what_is_not_utf8_is_named() {
        let said = |given: &[&[u8]]| {
            let given = given.iter().map(|it| OsString::from_vec(it.to_vec()));
            told(&given.collect::<Vec<_>>())
        };
        for (given, named) in [
            (
                &[&b"w"[..], b"a.wasm", b"--static", b"/a=\xff"][..],
                "option --static",
            ),
            (&[b"w", b"--static=/a=\xff", b"a.wasm"], "option --static"),
            (&[b"w", b"a.wasm", b"\xff"], "`\u{fffd}`"),
            (&[b"w", b"\xff"], "`\u{fffd}`"),
        ] {
            let expected = format!("{named}: the value is not UTF-8; {REMEDY}");
            assert_eq!(said(given), expected);
        }
    }
}
