//! What the kernel knows of files without waiting for a disk, another machine or another process.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

/// `Seen` is what a file was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub device: u64,
    pub inode: u64,
    /// The kind of the file, and who may do what with it (inode(7)).
    pub mode: u32,
    pub links: u64,
    pub size: u64,
    /// Seconds since 1970, and nanoseconds.
    pub accessed: (i64, u32),
    pub modified: (i64, u32),
    /// Not every file system knows when a file was made.
    pub made: Option<(i64, u32)>,
}

impl Seen {
    /// The kind of the file, one of S_IFREG, S_IFDIR and the others.
    pub fn kind(&self) -> u32 {
        self.mode & libc::S_IFMT
    }
}

/// Looks at what a directory has under this name, without following a link; or at the open file itself, with no name.
/// A file system that would have to ask another machine tells what it knew last (statx(2), AT_STATX_DONT_SYNC).
pub fn look(directory: impl AsFd, name: &CStr) -> io::Result<Seen> {
    let place = if name.is_empty() {
        libc::AT_EMPTY_PATH
    } else {
        libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT
    };
    let mut found = MaybeUninit::<libc::statx>::uninit();
    // SAFETY: the name ends with a zero, and `found` is what the kernel fills.
    let found = unsafe {
        let status = libc::statx(
            directory.as_fd().as_raw_fd(),
            name.as_ptr(),
            place | libc::AT_STATX_DONT_SYNC,
            libc::STATX_BASIC_STATS | libc::STATX_BTIME,
            found.as_mut_ptr(),
        );
        if status != 0 {
            return Err(io::Error::last_os_error());
        }
        found.assume_init()
    };
    let time = |at: libc::statx_timestamp| (at.tv_sec, at.tv_nsec);
    let knows_made = found.stx_mask & libc::STATX_BTIME != 0;
    Ok(Seen {
        device: libc::makedev(found.stx_dev_major, found.stx_dev_minor),
        inode: found.stx_ino,
        mode: found.stx_mode.into(),
        links: found.stx_nlink.into(),
        size: found.stx_size,
        accessed: time(found.stx_atime),
        modified: time(found.stx_mtime),
        made: knows_made.then(|| time(found.stx_btime)),
    })
}

/// Reads what is in memory of a file, and fails where not even its first byte is (preadv2(2), RWF_NOWAIT).
pub fn read(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let piece = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let offset = offset.try_into().map_err(io::Error::other)?;
    // SAFETY: the kernel writes to the buffer, and not beyond its end.
    let read = unsafe { libc::preadv2(file.as_raw_fd(), &piece, 1, offset, libc::RWF_NOWAIT) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn files_are_seen_as_they_are() {
        let directory = std::env::temp_dir().join(format!("wasmserve-seen-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("file"), "some text").unwrap();
        symlink("file", directory.join("link")).unwrap();
        let opened = File::open(&directory).unwrap();
        let metadata = std::fs::metadata(directory.join("file")).unwrap();
        let file = File::open(directory.join("file")).unwrap();
        for seen in [look(&opened, c"file").unwrap(), look(&file, c"").unwrap()] {
            assert_eq!((seen.device, seen.inode), (metadata.dev(), metadata.ino()));
            assert_eq!(seen.mode, metadata.mode());
            assert_eq!((seen.links, seen.size), (1, 9));
            assert_eq!(seen.modified.0, metadata.mtime());
        }
        let link = look(&opened, c"link").unwrap();
        assert_eq!(link.mode & libc::S_IFMT, libc::S_IFLNK);
        let absent = look(&opened, c"nothing").unwrap_err();
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);

        let mut text = [0; 20];
        // A file system that cannot tell what is in memory says so.
        if let Ok(length) = read(&file, &mut text, 5) {
            assert_eq!(&text[..length], b"text");
            assert_eq!(read(&file, &mut text, 9).unwrap(), 0);
        }
        std::fs::remove_dir_all(directory).unwrap();
    }
}
