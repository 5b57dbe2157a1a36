//! This file resolves how requests belong to traces and where their spans go, by the options and by OpenTelemetry's
//! variables (opentelemetry.io, "Environment Variable Specification" and "OTLP Exporter Configuration").

use super::{option, variable};
use crate::cli;
use crate::exporter::Settings;
use crate::guest::outbound::Roots;
use crate::trace::{Sampler, Tracing};
use anyhow::{Context, Result, bail};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// More spans than this in memory are of no use.
const MOST_SPANS: usize = 65_536;

pub fn resolve(asked: &cli::Tracing) -> Result<Option<Tracing>> {
    let exports = endpoint(asked)?.is_some();
    match asked.trace_context || exports {
        true => Ok(Some(Tracing {
            sampler: sampler()?,
            exports,
        })),
        false => Ok(None),
    }
}

fn sampler() -> Result<Sampler> {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    let argument = variable("OTEL_TRACES_SAMPLER_ARG");
    match variable(NAME) {
        Some(name) => Sampler::parse(name.trim(), argument.as_deref()).context(NAME),
        None => Ok(Sampler::default()),
    }
}

/// Resolves where spans of this component are sent and how, if they are.
pub fn exporter(asked: &cli::Tracing, component: &Path) -> Result<Option<Settings>> {
    let Some(endpoint) = endpoint(asked)? else {
        return Ok(None);
    };
    let batch = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?;
    let queue = number("OTEL_BSP_MAX_QUEUE_SIZE", 2048)?.clamp(1, MOST_SPANS);
    Ok(Some(Settings {
        endpoint,
        headers: headers()?,
        roots: roots()?,
        resource: resource(component)?,
        timeout: millis(of_traces("TIMEOUT"), 10_000)?,
        delay: millis(Some("OTEL_BSP_SCHEDULE_DELAY".to_owned()), 1000)?,
        batch: batch.clamp(1, queue),
        queue,
    }))
}

fn endpoint(asked: &cli::Tracing) -> Result<Option<Uri>> {
    let says = |name: &str, text: &str| {
        variable(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(text))
    };
    if says("OTEL_SDK_DISABLED", "true") {
        return Ok(None);
    }
    if let Some(text) = &asked.otlp_endpoint {
        return option("--otlp-endpoint", text, base).map(Some);
    }
    if says("OTEL_TRACES_EXPORTER", "none") {
        return Ok(None);
    }
    let (own, shared) = (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    );
    let endpoint = match (variable(own), variable(shared)) {
        (Some(text), _) => url(text.trim()).context(own)?,
        (None, Some(text)) => base(text.trim()).context(shared)?,
        (None, None) => return Ok(None),
    };
    if let Some(name) = of_traces("PROTOCOL")
        && let Some(protocol) = variable(&name)
        && protocol.trim() != "http/protobuf"
    {
        bail!(
            "{name}: `{protocol}` is not spoken here; use http/protobuf, and the collector's port for it"
        );
    }
    Ok(Some(endpoint))
}

/// Reads the variable of this name for traces, or else the one for everything that is exported.
fn of_traces(name: &str) -> Option<String> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"];
    let mut names = names.into_iter().map(|prefix| format!("{prefix}{name}"));
    names.find(|name| variable(name).is_some())
}

/// Parses a collector's URL, below which each kind of data has a path.
fn base(text: &str) -> Result<Uri> {
    const PATH: &str = "/v1/traces";
    let text = text.trim_end_matches('/');
    match text.ends_with(PATH) {
        true => url(text),
        false => url(&format!("{text}{PATH}")),
    }
}

