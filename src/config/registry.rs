//! A component may be in a registry: this file resolves how it is pulled, and where its file is afterwards.

use super::{cache_settings, option, units};
use crate::cache;
use crate::cli::{self, ClearRegistries, PullWhen, Serve};
use crate::registry::{ComponentStore, Credentials, Pull, When, check_host, is_reference};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `wasmserve pull` keeps this much, as serving does by itself.
const MOST: u64 = 2 << 30;

/// Resolves how the component is pulled, if it is in a registry.
pub fn resolve(serve: &Serve) -> Result<Option<Pull>> {
    let asked = &serve.registry;
    let limit = option("--timeout-pull", &asked.timeout_pull, units::some_time)?;
    let clear = clear(&asked.clear)?;
    let Some(component) = serve.component.as_deref().filter(|it| is_reference(it)) else {
        return Ok(None);
    };
    let cache = cache_settings(serve)?;
    let when = match asked.pull {
        PullWhen::Missing => When::Missing,
        PullWhen::Always => When::Always,
    };
    Ok(Some(Pull {
        when,
        clear,
        limit,
        most: cache.most,
        ..plain(component, cache.directory.as_deref())?
    }))
}

/// Resolves how `wasmserve pull` does it.
pub fn of_command(order: &cli::Pull) -> Result<Pull> {
    let cache = order.cache_dir.clone().or_else(cache::default_directory);
    Ok(Pull {
        when: When::Always,
        clear: clear(&order.clear)?,
        ..plain(order.reference.as_ref(), cache.as_deref())?
    })
}

/// Resolves how commands that look at one component pull it, if it is in a registry.
pub fn of_component(component: &Path) -> Result<Option<Pull>> {
    match is_reference(component) {
        true => plain(component, cache::default_directory().as_deref()).map(Some),
        false => Ok(None),
    }
}

fn plain(component: &Path, cache: Option<&Path>) -> Result<Pull> {
    let text = component.to_string_lossy();
    let reference = text
        .parse()
        .with_context(|| format!("`{}`", text.escape_default()))?;
    let cache = cache.context(
        "there is nowhere to keep what is pulled, since HOME is not set; name a directory with --cache-dir",
    )?;
    Ok(Pull {
        reference,
        store: ComponentStore::within(cache),
        when: When::Missing,
        clear: Vec::new(),
        limit: Duration::from_secs(600),
        most: MOST,
    })
}

/// Finds the file with the login to the registry that is pulled from, where somebody has logged in.
pub fn logins(pull: &Pull) -> Option<PathBuf> {
    Credentials::file(&pull.reference.host)
}

/// Resolves the registries that are spoken to without TLS.
pub fn clear(asked: &ClearRegistries) -> Result<Vec<String>> {
    let hosts = asked.registry_http.iter();
    hosts
        .map(|host| {
            option("--registry-http", host, |host| {
                check_host(host).map(|()| host.to_owned())
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn pull(arguments: &[&str]) -> Result<Option<Pull>> {
        let program = ["wasmserve", "--cache-dir", "/c"].iter();
        resolve(&Cli::parse_from(program.chain(arguments)).serve)
    }

    #[test]
    fn a_file_is_not_pulled_and_a_mistake_names_its_option() {
        assert!(pull(&["app.wasm"]).unwrap().is_none());
        let tag = pull(&["oci://ghcr.io/a/b:1", "--pull", "always"])
            .unwrap()
            .unwrap();
        assert_eq!(tag.when, When::Always);
        let path = tag.store.path(&tag.reference);
        assert_eq!(path, Path::new("/c/registry/ghcr.io+a+b:1.wasm"));
        let mistake = |arguments: &[&str]| format!("{:#}", pull(arguments).unwrap_err());
        assert!(mistake(&["oci://ghcr.io/A"]).starts_with("`oci://ghcr.io/A`: "));
        let host = mistake(&["a.wasm", "--registry-http", "http://a"]);
        assert!(host.starts_with("option --registry-http: "), "{host}");
        assert!(mistake(&["a.wasm", "--timeout-pull", "x"]).starts_with("option --timeout-pull: "));
    }
}
