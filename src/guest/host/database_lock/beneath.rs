//! Files beneath a directory of a guest are found as the guest finds them: links and `..` do not leave it.

use crate::guest::host::at_hand::LocalDevices;
use nix::fcntl::OFlag;
use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, HostDescriptor, OpenFlags,
    PathFlags,
};
use wasmtime_wasi::p2::{FsError, FsResult};

/// `Beneath` opens files that the guest's own table knows nothing of.
pub struct Beneath {
    context: WasiFilesystemCtx,
    local: LocalDevices,
    place: Dir,
    table: ResourceTable,
    directory: Resource<Descriptor>,
}

/// An `Obstacle` stands where a lock directory would stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    Nothing,
    /// The directory was made then, or last renewed by its holder.
    Directory(Option<SystemTime>),
    Other,
}

impl Beneath {
    /// Returns `None` where there is no memory for it.
    pub fn new(place: Dir, local: LocalDevices) -> Option<Beneath> {
        let mut table = ResourceTable::new();
        let directory = table.push(Descriptor::Dir(place.clone())).ok()?;
        Some(Beneath {
            context: WasiFilesystemCtx::default(),
            local,
            place,
            table,
            directory,
        })
    }

    fn view(&mut self) -> (WasiFilesystemCtxView<'_>, Resource<Descriptor>) {
        let view = WasiFilesystemCtxView {
            ctx: &mut self.context,
            table: &mut self.table,
        };
        (view, Resource::new_borrow(self.directory.rep()))
    }

    /// Opens a file; returns `None` where there is none, or where it may not be used in this way.
    pub async fn open(&mut self, path: &str, flags: DescriptorFlags) -> Option<Arc<File>> {
        let mode = match flags.contains(DescriptorFlags::WRITE) {
            true => OFlag::O_RDWR,
            false => OFlag::O_RDONLY,
        };
        if let Some(file) = self.local.open(&self.place, path, mode) {
            return Some(Arc::new(file));
        }
        let (follow, options) = (PathFlags::SYMLINK_FOLLOW, OpenFlags::empty());
        let (mut view, fd) = self.view();
        let found = view.stat_at(fd, follow, path.to_owned()).await;
        // Opening a named pipe would wait for its other end.
        if found.ok()?.type_ != DescriptorType::RegularFile {
            return None;
        }
        let (mut view, fd) = self.view();
        let opened = view
            .open_at(fd, follow, path.to_owned(), options, flags)
            .await;
        match self.table.delete(opened.ok()?).ok()? {
            Descriptor::File(file) => Some(file.file),
            Descriptor::Dir(_) => None,
        }
    }

    pub async fn look(&mut self, path: &str) -> Obstacle {
        let stat: FsResult<DescriptorStat> = match self.local.look(&self.place, path) {
            Some(known) => known.map_err(FsError::from),
            None => {
                let (mut view, fd) = self.view();
                view.stat_at(fd, PathFlags::empty(), path.to_owned()).await
            }
        };
        match stat {
            Ok(stat) if stat.type_ == DescriptorType::Directory => {
                let modified = stat.data_modification_timestamp.map(|at| {
                    SystemTime::UNIX_EPOCH + std::time::Duration::new(at.seconds, at.nanoseconds)
                });
                Obstacle::Directory(modified)
            }
            Err(error) if is_absent(&error) => Obstacle::Nothing,
            _ => Obstacle::Other,
        }
    }

    /// Removes a directory, and says whether it is gone.
    pub async fn remove(&mut self, path: &str) -> bool {
        let (mut view, fd) = self.view();
        match view.remove_directory_at(fd, path.to_owned()).await {
            Ok(()) => true,
            Err(error) => is_absent(&error),
        }
    }
}

fn is_absent(error: &FsError) -> bool {
    matches!(error.downcast_ref(), Some(ErrorCode::NoEntry))
}
