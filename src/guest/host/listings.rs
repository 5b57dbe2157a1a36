//! The host holds each listing of a directory in `wasi:filesystem` 0.2 until the guest has read it: an instance has
//! no more of them than there is memory for.

use super::answer;
use super::state::HostState;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types::{ErrorCode, HostDescriptor};
use wasmtime_wasi::p2::{FsResult, ReaddirIterator};

/// The engine defines the interface in this version.
const TYPES: &str = "wasi:filesystem/types@0.2.12";

/// An entry takes this much beside its name.
pub const ENTRY: usize = 96;

/// `Listings` counts the bytes of the listings that one instance has been given.
#[derive(Default)]
pub struct Listings {
    given: Vec<(u32, usize)>,
    /// Those of `wasi:filesystem` 0.3 have this many bytes.
    newer: Arc<AtomicUsize>,
}

/// `Held` counts the bytes of one listing of `wasi:filesystem` 0.3 for as long as it is there.
#[derive(Clone)]
pub struct Held(Arc<HeldBytes>);

struct HeldBytes {
    bytes: AtomicUsize,
    all: Arc<AtomicUsize>,
}

impl Held {
    /// Begins to count a listing.
    pub fn new(listings: &Listings) -> Held {
        Held(Arc::new(HeldBytes {
            bytes: AtomicUsize::new(0),
            all: listings.newer.clone(),
        }))
    }

    /// Counts further bytes, and says whether all listings of the instance together have no more than `most`.
    pub fn add(&self, bytes: usize, most: usize) -> bool {
        self.0.bytes.fetch_add(bytes, Relaxed);
        self.0.all.fetch_add(bytes, Relaxed) + bytes <= most
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes.load(Relaxed), Relaxed);
    }
}

impl Listings {
    /// Forgets the listings that are gone, and counts the bytes of the others.
    fn bytes(&mut self, table: &ResourceTable) -> usize {
        let is_held = |rep| table.get(&Resource::<ReaddirIterator>::new_borrow(rep));
        self.given.retain(|(rep, _)| is_held(*rep).is_ok());
        self.given.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Puts a listing that is bounded in the place of the engine's.
pub fn bound(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap_async(
        "[method]descriptor.read-directory",
        |mut store: StoreContextMut<'_, HostState>, (directory,)| {
            Box::new(async move { answer::told(read_directory(store.data_mut(), directory).await) })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

type Listing = Resource<ReaddirIterator>;

/// Lists a directory, unless the listing would take more memory than there is.
pub async fn read_directory(
    state: &mut HostState,
    directory: Resource<Descriptor>,
) -> FsResult<Listing> {
    let mut bytes = 0;
    if let Descriptor::Dir(open) = state.table().get(&directory)? {
        let open = open.dir.clone();
        let left = state.memory().left().saturating_sub(state.listed());
        bytes = size(open, left).await;
        if bytes > left {
            state.memory().refuse();
            return Err(ErrorCode::InsufficientMemory.into());
        }
    }
    let listing = state.filesystem().read_directory(directory).await?;
    state.listings_mut().given.push((listing.rep(), bytes));
    Ok(listing)
}

impl HostState {
    fn listed(&mut self) -> usize {
        let (listings, table) = self.listings_and_table();
        listings.bytes(table)
    }
}

/// Computes what a listing would take, and stops counting at `most`. What cannot be read here the engine cannot read
/// either.
async fn size(directory: Arc<File>, most: usize) -> usize {
    let count = move || {
        let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let mut bytes = 0_usize;
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            bytes += ENTRY + entry.file_name().len();
            if bytes > most {
                break;
            }
        }
        bytes
    };
    tokio::task::spawn_blocking(count).await.unwrap_or_default()
}
