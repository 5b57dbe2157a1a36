//! The functions of descriptors and of listings are those of the engine and of this host, with a recording before them.

use super::RecordedFiles;
use super::streams::RecordedStream;
use crate::guest::host::at_hand;
use crate::guest::host::database_lock::p2 as locks;
use crate::guest::host::file_streams;
use crate::guest::host::listings;
use crate::guest::host::special_files::{self, Wish};
use crate::guest::recording::written_as;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, ErrorCode, Filesize, HostDescriptor, HostDirectoryEntryStream,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

type Fd = Resource<Descriptor>;

/// Gives the recorded answer, or has the host answer and notes that.
macro_rules! recorded {
    ($files:ident, $called:expr, $ask:expr) => {{
        let called = format!("wasi:filesystem {}", $called);
        match $files.again_in_time(&called).await {
            Some(answer) => answer,
            None => {
                $files.begin(&called);
                let answer = $ask;
                $files.noted(called, answer)
            }
        }
    }};
}

/// Has the host open something, and notes whether it could; there is `None` in a replay, where that could be opened.
macro_rules! opened {
    ($files:ident, $called:expr, $ask:expr) => {{
        let called = format!("wasi:filesystem {}", $called);
        opened!($files, called, $files.again_in_time(&called).await, $ask)
    }};
    ($files:ident, $called:ident, $again:expr, $ask:expr) => {{
        let again: Option<FsResult<()>> = $again;
        match again {
            Some(answer) => answer.map(|()| None),
            None => {
                $files.begin(&$called);
                let answer = $ask;
                $files.note($called, answer.as_ref().map(|_| &()));
                answer.map(Some)
            }
        }
    }};
}

/// Has the host open what is open at once.
macro_rules! opened_at_once {
    ($files:ident, $called:expr, $ask:expr) => {{
        let called = format!("wasi:filesystem {}", $called);
        opened!($files, called, $files.again(&called), $ask)
    }};
}

impl RecordedFiles<'_> {
    fn name<T>(&mut self, opened: &Resource<T>) -> String {
        self.0.file_names().of(opened.rep()).to_owned()
    }

    fn beneath(&mut self, directory: &Fd, path: &str) -> String {
        self.0.file_names().beneath(directory.rep(), path)
    }

    /// Gives what was opened this name.
    fn named<T: 'static>(
        &mut self,
        opened: Option<Resource<T>>,
        name: String,
    ) -> FsResult<Resource<T>> {
        let opened = match opened {
            Some(opened) => opened,
            None => self.0.stand_in(name.clone())?,
        };
        self.0.file_names().name(opened.rep(), name);
        Ok(opened)
    }

    /// Has a stream recorded; there is none in a replay.
    fn stream<S: Send + 'static>(
        &mut self,
        stream: Option<Resource<S>>,
        name: String,
        boxed: fn(RecordedStream<S>) -> S,
    ) -> FsResult<Resource<S>> {
        let Some(recorder) = self.0.recorder().cloned() else {
            return stream.ok_or_else(|| ErrorCode::NotPermitted.into());
        };
        let table = self.0.table_mut();
        let inner = stream.map(|stream| table.delete(stream)).transpose()?;
        let stream = RecordedStream::new(inner, recorder, name);
        Ok(table.push(boxed(stream))?)
    }
}

