//! A listing of a directory in `wasi:filesystem` 0.3 is read whole when the guest first asks for some of it, as in 0.2: an
//! instance has no more of them than there is memory for. The engine's has a thread until the guest has read all of it: a guest
//! that began some hundreds had all threads of its worker, and nobody else was given a file.

use super::listings::{ENTRY, Held};
use super::state::HostState;
use nix::dir::{Dir, Entry, Type};
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, SFlag, fstatat};
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::vec::IntoIter;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Destination, FutureReader, Linker, Resource, StreamProducer, StreamReader, StreamResult,
    VecBuffer,
};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p3::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};

/// The engine defines the interface in this version.
const TYPES: &str = "wasi:filesystem/types@0.3.0";

/// So many entries are given at a time where nobody says how many.
const TOGETHER: usize = 32;

type Ended = Result<(), ErrorCode>;

/// Puts a listing that takes no thread in the place of the engine's.
pub fn replace(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap("[method]descriptor.read-directory", read_directory)?;
    linker.allow_shadowing(false);
    Ok(())
}

type Listing = (StreamReader<DirectoryEntry>, FutureReader<Ended>);

fn read_directory(
    mut store: StoreContextMut<'_, HostState>,
    (directory,): (Resource<Descriptor>,),
) -> wasmtime::Result<(Listing,)> {
    let directory = match store.data().table().get(&directory)? {
        Descriptor::Dir(directory) => Ok(directory.dir.clone()),
        Descriptor::File(_) => Err(ErrorCode::NotDirectory),
    };
    let (end, ended) = oneshot::channel();
    let state = match directory {
        Ok(directory) => State::Unread(directory),
        Err(error) => State::Failed(error),
    };
    let entries = Entries {
        state,
        held: Held::new(store.data_mut().listings_mut()),
        end: Some(end),
    };
    let entries = StreamReader::new(&mut store, entries)?;
    let ended = FutureReader::new(&mut store, ended)?;
    Ok(((entries, ended),))
}

/// `Entries` are those of one directory, on their way to the guest.
struct Entries {
    state: State,
    held: Held,
    /// The guest is told here how it ended.
    end: Option<oneshot::Sender<Ended>>,
}

enum State {
    Unread(Arc<File>),
    Reading(JoinHandle<Result<Vec<DirectoryEntry>, ErrorCode>>),
    Read(IntoIter<DirectoryEntry>),
    Failed(ErrorCode),
}

impl Entries {
    fn close(&mut self, ended: Ended) -> StreamResult {
        if let Some(end) = self.end.take() {
            let _ = end.send(ended);
        }
        StreamResult::Dropped
    }
}

impl StreamProducer<HostState> for Entries {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, HostState>,
        mut destination: Destination<'a, DirectoryEntry, VecBuffer<DirectoryEntry>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let wanted = destination.remaining(&mut store).unwrap_or(TOGETHER);
        if wanted == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        loop {
            self.state = match &mut self.state {
                State::Unread(directory) => {
                    let directory = directory.clone();
                    let (held, most) = (self.held.clone(), store.data().memory().left());
                    State::Reading(spawn_blocking(move || read(&directory, &held, most)))
                }
                State::Reading(reading) => match Pin::new(reading).poll(cx) {
                    // It goes on, for whoever asks next.
                    Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                    read => match ready!(read) {
                        Ok(Ok(entries)) => State::Read(entries.into_iter()),
                        Ok(Err(error)) => State::Failed(error),
                        Err(_) => State::Failed(ErrorCode::Io),
                    },
                },
                State::Read(entries) => {
                    let next: Vec<DirectoryEntry> = entries.take(wanted).collect();
                    if next.is_empty() {
                        return Poll::Ready(Ok(self.close(Ok(()))));
                    }
                    destination.set_buffer(next.into());
                    return Poll::Ready(Ok(StreamResult::Completed));
                }
                State::Failed(error) => {
                    let error = error.clone();
                    if matches!(error, ErrorCode::InsufficientMemory) {
                        store.data().memory().refuse();
                    }
                    return Poll::Ready(Ok(self.close(Err(error))));
                }
            };
        }
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        // What has not begun need not begin.
        if let State::Reading(reading) = &self.state {
            reading.abort();
        }
        self.close(Ok(()));
    }
}

/// Reads all of a directory, as far as the instance may have listings of `most` bytes.
fn read(directory: &File, held: &Held, most: usize) -> Result<Vec<DirectoryEntry>, ErrorCode> {
    let failed = |errno| ErrorCode::from(io::Error::from(errno));
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut open = Dir::openat(directory, ".", flags, Mode::empty()).map_err(failed)?;
    let mut entries = Vec::new();
    for entry in open.iter() {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().to_str() else {
            return Err(ErrorCode::IllegalByteSequence);
        };
        if matches!(name, "." | "..") {
            continue;
        }
        if !held.add(ENTRY + name.len(), most) {
            return Err(ErrorCode::InsufficientMemory);
        }
        entries.push(DirectoryEntry {
            type_: type_of(directory, &entry),
            name: name.to_owned(),
        });
    }
    Ok(entries)
}

/// Says what an entry is, as the engine does. Some file systems leave it to be asked for.
fn type_of(directory: &File, entry: &Entry) -> DescriptorType {
    let known = entry.file_type().or_else(|| {
        let name = entry.file_name();
        let found = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
        match SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFREG => Some(Type::File),
            SFlag::S_IFDIR => Some(Type::Directory),
            SFlag::S_IFLNK => Some(Type::Symlink),
            SFlag::S_IFCHR => Some(Type::CharacterDevice),
            SFlag::S_IFBLK => Some(Type::BlockDevice),
            _ => None,
        }
    });
    match known {
        Some(Type::File) => DescriptorType::RegularFile,
        Some(Type::Directory) => DescriptorType::Directory,
        Some(Type::Symlink) => DescriptorType::SymbolicLink,
        Some(Type::CharacterDevice) => DescriptorType::CharacterDevice,
        Some(Type::BlockDevice) => DescriptorType::BlockDevice,
        _ => DescriptorType::Other(None),
    }
}
