//! Components from OCI registries: pulled into a directory of the cache, and pushed. It knows the form that the CNCF
//! gave artifacts of WebAssembly, and nothing of serving.
//!
//! The crates for this (oci-client, oci-wasm) bring a second client for HTTP, a second of themselves and forty crates
//! more, for what is five requests by the client that is here already.

mod answer;
mod challenge;
mod client;
mod credentials;
mod digest;
mod login;
mod manifest;
mod pull;
mod push;
mod reference;
mod retry;
mod store;
mod waiting;

pub use client::RegistryClient;
pub use credentials::Credentials;
pub use digest::Digest;
pub use push::Artifact;
pub use reference::{Reference, check_host, is_reference};
pub use store::ComponentStore;

use crate::info;
use crate::log::Bar;
use anyhow::{Context, Result};
use manifest::Layer;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};

/// `When` says when a registry is asked what a tag means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The registry is asked where the component is not here.
    Missing,
    /// The registry is asked at each start and each reload.
    Always,
}

/// A `Pull` says what is to be pulled, and where to.
#[derive(Clone, Debug)]
pub struct Pull {
    pub reference: Reference,
    pub store: ComponentStore,
    pub when: When,
    /// These registries are spoken to without TLS, beside those of this machine.
    pub clear: Vec<String>,
    /// The pull may take this long.
    pub limit: Duration,
    /// All that was pulled may take this many bytes.
    pub most: u64,
}

/// `Pulled` says what was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// This digest of the manifest names what was pulled, whatever a tag means later.
    pub manifest: Digest,
}

impl Pull {
    /// Sees to it that the component is in the store. `confine` gives up what is not needed for that.
    pub fn run(
        &self,
        credentials: Option<Credentials>,
        confine: impl FnOnce() -> Result<()>,
    ) -> Result<Option<Pulled>> {
        let work = async {
            let client = RegistryClient::new(&self.reference.host, &self.clear, credentials)?;
            self.store.make()?;
            confine()?;
            if self.when == When::Missing && self.store.holds(&self.reference) {
                info!("Found {} in the cache", self.reference);
                return anyhow::Ok(None);
            }
            let pulled = self.fetch(&client).await?;
            Ok(Some(pulled))
        };
        blocking(work)?.with_context(|| self.reference.to_string())
    }

    async fn fetch(&self, client: &RegistryClient) -> Result<Pulled> {
        let mut bar = Bar::new(format!("Asking for {}", self.reference), None);
        let resolved = manifest::resolve(client, &self.reference);
        let (manifest, layer) = waiting::shown(&mut bar, 0, resolved).await?;
        drop(bar);
        match self.store.has(layer.digest) {
            true => info!("Found {} in the cache ({manifest})", self.reference),
            false => self.download(client, &layer, manifest).await?,
        }
        self.store.point(&self.reference, layer.digest)?;
        self.store.prune(self.most, layer.digest);
        Ok(Pulled { manifest })
    }

    async fn download(
        &self,
        client: &RegistryClient,
        layer: &Layer,
        manifest: Digest,
    ) -> Result<()> {
        let begun = std::time::Instant::now();
        info!("Pulling {}, {} …", self.reference, size(layer.size));
        pull::download(client, &self.reference, layer, &self.store).await?;
        let took = begun.elapsed().as_secs_f32();
        info!("Pulled {} in {took:.1} s ({manifest})", self.reference);
        Ok(())
    }
}

/// Pushes a component, and gives the digest of its manifest.
pub fn push(
    reference: &Reference,
    clear: &[String],
    credentials: Option<Credentials>,
    artifact: Artifact,
    confine: impl FnOnce() -> Result<()>,
) -> Result<Digest> {
    let work = async {
        let client = RegistryClient::new(&reference.host, clear, credentials)?;
        confine()?;
        push::push(&client, reference, artifact).await
    };
    blocking(work)?.with_context(|| reference.to_string())
}

fn blocking<T>(work: impl Future<Output = T>) -> Result<T> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .context("cannot start the loop that speaks to registries")?;
    Ok(runtime.block_on(work))
}

/// Writes a number of bytes for people.
fn size(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes < 1e6 => format!("{:.1} kB", bytes / 1e3),
        bytes => format!("{:.1} MB", bytes / 1e6),
    }
}