impl HostDescriptor for RecordedFiles<'_> {
    async fn advise(
        &mut self,
        fd: Fd,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FsResult<()> {
        let called = format!("advise {} {offset} {length} {advice:?}", self.name(&fd));
        recorded!(
            self,
            called,
            self.files().advise(fd, offset, length, advice).await
        )
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        let called = format!("sync-data {}", self.name(&fd));
        recorded!(self, called, self.files().sync_data(fd).await)
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        let called = format!("get-flags {}", self.name(&fd));
        recorded!(self, called, self.files().get_flags(fd).await)
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        let called = format!("get-type {}", self.name(&fd));
        recorded!(self, called, self.files().get_type(fd).await)
    }

    async fn set_size(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        let called = format!("set-size {} {size}", self.name(&fd));
        recorded!(self, called, self.files().set_size(fd, size).await)
    }

    async fn set_times(
        &mut self,
        fd: Fd,
        read: NewTimestamp,
        written: NewTimestamp,
    ) -> FsResult<()> {
        let called = format!("set-times {} {read:?} {written:?}", self.name(&fd));
        recorded!(
            self,
            called,
            self.files().set_times(fd, read, written).await
        )
    }

    async fn read(
        &mut self,
        fd: Fd,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        let called = format!("read {} {length} at {offset}", self.name(&fd));
        recorded!(self, called, self.files().read(fd, length, offset).await)
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        let called = format!(
            "write {} {} at {offset}",
            self.name(&fd),
            written_as(&bytes)
        );
        recorded!(self, called, self.files().write(fd, bytes, offset).await)
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        let called = format!("sync {}", self.name(&fd));
        recorded!(self, called, self.files().sync(fd).await)
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let called = format!("create-directory-at {}", self.beneath(&fd, &path));
        recorded!(
            self,
            called,
            locks::create_directory_at(self.0, fd, path).await
        )
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        let called = format!("stat {}", self.name(&fd));
        recorded!(self, called, at_hand::stat(self.0, fd).await)
    }

    async fn stat_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        let called = format!("stat-at {} {flags:?}", self.beneath(&fd, &path));
        recorded!(self, called, locks::stat_at(self.0, fd, flags, path).await)
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        read: NewTimestamp,
        written: NewTimestamp,
    ) -> FsResult<()> {
        let called = format!(
            "set-times-at {} {flags:?} {read:?} {written:?}",
            self.beneath(&fd, &path)
        );
        recorded!(
            self,
            called,
            locks::set_times_at(self.0, (fd, flags, path), read, written).await
        )
    }

    async fn link_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        other: Fd,
        new_path: String,
    ) -> FsResult<()> {
        let called = format!(
            "link-at {} {flags:?} {}",
            self.beneath(&fd, &path),
            self.beneath(&other, &new_path)
        );
        recorded!(
            self,
            called,
            self.files().link_at(fd, flags, path, other, new_path).await
        )
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        let called = format!("readlink-at {}", self.beneath(&fd, &path));
        recorded!(self, called, self.files().readlink_at(fd, path).await)
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let called = format!("remove-directory-at {}", self.beneath(&fd, &path));
        recorded!(
            self,
            called,
            locks::remove_directory_at(self.0, fd, path).await
        )
    }

    async fn rename_at(
        &mut self,
        fd: Fd,
        path: String,
        other: Fd,
        new_path: String,
    ) -> FsResult<()> {
        let called = format!(
            "rename-at {} {}",
            self.beneath(&fd, &path),
            self.beneath(&other, &new_path)
        );
        recorded!(
            self,
            called,
            self.files().rename_at(fd, path, other, new_path).await
        )
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        let called = format!("symlink-at {target} {}", self.beneath(&fd, &path));
        recorded!(
            self,
            called,
            self.files().symlink_at(fd, target, path).await
        )
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let called = format!("unlink-file-at {}", self.beneath(&fd, &path));
        recorded!(self, called, self.files().unlink_file_at(fd, path).await)
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        let called = format!("metadata-hash {}", self.name(&fd));
        recorded!(self, called, at_hand::metadata_hash(self.0, fd).await)
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        let called = format!("metadata-hash-at {} {flags:?}", self.beneath(&fd, &path));
        recorded!(
            self,
            called,
            locks::metadata_hash_at(self.0, fd, flags, path).await
        )
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        let name = self.name(&fd);
        let called = format!("read-directory {name}");
        let listing = opened!(self, called, listings::read_directory(self.0, fd).await);
        self.named(listing?, name)
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let name = self.beneath(&fd, &path);
        let called = format!("open-at {name} {path_flags:?} {how:?} {flags:?}");
        let wish = Wish {
            path_flags,
            path,
            how,
            flags,
        };
        let opened = opened!(self, called, special_files::open_at(self.0, fd, wish).await);
        self.named(opened?, name)
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.close(fd)
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        let name = self.name(&fd);
        let called = format!("read-via-stream {name} at {offset}");
        let stream = opened_at_once!(self, called, file_streams::read(self.files(), fd, offset));
        self.stream(stream?, name, |stream| Box::new(stream))
    }

    fn write_via_stream(
        &mut self,
        fd: Fd,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        let name = self.name(&fd);
        let called = format!("write-via-stream {name} at {offset}");
        let stream = opened_at_once!(
            self,
            called,
            file_streams::write(self.files(), fd, Some(offset))
        );
        self.stream(stream?, name, |stream| Box::new(stream))
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let name = self.name(&fd);
        let called = format!("append-via-stream {name}");
        let stream = opened_at_once!(self, called, file_streams::write(self.files(), fd, None));
        self.stream(stream?, name, |stream| Box::new(stream))
    }

    async fn is_same_object(&mut self, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        let called = format!("is-same-object {} {}", self.name(&one), self.name(&other));
        let same: FsResult<bool> = recorded!(self, called, {
            let same = self.files().is_same_object(one, other).await;
            same.map_err(FsError::trap)
        });
        same.or_else(|error| error.downcast().map(|_: ErrorCode| false))
    }
}

impl HostDirectoryEntryStream for RecordedFiles<'_> {
    async fn read_directory_entry(
        &mut self,
        listing: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let called = format!("read-directory-entry {}", self.name(&listing));
        recorded!(
            self,
            called,
            self.files().read_directory_entry(listing).await
        )
    }

    fn drop(&mut self, listing: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.close(listing)
    }
}
