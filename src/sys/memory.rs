//! Memory behind descriptors, and memory that is given back.

use super::control_group::{Version, directories};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
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

/// Bytes of a page of memory.
pub fn page_size() -> usize {
    // SAFETY: sysconf(3) has no preconditions.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// Whether pages may be swapped out on this machine (proc(5), /proc/swaps: a header, and a line for each place).
pub fn may_swap() -> bool {
    let swaps = std::fs::read_to_string("/proc/swaps");
    swaps.map_or(true, |swaps| swaps.lines().count() > 1)
}

/// Bytes of memory that this process and its children may use together: the machine's, or the least that a control
/// group allows.
pub fn available() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(total);
    let groups = directories("memory").into_iter();
    let groups = groups.filter_map(|(version, directory)| {
        let name = match version {
            Version::Two => "memory.max",
            Version::One => "memory.limit_in_bytes",
        };
        let limit = std::fs::read_to_string(directory.join(name)).ok()?;
        limit.trim().parse::<u64>().ok()
    });
    groups.chain(machine).min()
}

/// What /proc/meminfo says of the machine: `MemTotal:       24541956 kB`.
fn total(text: &str) -> Option<u64> {
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = total.split_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// What this process has in memory that is its own: not its files' pages, which the kernel can take back (proc(5),
/// /proc/pid/statm).
pub struct Resident(File);

impl Resident {
    pub fn open() -> io::Result<Resident> {
        File::open("/proc/self/statm").map(Resident)
    }

    pub fn bytes(&self) -> io::Result<usize> {
        let mut text = [0; 128];
        let length = self.0.read_at(&mut text, 0)?;
        let text = String::from_utf8_lossy(&text[..length]);
        let mut numbers = text.split(' ').map(|number| number.parse::<usize>().ok());
        let (resident, shared) = (numbers.nth(1).flatten(), numbers.next().flatten());
        match (resident, shared) {
            (Some(resident), Some(shared)) => Ok(resident.saturating_sub(shared) * page_size()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Gives back what the allocator keeps at hand for later.
pub fn collect() {
    unsafe extern "C" {
        fn mi_collect(force: bool);
    }
    // SAFETY: it may be called at any time, and touches nothing that is allocated.
    unsafe { mi_collect(true) };
}

/// Lets go of the pages of the executable that were needed so far. What is needed again is mapped again,
/// from the memory that all processes of this executable share.
pub fn forget_code() {
    // SAFETY: the callback is called before this returns, and needs no data.
    unsafe { libc::dl_iterate_phdr(Some(forget_segments), std::ptr::null_mut()) };
}

/// For dl_iterate_phdr(3), which tells of the executable first.
unsafe extern "C" fn forget_segments(
    info: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut c_void,
) -> c_int {
    const PAGE: u64 = 4096;
    // SAFETY: the caller hands over a description that is valid during this call.
    let (base, segments) = unsafe {
        let info = &*info;
        let count = usize::from(info.dlpi_phnum);
        let segments = std::slice::from_raw_parts(info.dlpi_phdr, count);
        (info.dlpi_addr, segments)
    };
    // What can be written to is not what is in the file any more.
    let clean = segments
        .iter()
        .filter(|segment| segment.p_type == libc::PT_LOAD && segment.p_flags & libc::PF_W == 0);
    for segment in clean {
        let start = (base + segment.p_vaddr).next_multiple_of(PAGE);
        let end = (base + segment.p_vaddr + segment.p_memsz) & !(PAGE - 1);
        if start < end {
            let (length, start) = ((end - start) as usize, start as usize);
            let start = std::ptr::with_exposed_provenance_mut(start);
            // SAFETY: these pages are as they are in the file, which is where they come from again.
            unsafe { libc::madvise(start, length, libc::MADV_DONTNEED) };
        }
    }
    // The libraries are left alone.
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_memory() {
        assert_eq!(
            total("MemTotal:       1024 kB\nMemFree: 5 kB\n"),
            Some(1 << 20)
        );
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn what_is_written_to_is_in_memory() {
        let resident = Resident::open().unwrap();
        let before = resident.bytes().unwrap();
        let block = vec![1_u8; 64 << 20];
        let after = resident.bytes().unwrap();
        assert!(
            after > before + (32 << 20),
            "{before} {after} {}",
            block.len()
        );
    }
}
