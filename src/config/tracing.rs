//! How requests belong to traces, by the options and by OpenTelemetry's variables.

use super::variable;
use crate::cli;
use crate::trace::{Sampler, Tracing};
use anyhow::{Context, Result};

pub fn resolve(asked: &cli::Tracing) -> Result<Option<Tracing>> {
    match asked.trace_context {
        true => Ok(Some(Tracing {
            sampler: sampler()?,
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
