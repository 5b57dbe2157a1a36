//! This file brings a component here: from where it broke off, as often as that takes, and not under its name before
//! its digest is the one that the manifest has.

use super::answer::causes;
use super::client::{Call, RegistryClient, SILENCE};
use super::manifest::Layer;
use super::reference::Reference;
use super::retry::{Attempts, CallError};
use super::store::{ComponentStore, Partial};
use super::waiting::shown;
use crate::log::Bar;
use anyhow::{Result, anyhow, bail};
use http::header::{CONTENT_RANGE, RANGE};
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

pub async fn download(
    client: &RegistryClient,
    reference: &Reference,
    layer: &Layer,
    store: &ComponentStore,
) -> Result<()> {
    let mut partial = store.partial(layer.digest)?;
    let mut bar = Bar::new(format!("Pulling {reference}"), Some(layer.size));
    let mut again = partial.length > 0;
    loop {
        fill(client, reference, layer, &mut partial, &mut bar).await?;
        let found = partial.digest();
        if found == layer.digest {
            return store.keep(partial, layer.digest);
        }
        if !std::mem::take(&mut again) {
            partial.remove();
            bail!(
                "what came is not what the manifest says, and is not used: its digest is {found}, not {}",
                layer.digest
            );
        }
        // What was here before was wrong, perhaps.
        partial.clear()?;
    }
}

/// Goes on until there is as much as there is to be.
async fn fill(
    client: &RegistryClient,
    reference: &Reference,
    layer: &Layer,
    partial: &mut Partial,
    bar: &mut Bar,
) -> Result<()> {
    let mut attempts = Attempts::at(reference);
    if partial.length > layer.size {
        partial.clear()?;
    }
    while partial.length < layer.size || layer.size == 0 {
        let before = partial.length;
        match piece(client, reference, layer, partial, bar).await {
            Ok(()) => break,
            Err(failure) => {
                if partial.length > before {
                    attempts.start_over();
                }
                attempts.next(failure).await?;
            }
        }
    }
    Ok(())
}

async fn piece(
    client: &RegistryClient,
    reference: &Reference,
    layer: &Layer,
    partial: &mut Partial,
    bar: &mut Bar,
) -> Result<(), CallError> {
    let path = format!("/v2/{}/blobs/{}", reference.name, layer.digest);
    let mut call = Call::new(Method::GET, path);
    if partial.length > 0 {
        call = call.with(RANGE, &format!("bytes={}-", partial.length))?;
    }
    let response = shown(bar, partial.length, client.call(call)).await?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT if begins_at(&response, partial.length) => {}
        StatusCode::OK => partial.clear()?,
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            partial.clear()?;
            let why = anyhow!("the registry does not go on from where it broke off");
            return Err(CallError::passing(why));
        }
        _ => return Err(client.refused(response).await),
    }
    let mut body = response.into_body();
    loop {
        let frame = match shown(bar, partial.length, timeout(SILENCE, body.frame())).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                let why = anyhow!("the component broke off: {}", causes(&error));
                return Err(CallError::passing(why));
            }
            Err(_) => {
                let why = anyhow!("nothing came for {} s", SILENCE.as_secs());
                return Err(CallError::passing(why));
            }
        };
        if let Ok(bytes) = frame.into_data() {
            if partial.length + bytes.len() as u64 > layer.size {
                partial.clear()?;
                let why = anyhow!("the registry sent more than the {} bytes of it", layer.size);
                return Err(why.into());
            }
            partial.write(&bytes)?;
            bar.advance(partial.length);
        }
    }
    match partial.length < layer.size {
        true => Err(CallError::passing(anyhow!("the component broke off"))),
        false => Ok(()),
    }
}

/// Says whether an answer goes on where it was asked to (Content-Range, RFC 9110 section 14.4).
fn begins_at(response: &Response<Incoming>, at: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE);
    let range = range.and_then(|range| range.to_str().ok()?.strip_prefix("bytes "));
    range.is_some_and(|range| range.starts_with(&format!("{at}-")))
}
