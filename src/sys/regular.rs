//! This file reads files that an operator named. A FIFO, a device or an endless file in the place of a file is an error
//! at once: it makes nobody wait, and fills nobody's memory.

use nix::fcntl::OFlag;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// No larger certificate, key, configuration or environment file is read.
pub const LARGEST_TEXT: u64 = 1 << 20;

/// No larger component is read.
pub const LARGEST_COMPONENT: u64 = 1 << 30;

/// Opens a regular file of at most `most` bytes, without waiting for whoever may be at its other end.
pub fn open(path: &Path, most: u64) -> io::Result<File> {
    // Opening a device may do something to it.
    check(&std::fs::metadata(path)?, most)?;
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)?;
    // Another file may have taken its place meanwhile.
    check(&file.metadata()?, most)?;
    Ok(file)
}

/// Reads a regular file of at most `most` bytes.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path, most)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(too_large(most));
    }
    Ok(bytes)
}

/// Reads a regular file of text.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let text = String::from_utf8(read(path, most)?);
    text.map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

fn check(metadata: &Metadata, most: u64) -> io::Result<()> {
    if metadata.is_dir() {
        return Err(io::Error::new(
            ErrorKind::IsADirectory,
            "it is a directory, not a file",
        ));
    }
    if !metadata.is_file() {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is not a file that can be read at once, but a FIFO, a socket or a device",
        ));
    }
    match metadata.len() > most {
        true => Err(too_large(most)),
        false => Ok(()),
    }
}

fn too_large(most: u64) -> io::Error {
    let most = most >> 20;
    io::Error::new(
        ErrorKind::FileTooLarge,
        format!("it is larger than {most} MiB, the most that is read of such a file"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;

    #[test]
    fn only_a_regular_file_of_bounded_size_is_read() {
        let folder = std::env::temp_dir().join(format!("wasmserve-regular-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("file");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        assert_eq!(read(&file, 4).unwrap_err().kind(), ErrorKind::FileTooLarge);

        let fifo = folder.join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let link = folder.join("link");
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        for none in [&fifo, &link, &folder, Path::new("/dev/zero")] {
            let error = read(none, 5).unwrap_err().to_string();
            assert!(error.starts_with("it is "), "{}: {error}", none.display());
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
