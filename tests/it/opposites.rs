//! Of an option and its opposite the one that was said nearer counts: on the command line before the environment, and
//! there before the configuration file.

use crate::harness::{finished, wasmserve};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const HELLO: &str = "guests/hello/hello.wat";

/// A pair is an option and its opposite, for which no value is written.
struct Pair {
    name: String,
    value: Option<&'static str>,
}

impl Pair {
    fn positive(&self) -> String {
        match self.value {
            Some(value) => format!("--{}={value}", self.name),
            None => format!("--{}", self.name),
        }
    }

    fn variable(&self, negative: bool) -> (String, &'static str) {
        let name = self.name.to_uppercase().replace('-', "_");
        match negative {
            true => (format!("WASMSERVE_NO_{name}"), "true"),
            false => (format!("WASMSERVE_{name}"), self.value.unwrap_or("true")),
        }
    }

    fn line(&self, negative: bool) -> String {
        match (negative, self.value) {
            (true, _) => format!("no-{} = true\n", self.name),
            (false, Some(value)) => format!("{} = \"{value}\"\n", self.name),
            (false, None) => format!("{} = true\n", self.name),
        }
    }
}

/// Every pair that `--help` has.
fn pairs() -> Vec<Pair> {
    let mut command = wasmserve();
    command.arg("--help");
    let help = String::from_utf8(finished(command).stdout).unwrap();
    let words = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let options: BTreeSet<&str> = words.filter(|word| word.starts_with("--")).collect();
    let opposites = options
        .iter()
        .filter_map(|option| option.strip_prefix("--no-"));
    let names = opposites.filter(|name| options.contains(format!("--{name}").as_str()));
    let pairs: Vec<Pair> = names
        .map(|name| Pair {
            name: name.to_owned(),
            value: match name {
                "admin" => Some("127.0.0.1:1"),
                "prime" => Some("GET /"),
                "sandbox" => Some("auto"),
                _ => None,
            },
        })
        .collect();
    assert!(pairs.len() >= 9, "{}", pairs.len());
    pairs
}

/// Which of a pair is in force, by what `check` shows.
fn in_force(shown: &str, pair: &Pair) -> (bool, bool) {
    let is_set = |name: &str| {
        let mut lines = shown.lines().filter_map(|line| line.split_once(" = "));
        let said = lines.find(|(named, _)| *named == name);
        let (_, said) = said.unwrap_or_else(|| panic!("{name} is shown: {shown}"));
        let said = said.trim_start();
        let is_off = |word: &&str| said.starts_with(*word);
        !["not set", "false", "off"].iter().any(is_off)
    };
    (is_set(&pair.name), is_set(&format!("no-{}", pair.name)))
}

/// Guards against `WASMSERVE_ACCESS_LOG=true` from a base image, which kept `--no-access-log` from doing anything.
#[test]
fn what_was_said_nearer_counts_for_every_pair() {
    let pairs = pairs();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = place.join(format!("opposites-{}.toml", std::process::id()));
    for negative in [false, true] {
        for (far, near) in [
            ("variable", "option"),
            ("file", "option"),
            ("file", "variable"),
        ] {
            let mut command = wasmserve();
            command.args(["check", HELLO]);
            let mut lines = String::new();
            for pair in &pairs {
                let opposite = format!("--no-{}", pair.name);
                match near {
                    "option" if negative => drop(command.arg(opposite)),
                    "option" => drop(command.arg(pair.positive())),
                    _ => {
                        let (name, value) = pair.variable(negative);
                        command.env(name, value);
                    }
                }
                match far {
                    "variable" => {
                        let (name, value) = pair.variable(!negative);
                        command.env(name, value);
                    }
                    _ => lines += &pair.line(!negative),
                }
            }
            fs::write(&file, &lines).unwrap();
            if far == "file" {
                command.arg("--config-file").arg(&file);
            }
            let output = finished(command);
            let shown = String::from_utf8_lossy(&output.stdout);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{far} {near}: {said}");
            for pair in &pairs {
                let name = &pair.name;
                assert_eq!(
                    in_force(&shown, pair),
                    (!negative, negative),
                    "--{name}: {far} against {near}: {shown}"
                );
            }
        }
    }
    fs::remove_file(&file).unwrap();
}
