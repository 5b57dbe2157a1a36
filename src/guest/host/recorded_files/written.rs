//! The answers of `wasi:filesystem` stand in a recording as words of JSON, and the bytes of files beside them.

use crate::guest::recording::{HostAnswer, Recorder};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, MetadataHashValue,
};
use wasmtime_wasi::p2::{FsError, StreamError};

/// A `Written` answer can be written down and read again.
pub trait Written: Sized {
    type Words: Serialize + DeserializeOwned;

    fn words(&self) -> Self::Words;

    fn bytes(&self) -> &[u8] {
        &[]
    }

    fn read(words: Self::Words, bytes: Bytes) -> Option<Self>;
}

/// Notes what the host has answered.
pub fn note<T: Written>(recorder: &Recorder, called: String, answer: Result<&T, WrittenError>) {
    let bytes = answer.as_ref().map_or(&[][..], |answer| answer.bytes());
    let words = answer.as_ref().map(|answer| answer.words());
    let words = serde_json::to_string(&words).unwrap_or_default();
    recorder.note_host_answer(called, words, bytes);
}

/// Gives the recorded answer; `None` where there is none, or where it is none of this kind.
pub fn again<T: Written>(recorder: &Recorder, called: &str) -> Option<Result<T, WrittenError>> {
    read(&recorder.host_answer(called)?)
}

/// Gives the recorded answer, or waits in vain where the guest did.
pub async fn again_in_time<T: Written>(
    recorder: &Recorder,
    called: &str,
) -> Option<Result<T, WrittenError>> {
    read(&recorder.host_answer_in_time(called).await?)
}

fn read<T: Written>(answer: &HostAnswer) -> Option<Result<T, WrittenError>> {
    let words: Result<T::Words, WrittenError> = serde_json::from_str(&answer.words).ok()?;
    match words {
        Ok(words) => T::read(words, answer.bytes.clone()).map(Ok),
        Err(error) => Some(Err(error)),
    }
}

/// A `WrittenError` is an answer that is an error.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WrittenError {
    /// The error has this name in the interface.
    Code(String),
    /// A stream is closed.
    Closed,
    /// A stream has failed by this error of the system's, or with these words.
    Failed(Option<i32>, String),
    /// The guest has trapped.
    Trap(String),
}

impl WrittenError {
    pub fn of(error: &FsError) -> WrittenError {
        match error.downcast_ref() {
            Some(code) => WrittenError::Code(code.name().to_owned()),
            None => WrittenError::Trap(format!("{error}")),
        }
    }

    pub fn of_stream(error: &StreamError) -> WrittenError {
        match error {
            StreamError::Closed => WrittenError::Closed,
            StreamError::LastOperationFailed(why) => {
                let system = why.downcast_ref::<io::Error>();
                let system = system.and_then(io::Error::raw_os_error);
                WrittenError::Failed(system, why.to_string())
            }
            StreamError::Trap(why) => WrittenError::Trap(why.to_string()),
        }
    }

    /// Makes the error of a function again.
    pub fn again(self) -> FsError {
        let code = |code: &ErrorCode, name: &str| code.name() == name;
        match self {
            WrittenError::Code(name) => {
                let known = CODES.iter().find(|it| code(it, &name));
                known.copied().unwrap_or(ErrorCode::Io).into()
            }
            WrittenError::Closed | WrittenError::Failed(..) => ErrorCode::Io.into(),
            WrittenError::Trap(why) => FsError::trap(wasmtime::format_err!("{why}")),
        }
    }

    /// Makes the error of a stream again.
    pub fn stream_again(self) -> StreamError {
        match self {
            WrittenError::Code(_) | WrittenError::Closed => StreamError::Closed,
            WrittenError::Failed(system, why) => {
                let error =
                    system.map_or_else(|| io::Error::other(why), io::Error::from_raw_os_error);
                StreamError::LastOperationFailed(error.into())
            }
            WrittenError::Trap(why) => StreamError::Trap(wasmtime::format_err!("{why}")),
        }
    }
}