fn url(text: &str) -> Result<Uri> {
    let uri: Uri = text
        .parse()
        .with_context(|| format!("`{text}` is not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        bail!("`{text}` is not a URL; it must begin with http:// or https://");
    }
    if uri.authority().is_some_and(|it| it.as_str().contains('@')) {
        bail!("it names a user; give OTEL_EXPORTER_OTLP_HEADERS instead");
    }
    Ok(uri)
}

fn headers() -> Result<HeaderMap> {
    let Some(name) = of_traces("HEADERS") else {
        return Ok(HeaderMap::new());
    };
    let mut headers = HeaderMap::new();
    for (key, value) in pairs(&name)? {
        let field = HeaderName::from_str(&key)
            .with_context(|| format!("{name}: `{key}` is not a name of a header"))?;
        let mut value = HeaderValue::from_str(&value)
            .with_context(|| format!("{name}: the value of `{key}` is not one of a header"))?;
        value.set_sensitive(true);
        headers.append(field, value);
    }
    Ok(headers)
}

fn roots() -> Result<Roots> {
    match (certificate(), of_traces("CERTIFICATE")) {
        (Some(path), Some(name)) => Roots::read(&path).context(name),
        _ => Roots::system(),
    }
}

/// Finds the file of the authorities that the collector is believed by, where one is named.
pub fn certificate() -> Option<PathBuf> {
    of_traces("CERTIFICATE").map(|name| variable(&name).unwrap_or_default().into())
}

/// Lists what all spans have in common. The service is called as the component's file is, unless the operator names
/// it.
fn resource(component: &Path) -> Result<Vec<(String, String)>> {
    const SERVICE: &str = "service.name";
    let mut resource = match variable("OTEL_RESOURCE_ATTRIBUTES") {
        Some(_) => pairs("OTEL_RESOURCE_ATTRIBUTES")?,
        None => Vec::new(),
    };
    let named = resource.iter().any(|(key, _)| key == SERVICE);
    let stem = component.file_stem().unwrap_or_default();
    match variable("OTEL_SERVICE_NAME") {
        Some(name) => {
            resource.retain(|(key, _)| key != SERVICE);
            resource.push((SERVICE.to_owned(), name));
        }
        None if named => {}
        None => resource.push((SERVICE.to_owned(), stem.to_string_lossy().into_owned())),
    }
    for (key, value) in [
        ("telemetry.sdk.name", "wasmserve"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ] {
        resource.push((key.to_owned(), value.to_owned()));
    }
    Ok(resource)
}

/// Splits the variable's `key=value` pairs, with commas between them and percent-encoded values (W3C Baggage).
fn pairs(name: &str) -> Result<Vec<(String, String)>> {
    let text = variable(name).unwrap_or_default();
    let items = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    let pair = |item: &str| {
        let (key, value) = item.split_once('=')?;
        Some((decoded(key.trim())?, decoded(value.trim())?))
    };
    items
        .map(|item| pair(item).with_context(|| format!("{name}: `{item}` is not `key=value`")))
        .collect()
}

/// Replaces percent-encoded bytes; a percent sign that begins none stands for itself.
fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, more)) = rest.split_first() {
        let pair = more.get(..2).filter(|_| *first == b'%');
        let pair = pair.and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn number(name: &str, default: usize) -> Result<usize> {
    match variable(name) {
        Some(text) => text
            .trim()
            .parse()
            .with_context(|| format!("{name}: `{text}` is not a whole number")),
        None => Ok(default),
    }
}

fn millis(name: Option<String>, default: usize) -> Result<Duration> {
    let millis = match name {
        Some(name) => number(&name, default)?,
        None => default,
    };
    Ok(Duration::from_millis(millis as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collectors_url_leads_to_its_path_for_traces() {
        for (text, uri) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
            ("https://a.example/otlp", "https://a.example/otlp/v1/traces"),
            ("http://a/v1/traces", "http://a/v1/traces"),
        ] {
            assert_eq!(base(text).unwrap(), uri, "{text}");
        }
        for text in [
            "",
            "localhost:4318",
            "ftp://a",
            "http://",
            "http://u:p@a",
            "/v1",
        ] {
            assert!(base(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_are_decoded() {
        assert_eq!(decoded("Bearer%20a%2Cb").unwrap(), "Bearer a,b");
        assert_eq!(decoded("100%").unwrap(), "100%");
        assert_eq!(decoded("%zz%4").unwrap(), "%zz%4");
        assert_eq!(decoded("%ff"), None);
    }
}
