//! A `Manifest` says of an artifact which of its layers is the component (CNCF, "Wasm OCI Artifact layout"; and as wash
//! and spin have it).

use super::answer::text;
use super::client::{Call, LARGEST_ANSWER, RegistryClient};
use super::digest::Digest;
use super::reference::{Reference, TagOrDigest};
use super::retry::{Attempts, CallError};
use crate::log;
use crate::sys::regular::LARGEST_COMPONENT;
use anyhow::{Context, Result, anyhow, bail};
use http::Method;
use http::header::ACCEPT;
use serde::{Deserialize, Serialize};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                        application/vnd.docker.distribution.manifest.v2+json";

/// The configuration and the layer of an artifact of WebAssembly are of these types.
pub const CONFIG: &str = "application/vnd.wasm.config.v0+json";
pub const LAYER: &str = "application/wasm";

/// Others have called such a layer so.
const LAYERS: [&str; 3] = [
    LAYER,
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.module.wasm.content.layer.v1+wasm",
];

/// A `Descriptor` is what a registry says about something that it has.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Platform {
    pub architecture: String,
}

/// A `Manifest` is a manifest, or an index of several.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<Descriptor>,
}

/// A `Layer` is the component in a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    pub digest: Digest,
    pub size: u64,
}

/// Asks a registry which component a reference means now. The first digest is that of the manifest.
pub async fn resolve(client: &RegistryClient, reference: &Reference) -> Result<(Digest, Layer)> {
    let (digest, manifest) = manifest(client, reference).await?;
    let chosen = match manifest.manifests.is_empty() {
        true => return Ok((digest, manifest.layer()?)),
        false => manifest.chosen()?,
    };
    let inner = reference.pinned(chosen.digest.parse()?);
    let (_, manifest) = self::manifest(client, &inner).await?;
    Ok((digest, manifest.layer()?))
}

async fn manifest(client: &RegistryClient, reference: &Reference) -> Result<(Digest, Manifest)> {
    let mut attempts = Attempts::at(reference);
    let body = loop {
        match fetch(client, reference).await {
            Ok(body) => break body,
            Err(failure) => attempts.next(failure).await?,
        }
    };
    let digest = Digest::of(&body);
    if let TagOrDigest::Digest(wanted) = reference.version
        && wanted != digest
    {
        bail!("the registry gave a manifest of another digest: {digest}");
    }
    let manifest = serde_json::from_slice(&body).context("the registry's manifest is none")?;
    Ok((digest, manifest))
}

async fn fetch(client: &RegistryClient, reference: &Reference) -> Result<bytes::Bytes, CallError> {
    let path = format!("/v2/{}/manifests/{}", reference.name, reference.version());
    let call = Call::new(Method::GET, path).with(ACCEPT, ACCEPTED)?;
    let response = client.expect(call).await?;
    text(response, LARGEST_ANSWER).await
}

impl Manifest {
    /// Finds the manifest of WebAssembly in an index.
    fn chosen(&self) -> Result<&Descriptor> {
        let is_wasm = |it: &&Descriptor| {
            let platform = it.platform.as_ref();
            platform.is_some_and(|platform| platform.architecture == "wasm")
        };
        let only = Some(&self.manifests).filter(|all| all.len() == 1);
        let found = self.manifests.iter().find(is_wasm);
        let found = found.or_else(|| only.and_then(|all| all.first()));
        found.context("it is an index of images, and none of them is for WebAssembly")
    }

    /// Finds the layer that is the component.
    fn layer(&self) -> Result<Layer> {
        let kind = self.media_type.as_deref();
        if kind == Some(INDEX) {
            bail!("it is an index without anything in it");
        }
        let layers = self.layers.iter();
        let found: Vec<&Descriptor> = layers
            .filter(|layer| LAYERS.contains(&layer.media_type.as_str()))
            .collect();
        let layer = match found[..] {
            [layer] => layer,
            [] => {
                if self.layers.is_empty() {
                    bail!("it holds no component: nothing is in it");
                }
                let kinds: Vec<&str> = self.layers.iter().map(|it| &*it.media_type).collect();
                let kinds: String = kinds.join(", ").chars().take(200).collect();
                return Err(anyhow!(
                    "it holds no component: what it has is of the types `{}`, and none is `{LAYER}`; is it an image \
                     for containers?",
                    log::escape(&kinds)
                ));
            }
            _ => bail!("it holds {} components, and one can be served", found.len()),
        };
        if layer.size > LARGEST_COMPONENT {
            bail!(
                "its component has {} MiB, and no more than {} MiB are served",
                layer.size >> 20,
                LARGEST_COMPONENT >> 20
            );
        }
        Ok(Layer {
            digest: layer.digest.parse().context("its component")?,
            size: layer.size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn layer(layers: &[(&str, u64)]) -> Result<Layer> {
        let layers = layers.iter().map(|(kind, size)| Descriptor {
            media_type: (*kind).to_owned(),
            digest: DIGEST.to_owned(),
            size: *size,
            platform: None,
        });
        let layers = layers.collect();
        Manifest {
            layers,
            ..Manifest::default()
        }
        .layer()
    }

    #[test]
    fn the_one_component_is_found_whoever_has_pushed_it() {
        for kind in LAYERS {
            let files = ("application/vnd.fermyon.spin.file", 7);
            assert_eq!(layer(&[files, (kind, 5)]).unwrap().size, 5, "{kind}");
        }
    }

    #[test]
    fn what_cannot_be_served_is_told_apart() {
        let said = |layers: &[(&str, u64)]| format!("{:#}", layer(layers).unwrap_err());
        assert!(said(&[]).contains("holds no component"));
        let image = said(&[("application/vnd.oci.image.layer.v1.tar+gzip", 5)]);
        assert!(
            image.contains("tar+gzip") && image.contains("containers"),
            "{image}"
        );
        assert!(said(&[(LAYER, 5), (LAYER, 6)]).contains("2 components"));
        assert!(said(&[(LAYER, u64::MAX)]).contains("MiB"));
    }
}
