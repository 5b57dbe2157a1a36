//! This file pushes a component: itself and its configuration first, then the manifest that names both.

use super::client::{Call, RegistryClient};
use super::digest::Digest;
use super::manifest::{CONFIG, Descriptor, LAYER, MANIFEST, Manifest};
use super::reference::{Reference, TagOrDigest};
use super::retry::{Attempts, CallError};
use super::size;
use crate::info;
use crate::log::Bar;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, SystemTime};

/// This much is handed on at a time.
const PIECE: usize = 64 << 10;

/// An `Artifact` is what is pushed.
pub struct Artifact {
    pub component: Bytes,
    /// The system is `wasip2` or `wasip3`.
    pub system: &'static str,
    pub exports: Vec<String>,
    pub imports: Vec<String>,
    /// The artifact was made at this time.
    pub created: SystemTime,
}

impl Artifact {
    /// Writes what others read about the artifact before they have it.
    fn configuration(&self, digest: Digest) -> Vec<u8> {
        let about = serde_json::json!({
            "created": crate::log::timestamp(self.created),
            "architecture": "wasm",
            "os": self.system,
            "layerDigests": [digest.to_string()],
            "component": {
                "exports": self.exports,
                "imports": self.imports,
                "target": null,
            },
        });
        about.to_string().into_bytes()
    }
}

/// Pushes an artifact, and gives the digest of its manifest.
pub async fn push(
    client: &RegistryClient,
    reference: &Reference,
    artifact: Artifact,
) -> Result<Digest> {
    let digest = Digest::of(&artifact.component);
    let configuration = Bytes::from(artifact.configuration(digest));
    let descriptor = |kind: &str, bytes: &Bytes| Descriptor {
        media_type: kind.to_owned(),
        digest: Digest::of(bytes).to_string(),
        size: bytes.len() as u64,
        platform: None,
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        config: Some(descriptor(CONFIG, &configuration)),
        layers: vec![descriptor(LAYER, &artifact.component)],
        manifests: Vec::new(),
    };
    let manifest = Bytes::from(serde_json::to_vec(&manifest)?);
    let digest = Digest::of(&manifest);
    if let TagOrDigest::Digest(wanted) = reference.version
        && wanted != digest
    {
        bail!("the digest of its manifest is {digest}; push it by a tag, or by that digest");
    }
    info!(
        "Pushing {reference}, {} …",
        size(artifact.component.len() as u64)
    );
    let bar = Bar::new(
        format!("Pushing {reference}"),
        Some(artifact.component.len() as u64),
    );
    blob(client, reference, Body::shown(artifact.component, bar)).await?;
    blob(client, reference, Body::new(configuration)).await?;
    let path = format!("/v2/{}/manifests/{}", reference.name, reference.version());
    let mut call = Call::new(Method::PUT, path).with(CONTENT_TYPE, MANIFEST)?;
    call.body = Body::new(manifest);
    let mut attempts = Attempts::at(reference);
    loop {
        match client.expect(call.clone()).await {
            Ok(_) => return Ok(digest),
            Err(failure) => attempts.next(failure).await?,
        }
    }
}

/// Pushes a part of an artifact, where the registry does not have it.
async fn blob(client: &RegistryClient, reference: &Reference, body: Body) -> Result<()> {
    let mut attempts = Attempts::at(reference);
    loop {
        match try_blob(client, reference, &body).await {
            Ok(()) => return Ok(()),
            Err(failure) => attempts.next(failure).await?,
        }
    }
}

async fn try_blob(
    client: &RegistryClient,
    reference: &Reference,
    body: &Body,
) -> Result<(), CallError> {
    let (name, digest) = (&reference.name, Digest::of(&body.bytes));
    let path = format!("/v2/{name}/blobs/{digest}");
    let found = client.call(Call::new(Method::HEAD, path)).await?;
    if found.status().is_success() {
        return Ok(());
    }
    if !matches!(
        found.status(),
        StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED
    ) {
        return Err(client.refused(found).await);
    }
    let path = format!("/v2/{name}/blobs/uploads/");
    let begun = client.expect(Call::new(Method::POST, path)).await?;
    let location = begun.headers().get(LOCATION);
    let location = location.context("the registry does not say where to push to")?;
    let place = client.resolve(&client.base()?, location)?.to_string();
    let joined = if place.contains('?') { "&" } else { "?" };
    let call = Call::new(Method::PUT, format!("{place}{joined}digest={digest}"));
    let mut call = call.with(CONTENT_TYPE, "application/octet-stream")?;
    call.body = body.again();
    client.expect(call).await.map(drop)
}

/// A `Body` is what is sent, which may have to be sent once more.
#[derive(Clone, Default)]
pub struct Body {
    bytes: Bytes,
    at: usize,
    bar: Option<Arc<Mutex<Bar>>>,
}

impl Body {
    pub fn new(bytes: Bytes) -> Body {
        Body {
            bytes,
            ..Body::default()
        }
    }

    /// Makes a body with a bar that shows how much was sent.
    fn shown(bytes: Bytes, bar: Bar) -> Body {
        Body {
            bytes,
            at: 0,
            bar: Some(Arc::new(Mutex::new(bar))),
        }
    }

    /// Begins it anew.
    pub fn again(&self) -> Body {
        Body {
            at: 0,
            ..self.clone()
        }
    }

    /// Computes how long it may take to be sent: as if there were 100 kB each second.
    pub fn time(&self) -> Duration {
        Duration::from_secs(self.bytes.len() as u64 / 100_000)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let end = self.bytes.len().min(self.at + PIECE);
        if self.at == end {
            return Poll::Ready(None);
        }
        let piece = self.bytes.slice(self.at..end);
        self.at = end;
        if let Some(bar) = &self.bar {
            let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
            bar.advance(end as u64);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.bytes.len() - self.at) as u64)
    }
}
