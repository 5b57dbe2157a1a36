//! What is logged, and how.

use super::option;
use crate::cli::Logging;
use crate::log;
use anyhow::{Context, Result, bail};
use std::io::IsTerminal;

/// Resolves the options about the log.
pub fn resolve(logging: &Logging) -> Result<log::Settings> {
    Ok(log::Settings {
        level: option("--log-level", &logging.log_level, |text| {
            log::Level::parse(text).with_context(|| {
                format!(
                    "`{text}` is not a level; use critical, error, warning, info, debug or trace"
                )
            })
        })?,
        format: option("--log-format", &logging.log_format, |text| match text {
            "text" => Ok(log::Format::Text),
            "json" => Ok(log::Format::Json),
            _ => bail!("`{text}` is not a format; use text or json"),
        })?,
        colors: logging.use_colors || (!logging.no_use_colors && std::io::stderr().is_terminal()),
    })
}
