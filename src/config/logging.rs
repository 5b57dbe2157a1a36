//! This file resolves what is logged, how, and where to.

use super::{maybe, option};
use crate::cli::Logging;
use crate::log::{AccessFormat, Destination, Format, Level, Settings};
use anyhow::{Context, Result, bail};
use std::io::IsTerminal;

pub fn resolve(logging: &Logging) -> Result<Settings> {
    let place = |name, text: Option<&String>| {
        let place = maybe(name, text, Destination::parse)?;
        anyhow::Ok(place.unwrap_or_default())
    };
    Ok(Settings {
        level: option("--log-level", &logging.log_level, level)?,
        format: option("--log-format", &logging.log_format, format)?,
        colors: logging.use_colors || (!logging.no_use_colors && std::io::stderr().is_terminal()),
        time: logging.log_time,
        file: place("--log-file", logging.log_file.as_ref())?,
        access_file: place("--access-logfile", logging.access_logfile.as_ref())?,
        access_format: maybe(
            "--access-logformat",
            logging.access_logformat.as_ref(),
            AccessFormat::parse,
        )?,
    })
}

fn level(text: &str) -> Result<Level> {
    Level::parse(text).with_context(|| {
        format!("`{text}` is not a level; use critical, error, warning, info, debug or trace")
    })
}

fn format(text: &str) -> Result<Format> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => bail!("`{text}` is not a format; use text or json"),
    }
}
