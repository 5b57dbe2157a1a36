//! A `ConfinedDirectory` opens files below a directory, and nothing else: the kernel follows no path and no symbolic
//! link out of it (openat2(2), RESOLVE_BENEATH).

use super::validator::Validator;
use hyper_staticfile::vfs::{FileOpener, FileWithMetadata, IntoFileAccess, TokioFileAccess};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};
use std::pin::Pin;
use std::sync::Arc;

pub struct ConfinedDirectory(Arc<OwnedFd>);

impl ConfinedDirectory {
    pub fn open(directory: &Path) -> io::Result<ConfinedDirectory> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(ConfinedDirectory(Arc::new(open(
            directory,
            flags,
            Mode::empty(),
        )?)))
    }
}

type Opened = FileWithMetadata<Identified>;

/// An `Identified` file is open, with the state in which it was then.
pub struct Identified {
    file: tokio::fs::File,
    pub validator: Validator,
}

impl IntoFileAccess for Identified {
    type Output = TokioFileAccess;

    fn into_file_access(self) -> TokioFileAccess {
        self.file.into_file_access()
    }
}

impl FileOpener for ConfinedDirectory {
    type File = Identified;
    type Future = Pin<Box<dyn Future<Output = io::Result<Opened>> + Send>>;

    fn open(&self, path: &Path) -> Self::Future {
        let (directory, path) = (self.0.clone(), path.to_owned());
        Box::pin(async move {
            let opened = tokio::task::spawn_blocking(move || open_in(&directory, &path));
            opened.await.map_err(io::Error::other)?
        })
    }
}

fn open_in(directory: &OwnedFd, path: &Path) -> io::Result<Opened> {
    if path.components().any(is_hidden) {
        return Err(io::ErrorKind::NotFound.into());
    }
    // The directory itself has no name in itself.
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let how = OpenHow::new()
        // A pipe that nobody writes to would be waited for.
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = File::from(openat2(directory, path, how)?);
    let metadata = file.metadata()?;
    if !metadata.is_dir() && !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(FileWithMetadata {
        size: metadata.len(),
        modified: metadata.modified().ok(),
        is_dir: metadata.is_dir(),
        handle: Identified {
            validator: Validator::of(&metadata),
            file: file.into(),
        },
    })
}

/// Says whether a name is not for the public: those are that begin with a dot, but for one (RFC 8615).
fn is_hidden(component: Component<'_>) -> bool {
    let name = component.as_os_str().as_encoded_bytes();
    name.starts_with(b".") && name != b".well-known"
}
