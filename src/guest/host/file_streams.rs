//! The streams of a file go on after its end was met, and after a read or a write has failed, as POSIX has it (read(2),
//! write(2)). The engine's are closed then for ever, and C libraries keep one for each open file: an instance that had
//! read an empty database saw nothing of what others wrote to it, and one that had met a full disk could write no more
//! when there was room again.

use super::answer::coded;
use super::at_hand;
use super::state::HostState;
use bytes::Bytes;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{
    Descriptor, File, WasiFilesystemCtx, WasiFilesystemCtxView, WasiFilesystemView,
};
use wasmtime_wasi::p2::bindings::filesystem::types::{Filesize, HostDescriptor};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, FsResult, InputStream, OutputStream, Pollable, StreamError,
    StreamResult,
};

type Fd = Resource<Descriptor>;
type Files<'a> = WasiFilesystemCtxView<'a>;

/// Begins to read at this place, as `read-via-stream` does.
pub fn read(mut files: Files<'_>, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
    let file = file_of(&files, &fd)?;
    let opened = files.read_via_stream(fd, offset)?;
    replace(&mut files, opened, file, |inner, file| {
        Box::new(Reading {
            inner: Some(inner),
            file,
            position: offset,
            is_under_way: false,
        })
    })
}

/// Begins to write at this place, as `write-via-stream` does, or at the end, as `append-via-stream` does.
pub fn write(
    mut files: Files<'_>,
    fd: Fd,
    place: Option<Filesize>,
) -> FsResult<Resource<DynOutputStream>> {
    let file = file_of(&files, &fd)?;
    let opened = begin_to_write(&mut files, fd, place)?;
    replace(&mut files, opened, file, |inner, file| {
        Box::new(Writing {
            inner,
            file,
            place,
            accepted: 0,
        })
    })
}

/// A directory has no streams, which the engine says.
fn file_of(files: &Files<'_>, fd: &Fd) -> FsResult<Option<File>> {
    Ok(match files.table.get(fd)? {
        Descriptor::File(file) => Some(file.clone()),
        Descriptor::Dir(_) => None,
    })
}

fn begin_to_write(
    files: &mut Files<'_>,
    fd: Fd,
    place: Option<Filesize>,
) -> FsResult<Resource<DynOutputStream>> {
    match place {
        Some(offset) => files.write_via_stream(fd, offset),
        None => files.append_via_stream(fd),
    }
}

/// Puts a stream of ours in the place of the engine's.
fn replace<S: Send + 'static>(
    files: &mut Files<'_>,
    opened: Resource<S>,
    file: Option<File>,
    ours: impl FnOnce(S, File) -> S,
) -> FsResult<Resource<S>> {
    let Some(file) = file else {
        return Ok(opened);
    };
    let inner = files.table.delete(opened)?;
    Ok(files.table.push(ours(inner, file))?)
}

/// Makes a stream of the engine's anew, which has no other way to be had than a table.
fn anew<S: 'static>(
    file: &File,
    begin: impl FnOnce(&mut Files<'_>, Fd) -> FsResult<Resource<S>>,
) -> StreamResult<S> {
    let (mut ctx, mut table) = (WasiFilesystemCtx::default(), ResourceTable::new());
    let fd = table.push(Descriptor::File(file.clone()));
    let fd = fd.map_err(|error| StreamError::Trap(error.into()))?;
    let mut files = WasiFilesystemCtxView {
        ctx: &mut ctx,
        table: &mut table,
    };
    // It was begun before: nothing of it depends on what the file is by now.
    let stream = begin(&mut files, fd).map_err(|_| StreamError::Closed)?;
    let stream = table.delete(stream);
    stream.map_err(|error| StreamError::Trap(error.into()))
}

/// Says whether the engine's stream is of no more use.
fn is_over(error: &StreamError) -> bool {
    matches!(
        error,
        StreamError::Closed | StreamError::LastOperationFailed(_)
    )
}

struct Reading {
    /// The engine's stream reads what is not in memory.
    inner: Option<DynInputStream>,
    file: File,
    position: Filesize,
    /// The engine has begun to read.
    is_under_way: bool,
}

