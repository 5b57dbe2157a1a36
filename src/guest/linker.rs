//! What the host offers to guests: the imports of the WASI command and HTTP worlds. What an instance
//! may do with them is decided by its capabilities, not here.

use super::engine::Target;
use super::state::State;
use anyhow::{Result, bail};
use std::fmt;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

/// A linker with everything that a component of this target can be offered.
pub fn linker(engine: &Engine, target: Target) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    if target.concurrent {
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    }
    Ok(linker)
}

/// Says which of `imports` are not offered, if any.
pub fn check(linker: &Linker<State>, imports: &[String]) -> Result<()> {
    let missing: Vec<String> = imports
        .iter()
        .map(|name| (name, Offer::of(linker, name)))
        .filter(|(_, offer)| !matches!(offer, Offer::Yes))
        .map(|(name, offer)| format!("`{name}` ({offer})"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "it imports what is not offered here: {}",
        missing.join(", ")
    );
}

/// Whether an import can be satisfied.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer {
    Yes,
    /// The interface is offered in this version.
    OtherVersion(String),
    No,
}

/// Versions of the WASI interfaces that are tried when an import's own version is not offered.
const VERSIONS: [&str; 2] = ["0.3.0", "0.2.0"];

impl Offer {
    pub fn of(linker: &Linker<State>, name: &str) -> Offer {
        if offers(linker, name) {
            return Offer::Yes;
        }
        let Some((interface, _)) = name.split_once('@') else {
            return Offer::No;
        };
        VERSIONS
            .iter()
            .map(|version| format!("{interface}@{version}"))
            .find(|candidate| offers(linker, candidate))
            .map_or(Offer::No, Offer::OtherVersion)
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Offer::Yes => write!(f, "offered"),
            Offer::OtherVersion(near) => {
                write!(
                    f,
                    "not offered; `{near}` is: build the component against that version"
                )
            }
            Offer::No => write!(
                f,
                "not offered; build the component without it, or compose it with one that exports it"
            ),
        }
    }
}

/// The linker itself is asked, by linking a component that imports nothing but an empty instance of
/// that name: no list that could grow out of step with it.
fn offers(linker: &Linker<State>, name: &str) -> bool {
    let text = format!(r#"(component (import "{name}" (instance)))"#);
    Component::new(linker.engine(), text).is_ok_and(|probe| linker.instantiate_pre(&probe).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::anatomy::World;
    use crate::guest::engine;

    fn full() -> Linker<State> {
        let target = Target {
            world: World::P3,
            concurrent: true,
        };
        linker(&engine::compiling(target).unwrap(), target).unwrap()
    }

    #[test]
    fn both_generations_of_wasi_are_offered() {
        let linker = full();
        for name in [
            "wasi:cli/environment@0.2.6",
            "wasi:filesystem/types@0.2.0",
            "wasi:http/outgoing-handler@0.2.4",
            "wasi:sockets/tcp@0.2.3",
            "wasi:http/client@0.3.0",
            "wasi:clocks/monotonic-clock@0.3.0",
        ] {
            assert_eq!(Offer::of(&linker, name), Offer::Yes, "{name}");
        }
    }

    #[test]
    fn a_near_version_is_named() {
        let near = Offer::of(&full(), "wasi:http/types@0.9.0");
        assert_eq!(
            near,
            Offer::OtherVersion("wasi:http/types@0.3.0".to_owned())
        );
        assert_eq!(Offer::of(&full(), "acme:widgets/gadget@1.0.0"), Offer::No);
    }
}
