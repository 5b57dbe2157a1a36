//! An application is read with the middleware that is put in front of it.

use super::progress::display_path;
use crate::guest::component::chain::Chain;
use crate::guest::component::source::ComponentFile;
use crate::warning;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Reads an application and its middleware, the outermost first, and makes one component of them. Each mistake names
/// the middleware that it is in, and leaves the application to the caller.
pub fn read(path: &Path, name: &Path, middleware: &[PathBuf]) -> Result<ComponentFile> {
    let source = ComponentFile::parse(path)?;
    if middleware.is_empty() {
        return Ok(source);
    }
    let chain = Chain::read(name, source, middleware)?;
    if let Some(middleware) = chain.without_websockets() {
        warning!(
            "{} gets no WebSockets, since the middleware {} does not take part in them; requests for one are answered \
             as other requests are",
            display_path(name),
            display_path(middleware)
        );
    }
    chain.compose()
}
