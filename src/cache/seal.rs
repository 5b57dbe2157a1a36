//! The seal is the end of every file of code: its name, and a digest of all of the file. What was changed, cut short
//! or put in the place of another is found out before it is executed.

use super::name::{self, CodeName};
use blake3::Hasher;
use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

/// The seal has this version, which changes with its form.
pub const FORMAT: u32 = 1;

/// A sealed file ends with these bytes.
const MARK: [u8; 8] = *b"wscode01";

/// A seal has this many bytes: the name, the digest of what is before it, the mark.
const LENGTH: usize = name::LENGTH + 32 + MARK.len();

/// This many bytes are read at a time: enough for the digest to use all of the processor, and not all of its cache.
const PIECE: usize = 256 << 10;

/// The content of a file is not what was sealed.
#[derive(Debug)]
pub struct Damaged(&'static str);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "compiled code is damaged: {}", self.0)
    }
}

impl std::error::Error for Damaged {}

/// Seals a file that is complete, and has it written to the disk: a name must not outlive its content.
pub fn close(file: &mut File, name: CodeName) -> io::Result<()> {
    let length = file.metadata()?.len();
    let digest = digest(file, length, name)?;
    file.seek(SeekFrom::Start(length))?;
    let seal = [&name.to_bytes()[..], digest.as_bytes(), &MARK].concat();
    file.write_all(&seal)?;
    file.sync_data()
}

/// Counts the bytes that were sealed; returns `None` where there is no seal.
pub fn content(file: &File) -> io::Result<Option<u64>> {
    let Some(length) = file.metadata()?.len().checked_sub(LENGTH as u64) else {
        return Ok(None);
    };
    let mut mark = [0; MARK.len()];
    file.read_exact_at(&mut mark, length + (LENGTH - MARK.len()) as u64)?;
    Ok((mark == MARK).then_some(length))
}

/// Reads the name that a file was sealed with, whether the file is still as it was or not; returns `None` where there
/// is no seal.
pub fn name(file: &File) -> io::Result<Option<CodeName>> {
    let Some(length) = content(file)? else {
        return Ok(None);
    };
    let mut name = [0; name::LENGTH];
    file.read_exact_at(&mut name, length)?;
    Ok(Some(CodeName::of_bytes(&name)))
}

/// Checks that all of a file is as it was sealed, and gives its name.
pub fn verify(file: &File) -> anyhow::Result<CodeName> {
    let length = content(file)?.ok_or(Damaged("it does not end as it should"))?;
    let mut seal = [0; LENGTH];
    file.read_exact_at(&mut seal, length)?;
    let mut name = [0; name::LENGTH];
    name.copy_from_slice(&seal[..name::LENGTH]);
    let name = CodeName::of_bytes(&name);
    let noted = &seal[name::LENGTH..LENGTH - MARK.len()];
    match digest(file, length, name)?.as_bytes() == noted {
        true => Ok(name),
        false => Err(Damaged("it is not what was written").into()),
    }
}

/// Checks code that must have this name.
pub fn verify_as(file: &File, name: CodeName) -> anyhow::Result<()> {
    match verify(file)? == name {
        true => Ok(()),
        false => Err(Damaged("it is the code of something else").into()),
    }
}

fn digest(file: &File, length: u64, name: CodeName) -> io::Result<blake3::Hash> {
    let mut hasher = Hasher::new();
    hasher.update(&name.to_bytes());
    let (mut at, mut piece) = (0, vec![0; PIECE]);
    while at < length {
        let left = usize::try_from(length - at).unwrap_or(PIECE);
        let piece = &mut piece[..left.min(PIECE)];
        file.read_exact_at(piece, at)?;
        hasher.update(piece);
        at += piece.len() as u64;
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::memory::sealed_file;

    const NAME: CodeName = CodeName {
        component: [3; 32],
        engine: 4,
    };

    fn sealed(content: &[u8]) -> Vec<u8> {
        let file = nix::sys::memfd::memfd_create("test", nix::sys::memfd::MFdFlags::empty());
        let mut file = File::from(file.unwrap());
        file.write_all(content).unwrap();
        close(&mut file, NAME).unwrap();
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    fn file(bytes: &[u8]) -> File {
        sealed_file("test", bytes).unwrap()
    }

    #[test]
    fn what_was_sealed_is_found_as_it_was() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 17] {
            let file = file(&sealed(&vec![9; length]));
            assert_eq!(verify(&file).unwrap(), NAME);
            assert_eq!(content(&file).unwrap(), Some(length as u64));
            verify_as(&file, NAME).unwrap();
            let other = CodeName { engine: 5, ..NAME };
            assert!(verify_as(&file, other).unwrap_err().is::<Damaged>());
        }
    }

    #[test]
    fn every_change_and_every_cut_is_found_out() {
        let whole = sealed(b"native code");
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                assert!(verify(&file(&changed)).is_err(), "bit {bit} of byte {at}");
            }
            assert!(verify(&file(&whole[..at])).is_err(), "cut at {at}");
        }
        let longer = [&whole[..], b"\0"].concat();
        assert!(verify(&file(&longer)).is_err());
    }
}