/// These are all errors of the interface.
const CODES: [ErrorCode; 37] = [
    ErrorCode::Access,
    ErrorCode::WouldBlock,
    ErrorCode::Already,
    ErrorCode::BadDescriptor,
    ErrorCode::Busy,
    ErrorCode::Deadlock,
    ErrorCode::Quota,
    ErrorCode::Exist,
    ErrorCode::FileTooLarge,
    ErrorCode::IllegalByteSequence,
    ErrorCode::InProgress,
    ErrorCode::Interrupted,
    ErrorCode::Invalid,
    ErrorCode::Io,
    ErrorCode::IsDirectory,
    ErrorCode::Loop,
    ErrorCode::TooManyLinks,
    ErrorCode::MessageSize,
    ErrorCode::NameTooLong,
    ErrorCode::NoDevice,
    ErrorCode::NoEntry,
    ErrorCode::NoLock,
    ErrorCode::InsufficientMemory,
    ErrorCode::InsufficientSpace,
    ErrorCode::NotDirectory,
    ErrorCode::NotEmpty,
    ErrorCode::NotRecoverable,
    ErrorCode::Unsupported,
    ErrorCode::NoTty,
    ErrorCode::NoSuchDevice,
    ErrorCode::Overflow,
    ErrorCode::NotPermitted,
    ErrorCode::Pipe,
    ErrorCode::ReadOnly,
    ErrorCode::InvalidSeek,
    ErrorCode::TextFileBusy,
    ErrorCode::CrossDevice,
];

const KINDS: [(DescriptorType, &str); 8] = [
    (DescriptorType::Unknown, "unknown"),
    (DescriptorType::BlockDevice, "block-device"),
    (DescriptorType::CharacterDevice, "character-device"),
    (DescriptorType::Directory, "directory"),
    (DescriptorType::Fifo, "fifo"),
    (DescriptorType::SymbolicLink, "symbolic-link"),
    (DescriptorType::RegularFile, "regular-file"),
    (DescriptorType::Socket, "socket"),
];

const FLAGS: [(DescriptorFlags, &str); 6] = [
    (DescriptorFlags::READ, "read"),
    (DescriptorFlags::WRITE, "write"),
    (DescriptorFlags::FILE_INTEGRITY_SYNC, "file-integrity-sync"),
    (DescriptorFlags::DATA_INTEGRITY_SYNC, "data-integrity-sync"),
    (
        DescriptorFlags::REQUESTED_WRITE_SYNC,
        "requested-write-sync",
    ),
    (DescriptorFlags::MUTATE_DIRECTORY, "mutate-directory"),
];

/// A value that is its own words is written as it is.
macro_rules! plain {
    ($($kind:ty),*) => {$(
        impl Written for $kind {
            type Words = $kind;

            fn words(&self) -> $kind {
                self.clone()
            }

            fn read(words: $kind, _: Bytes) -> Option<$kind> {
                Some(words)
            }
        }
    )*};
}

plain!((), bool, u64, String);

/// The bytes of a file are written as they are, and whether its end was reached.
impl Written for (Vec<u8>, bool) {
    type Words = bool;

    fn words(&self) -> bool {
        self.1
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn read(words: bool, bytes: Bytes) -> Option<(Vec<u8>, bool)> {
        Some((bytes.into(), words))
    }
}

impl Written for Bytes {
    type Words = ();

    fn words(&self) {}

    fn bytes(&self) -> &[u8] {
        self
    }

    fn read((): (), bytes: Bytes) -> Option<Bytes> {
        Some(bytes)
    }
}

impl Written for DescriptorType {
    type Words = String;

    fn words(&self) -> String {
        let known = KINDS.iter().find(|(kind, _)| kind == self);
        known.map_or("unknown", |(_, name)| name).to_owned()
    }

    fn read(words: String, _: Bytes) -> Option<DescriptorType> {
        let known = KINDS.iter().find(|(_, name)| *name == words);
        known.map(|(kind, _)| *kind)
    }
}

impl Written for DescriptorFlags {
    type Words = Vec<String>;

    fn words(&self) -> Vec<String> {
        let set = FLAGS.iter().filter(|(flag, _)| self.contains(*flag));
        set.map(|(_, name)| (*name).to_owned()).collect()
    }

