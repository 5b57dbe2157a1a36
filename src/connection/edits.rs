//! This file makes the changes in a head of HTTP/1 that the follower asks for.

use super::framing::{Edit, EditKind};
use bytes::BytesMut;
use tokio::io::ReadBuf;

/// Makes the changes in what came after `known`; what there is no room for afterwards.
pub fn edit(buffer: &mut ReadBuf<'_>, known: usize, edits: &[Edit]) -> BytesMut {
    if edits.is_empty() {
        return BytesMut::new();
    }
    let came = buffer.filled()[known..].to_vec();
    let mut edited = BytesMut::with_capacity(came.len() + 2 * edits.len());
    let mut from = 0;
    for Edit { at, kind } in edits {
        edited.extend_from_slice(&came[from..*at]);
        match kind {
            EditKind::Encode => edited.extend_from_slice(format!("%{:02X}", came[*at]).as_bytes()),
            EditKind::Version => edited.extend_from_slice(b"1"),
        }
        from = at + 1;
    }
    edited.extend_from_slice(&came[from..]);
    buffer.set_filled(known);
    let fits = edited.split_to(edited.len().min(buffer.remaining()));
    buffer.put_slice(&fits);
    edited
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_beyond_the_room_waits_for_more() {
        let mut room = [0; 12];
        let mut buffer = ReadBuf::new(&mut room);
        buffer.put_slice(b"oldGET /<>");
        let edits = [8, 9].map(|at| Edit {
            at: at - 3,
            kind: EditKind::Encode,
        });
        let rest = edit(&mut buffer, 3, &edits);
        assert_eq!(buffer.filled(), b"oldGET /%3C%");
        assert_eq!(&rest[..], b"3E");
    }
}
