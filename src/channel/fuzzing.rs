//! This file says, for fuzzing, what must hold for any bytes that a child sends.

use super::ChildMessage;
use super::command::AdminOrder;
use super::record::Record;
use crate::exit::Status;

pub fn records(bytes: &[u8]) {
    message(bytes);
    command(bytes);
}

/// Checks bytes as the admin process's.
fn command(bytes: &[u8]) {
    let whole = AdminOrder::decode(bytes);
    if let Ok(command) = whole {
        assert_eq!(command.encode(), bytes);
    }
    if let Some((begun, _)) = bytes.split_first_chunk::<12>()
        && let Ok(command) = AdminOrder::decode(begun)
    {
        assert_eq!(command.encode(), *begun);
        assert_eq!(whole.is_ok(), bytes.len() == begun.len());
    }
}

/// Checks bytes as every other child's.
fn message(bytes: &[u8]) {
    let mut record = Record::default();
    let size = record.bytes().len();
    let length = bytes.len().min(size);
    record.bytes_mut()[..length].copy_from_slice(&bytes[..length]);
    if length < size {
        assert!(record.message(length).is_err(), "it has not come whole");
    }
    match record.message(size) {
        Ok(ChildMessage::Failed { status, text }) => {
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
