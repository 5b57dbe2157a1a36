//! What a guest reads of its directories is recorded with its request, and given again where there are none: a replay
//! reads no file, and what it writes is written nowhere. This is `wasi:filesystem` 0.2, for requests that are recorded.

mod descriptors;
mod names;
mod streams;
mod written;

pub use names::FileNames;

use super::state::HostState;
use crate::guest::recording::Used;
use wasmtime::StoreContextMut;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::filesystem::{WasiFilesystemCtxView, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};
use wasmtime_wasi::p2::{FsError, FsResult};
use wasmtime_wasi::p3::bindings::filesystem::preopens as newer;
use written::{Written, WrittenError};

/// `RecordedFiles` are the directories of one instance.
pub struct RecordedFiles<'a>(&'a mut HostState);

struct HasRecordedFiles;

impl HasData for HasRecordedFiles {
    type Data<'a> = RecordedFiles<'a>;
}

/// Puts these functions in the place of those that know nothing of recordings.
pub fn replace(linker: &mut Linker<HostState>, concurrent: bool) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    types::add_to_linker::<HostState, HasRecordedFiles>(linker, recorded_files)?;
    preopens::add_to_linker::<HostState, HasRecordedFiles>(linker, recorded_files)?;
    if concurrent {
        note_use(linker)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

fn recorded_files(state: &mut HostState) -> RecordedFiles<'_> {
    RecordedFiles(state)
}

/// Has it noted that a guest uses directories by `wasi:filesystem` 0.3, whose answers are not recorded.
fn note_use(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut preopens = linker.instance("wasi:filesystem/preopens@0.3.0")?;
    preopens.func_wrap("get-directories", |mut store, ()| {
        let store: &mut StoreContextMut<'_, HostState> = &mut store;
        let directories = newer::Host::get_directories(&mut store.data_mut().filesystem())?;
        let recorder = store.data().recorder();
        // A replay has none.
        let had = recorder.is_some_and(|recorder| !recorder.directories().is_empty());
        if had || !directories.is_empty() {
            store.data().uses(Used::Directories);
        }
        Ok((directories,))
    })
}

impl RecordedFiles<'_> {
    fn files(&mut self) -> WasiFilesystemCtxView<'_> {
        self.0.filesystem()
    }

    /// Gives the recorded answer to a call; `None` where the host is to answer.
    fn again<T: Written>(&self, called: &str) -> Option<FsResult<T>> {
        let recorder = self.0.recorder().filter(|it| it.is_replayed())?;
        Some(told(written::again(recorder, called)))
    }

    /// Gives the recorded answer to a call, or waits in vain for it; `None` where the host is to answer.
    async fn again_in_time<T: Written>(&mut self, called: &str) -> Option<FsResult<T>> {
        let recorder = self.0.recorder().filter(|it| it.is_replayed()).cloned()?;
        Some(told(written::again_in_time(&recorder, called).await))
    }

    /// Notes that the host is asked this and may take its time.
    fn begin(&self, called: &str) {
        if let Some(recorder) = self.0.recorder() {
            recorder.ask_host(called);
        }
    }

    /// Notes what the host has answered to a call.
    fn note<T: Written>(&self, called: String, answer: Result<&T, &FsError>) {
        if let Some(recorder) = self.0.recorder() {
            written::note(recorder, called, answer.map_err(WrittenError::of));
        }
    }

    /// Notes an answer and gives it on.
    fn noted<T: Written>(&self, called: String, answer: FsResult<T>) -> FsResult<T> {
        self.note(called, answer.as_ref());
        answer
    }

    /// Takes what was opened from the table.
    fn close<T: Send + 'static>(&mut self, opened: Resource<T>) -> wasmtime::Result<()> {
        self.0.file_names().forget(opened.rep());
        self.0.close(opened)
    }
}

/// Gives an answer as the engine has it.
fn told<T>(recorded: Option<Result<T, WrittenError>>) -> FsResult<T> {
    match recorded {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) => Err(error.again()),
        // The guest has gone another way.
        None => Err(ErrorCode::NotPermitted.into()),
    }
}

impl preopens::Host for RecordedFiles<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<types::Descriptor>, String)>> {
        let recorder = self.0.recorder().filter(|it| it.is_replayed()).cloned();
        let directories = match recorder {
            None => preopens::Host::get_directories(&mut self.files())?,
            Some(recorder) => {
                let names = recorder.directories().iter();
                names
                    .map(|name| Ok((self.0.stand_in(name.clone())?, name.clone())))
                    .collect::<wasmtime::Result<_>>()?
            }
        };
        for (directory, name) in &directories {
            self.0.file_names().name(directory.rep(), name.clone());
        }
        Ok(directories)
    }
}

impl types::Host for RecordedFiles<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.files().filesystem_error_code(error)
    }
}
