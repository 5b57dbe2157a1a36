//! Memory behind descriptors.

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

/// A file in memory with this content, which nobody can change any more (memfd_create(2)).
pub fn sealed_file(name: &str, content: &[u8]) -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = File::from(memfd_create(name, flags)?);
    file.write_all(content)?;
    let seals = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}

/// A file in memory with this content, which outlives this executable: not close-on-exec.
pub fn inheritable_file(name: &str, content: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(name, MFdFlags::empty())?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

/// Zeroed memory that forked processes share, and the descriptor behind it.
pub fn shared(name: &str, length: NonZeroUsize) -> io::Result<(NonNull<u8>, OwnedFd)> {
    let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC)?;
    nix::unistd::ftruncate(&fd, i64::try_from(length.get()).map_err(io::Error::other)?)?;
    let memory = map_shared(&fd, length)?;
    Ok((memory, fd))
}

/// Maps what is behind `fd`, shared. The mapping stays for the life of the process.
pub fn map_shared(fd: &OwnedFd, length: NonZeroUsize) -> io::Result<NonNull<u8>> {
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: the kernel picks the address, so nothing that is mapped already is replaced.
    let memory = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, fd, 0) }?;
    Ok(memory.cast())
}