impl Reading {
    /// Reads what is in memory.
    fn at_hand(&self, size: usize) -> Option<Bytes> {
        let wanted = !self.is_under_way && size > 0;
        wanted
            .then(|| at_hand::read(&self.file.file, self.position, size))
            .flatten()
    }

    fn take(&mut self, bytes: Bytes) -> StreamResult<Bytes> {
        // It would go on where it was.
        self.inner = None;
        self.position += bytes.len() as Filesize;
        Ok(bytes)
    }

    fn inner(&mut self) -> StreamResult<&mut DynInputStream> {
        let position = self.position;
        match &mut self.inner {
            Some(inner) => Ok(inner),
            none => Ok(none.insert(anew(&self.file, |files, fd| {
                files.read_via_stream(fd, position)
            })?)),
        }
    }

    fn after(&mut self, answer: StreamResult<Bytes>) -> StreamResult<Bytes> {
        self.is_under_way = false;
        match &answer {
            Ok(bytes) if bytes.is_empty() => self.is_under_way = true,
            Ok(bytes) => {
                self.position += bytes.len() as Filesize;
                self.inner = None;
            }
            Err(error) if is_over(error) => self.inner = None,
            Err(_) => {}
        }
        answer
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Reading {
    async fn ready(&mut self) {
        if self.at_hand(1).is_some() {
            return;
        }
        self.is_under_way = true;
        // One that cannot be made says so when it is read from.
        if let Ok(inner) = self.inner() {
            inner.ready().await;
        }
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Reading {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if let Some(bytes) = self.at_hand(size) {
            return self.take(bytes);
        }
        let answer = self.inner()?.read(size);
        self.after(answer)
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        if let Some(bytes) = self.at_hand(size) {
            return self.take(bytes);
        }
        let answer = self.inner()?.blocking_read(size).await;
        self.after(answer)
    }

    async fn cancel(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.cancel().await;
        }
    }
}

struct Writing {
    inner: DynOutputStream,
    file: File,
    /// It writes here next, or at the end.
    place: Option<Filesize>,
    /// It has taken this many bytes of which it is not known yet that they were written.
    accepted: usize,
}

impl Writing {
    /// Notes what came of a write. One that has failed is not known to have written anything: who tries again writes to
    /// the same place.
    fn after<T>(&mut self, answer: StreamResult<T>) -> StreamResult<T> {
        match &answer {
            Ok(_) => {
                let written = std::mem::take(&mut self.accepted) as Filesize;
                self.place = self.place.map(|place| place.saturating_add(written));
            }
            Err(error) if is_over(error) => {
                self.accepted = 0;
                let place = self.place;
                self.inner = anew(&self.file, |files, fd| begin_to_write(files, fd, place))?;
            }
            Err(_) => {}
        }
        answer
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writing {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Writing {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let length = bytes.len();
        self.inner.write(bytes)?;
        self.accepted = length;
        Ok(())
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        // What was written before is settled first: where this fails, that is not written once more.
        self.inner.ready().await;
        self.check_write()?;
        self.accepted = bytes.len();
        let answer = self.inner.blocking_write_and_flush(bytes).await;
        self.after(answer)
    }

    fn flush(&mut self) -> StreamResult<()> {
        match self.inner.flush() {
            // What is being written is not known to be.
            Ok(()) => Ok(()),
            failed => self.after(failed),
        }
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        match self.inner.check_write() {
            // It still writes.
            Ok(0) => Ok(0),
            answer => self.after(answer),
        }
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

/// Puts these functions in the place of the engine's.
pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance("wasi:filesystem/types@0.2.12")?;
    types.func_wrap(
        "[method]descriptor.read-via-stream",
        |mut store, (fd, offset): (Fd, Filesize)| {
            Ok((coded(read(store.data_mut().filesystem(), fd, offset))?,))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.write-via-stream",
        |mut store, (fd, offset): (Fd, Filesize)| {
            let files = store.data_mut().filesystem();
            Ok((coded(write(files, fd, Some(offset)))?,))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut store, (fd,): (Fd,)| Ok((coded(write(store.data_mut().filesystem(), fd, None))?,)),
    )?;
    linker.allow_shadowing(false);
    Ok(())
}