    fn read(words: Vec<String>, _: Bytes) -> Option<DescriptorFlags> {
        let set = FLAGS
            .iter()
            .filter(|(_, name)| words.iter().any(|it| it == name));
        Some(set.fold(DescriptorFlags::empty(), |all, (flag, _)| all | *flag))
    }
}

impl Written for MetadataHashValue {
    type Words = (u64, u64);

    fn words(&self) -> (u64, u64) {
        (self.lower, self.upper)
    }

    fn read((lower, upper): (u64, u64), _: Bytes) -> Option<MetadataHashValue> {
        Some(MetadataHashValue { lower, upper })
    }
}

impl Written for Option<DirectoryEntry> {
    type Words = Option<(String, String)>;

    fn words(&self) -> Option<(String, String)> {
        let entry = self.as_ref()?;
        Some((entry.type_.words(), entry.name.clone()))
    }

    fn read(words: Option<(String, String)>, bytes: Bytes) -> Option<Option<DirectoryEntry>> {
        let Some((kind, name)) = words else {
            return Some(None);
        };
        let type_ = DescriptorType::read(kind, bytes)?;
        Some(Some(DirectoryEntry { type_, name }))
    }
}

/// A `WrittenStat` is what is known of a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WrittenStat {
    kind: String,
    links: u64,
    size: u64,
    accessed: Option<(u64, u32)>,
    modified: Option<(u64, u32)>,
    changed: Option<(u64, u32)>,
}

impl Written for DescriptorStat {
    type Words = WrittenStat;

    fn words(&self) -> WrittenStat {
        let time = |time: Option<Datetime>| time.map(|it| (it.seconds, it.nanoseconds));
        WrittenStat {
            kind: self.type_.words(),
            links: self.link_count,
            size: self.size,
            accessed: time(self.data_access_timestamp),
            modified: time(self.data_modification_timestamp),
            changed: time(self.status_change_timestamp),
        }
    }

    fn read(words: WrittenStat, bytes: Bytes) -> Option<DescriptorStat> {
        let time = |(seconds, nanoseconds)| Datetime {
            seconds,
            nanoseconds,
        };
        Some(DescriptorStat {
            type_: DescriptorType::read(words.kind, bytes)?,
            link_count: words.links,
            size: words.size,
            data_access_timestamp: words.accessed.map(time),
            data_modification_timestamp: words.modified.map(time),
            status_change_timestamp: words.changed.map(time),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes an answer and reads it.
    fn again<T: Written>(answer: &T) -> T {
        let words = serde_json::to_string(&answer.words()).unwrap();
        let bytes = Bytes::copy_from_slice(answer.bytes());
        T::read(serde_json::from_str(&words).unwrap(), bytes).unwrap()
    }

    #[test]
    fn answers_are_read_as_they_were_written() {
        for (kind, _) in KINDS {
            assert_eq!(again(&kind), kind);
        }
        let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
        assert_eq!(again(&flags), flags);
        assert_eq!(again(&(vec![0, 255], true)), (vec![0, 255], true));
        let stat = DescriptorStat {
            type_: DescriptorType::RegularFile,
            link_count: 2,
            size: u64::MAX,
            data_access_timestamp: None,
            data_modification_timestamp: Some(Datetime {
                seconds: 7,
                nanoseconds: 8,
            }),
            status_change_timestamp: None,
        };
        assert_eq!(format!("{:?}", again(&stat)), format!("{stat:?}"));
        assert!(again(&None::<DirectoryEntry>).is_none());
    }

    #[test]
    fn errors_are_read_as_they_were_written() {
        for code in CODES {
            let error = WrittenError::of(&code.into()).again();
            assert_eq!(error.downcast_ref(), Some(&code));
        }
        let full = io::Error::from_raw_os_error(28);
        let failed = StreamError::LastOperationFailed(full.into());
        match WrittenError::of_stream(&failed).stream_again() {
            StreamError::LastOperationFailed(error) => {
                let error = error.downcast_ref::<io::Error>().unwrap();
                assert_eq!(error.raw_os_error(), Some(28));
            }
            other => panic!("{other}"),
        }
    }
}
