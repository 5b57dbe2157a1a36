//! What must hold for any bytes that a child sends, for fuzzing.

use super::Message;
use super::command::Command;
use super::record::Record;
use crate::exit::Status;

pub fn records(bytes: &[u8]) {
    message(bytes);
    command(bytes);
}

/// What the admin process sends.
fn command(bytes: &[u8]) {
    let whole = Command::decode(bytes);
    if let Ok(command) = whole {
        assert_eq!(command.encode(), bytes);
    }
    if let Some((begun, _)) = bytes.split_first_chunk::<8>()
        && let Ok(command) = Command::decode(begun)
    {
        assert_eq!(command.encode(), *begun);
        assert_eq!(whole.is_ok(), bytes.len() == begun.len());
    }
}

/// What every other child sends.
fn message(bytes: &[u8]) {
    let mut record = Record::default();
    let size = record.bytes().len();
    let length = bytes.len().min(size);
    record.bytes_mut()[..length].copy_from_slice(&bytes[..length]);
    if length < size {
        assert!(record.message(length).is_err(), "it has not come whole");
    }
    match record.message(size) {
        Ok(Message::Failed { status, text }) => {
            assert_ne!(status, Status::Stopped);
            assert!(
                !text.contains(|c: char| c.is_control() && c != '\t'),
                "it can forge lines: {text:?}"
            );
        }
        Ok(message) => {
            let again = Record::from(&message).message(size);
            assert_eq!(again.as_ref(), Ok(&message));
        }
        Err(_) => {}
    }
}
