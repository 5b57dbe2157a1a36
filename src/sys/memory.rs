//! This file has memory behind descriptors, and gives memory back.

use super::control_group::{CgroupVersion, directories};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous};
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU64};

/// Makes a file in memory with this content, which nobody can change any more (memfd_create(2)).
#[cfg(test)]
pub fn sealed_file(name: &str, content: &[u8]) -> io::Result<File> {
    let mut file = empty_file(name)?;
    file.write_all(content)?;
    seal(&file)?;
    Ok(file)
}

/// Makes a file in memory that can be sealed.
pub fn empty_file(name: &str) -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    Ok(File::from(memfd_create(name, flags)?))
}

/// Seals a file in memory: nobody can change it any more, whoever has it open (F_ADD_SEALS, fcntl(2)).
pub fn seal(file: &File) -> io::Result<()> {
    let seals = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_SEAL;
    fcntl(file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(())
}

/// Opens the same file once more, to be read.
pub fn read_only(file: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Makes a file in memory with this content, which outlives this executable: it is not close-on-exec.
pub fn inheritable_file(name: &str, content: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(name, MFdFlags::empty())?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

/// Makes a file in memory of this many zeroes, which forked processes share. Its length stays as it is: nobody can take
/// away what somebody has mapped (F_SEAL_SHRINK, F_GET_SEALS(2const)).
pub fn shared_file(name: &str, length: usize) -> io::Result<OwnedFd> {
    let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    nix::unistd::ftruncate(&fd, i64::try_from(length).map_err(io::Error::other)?)?;
    let seals = SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(&fd, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(fd)
}

/// Returns the length of the file behind a descriptor.
pub fn length(fd: &OwnedFd) -> io::Result<u64> {
    let status = nix::sys::stat::fstat(fd)?;
    u64::try_from(status.st_size).map_err(io::Error::other)
}

/// Opens the same file by a descriptor that it cannot be written with.
pub fn reopened_to_read(fd: &OwnedFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(File::open(path)?.into())
}

/// `Access` says what may be done with memory that is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    ReadWrite,
}

impl Access {
    fn protection(self) -> ProtFlags {
        match self {
            Access::Read => ProtFlags::PROT_READ,
            Access::ReadWrite => ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
        }
    }
}

/// Maps what is behind `fd`, shared. The mapping stays for the life of the process.
pub fn map(fd: &OwnedFd, length: usize, access: Access) -> io::Result<NonNull<u8>> {
    let length = NonZeroUsize::new(length).ok_or(io::ErrorKind::InvalidInput)?;
    let (protection, flags) = (access.protection(), MapFlags::MAP_SHARED);
    // SAFETY: the kernel picks the address, so nothing that is mapped already is replaced.
    let memory = unsafe { mmap(None, length, protection, flags, fd, 0) }?;
    Ok(memory.cast())
}

/// Maps what is behind `fd` from `offset` on in the place of what is mapped at `place` (MAP_FIXED, mmap(2)).
///
/// # Safety
///
/// What is mapped there is of no use to anybody, or the same.
pub unsafe fn map_over(
    place: NonNull<u8>,
    length: usize,
    fd: &impl AsFd,
    offset: usize,
    access: Access,
) -> io::Result<()> {
    let length = NonZeroUsize::new(length).ok_or(io::ErrorKind::InvalidInput)?;
    let (protection, flags) = (
        access.protection(),
        MapFlags::MAP_SHARED | MapFlags::MAP_FIXED,
    );
    let offset = i64::try_from(offset).map_err(io::Error::other)?;
    // SAFETY: as this function demands.
    unsafe { mmap(Some(place.addr()), length, protection, flags, fd, offset) }?;
    Ok(())
}

/// Takes away what is mapped at `place`, and has nothing else be mapped there.
///
/// # Safety
///
/// Nobody has a reference to what is there.
pub unsafe fn hide(place: NonNull<u8>, length: usize) -> io::Result<()> {
    let length = NonZeroUsize::new(length).ok_or(io::ErrorKind::InvalidInput)?;
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED | MapFlags::MAP_NORESERVE;
    // SAFETY: as this function demands.
    unsafe { mmap_anonymous(Some(place.addr()), length, ProtFlags::PROT_NONE, flags) }?;
    Ok(())
}

/// A `MemoryView` is memory that others write, and that is only read here.
#[derive(Debug)]
pub struct MemoryView {
    memory: NonNull<u8>,
    length: usize,
}

impl MemoryView {
    /// Maps the first bytes behind `fd`. An error where there are fewer.
    pub fn of(fd: &OwnedFd, length: usize) -> io::Result<MemoryView> {
        if self::length(fd)? < length as u64 {
            return Err(io::Error::other("the memory is too short"));
        }
        let memory = map(fd, length, Access::Read)?;
        Ok(MemoryView { memory, length })
    }

    /// Reads the number of eight bytes at this place.
    pub fn number(&self, place: usize) -> u64 {
        assert!(place.is_multiple_of(8) && place + 8 <= self.length);
        // SAFETY: it is within the mapping, which is never unmapped, is aligned, and others may write an atomic.
        unsafe { self.memory.add(place).cast::<AtomicU64>().as_ref() }.load(Relaxed)
    }

    /// Reads this many bytes from this place on.
    pub fn bytes(&self, place: usize, length: usize) -> impl Iterator<Item = u8> {
        assert!(place + length <= self.length);
        // SAFETY: the same.
        let byte = |place| unsafe { self.memory.add(place).cast::<AtomicU8>().as_ref() };
        (place..place + length).map(move |place| byte(place).load(Relaxed))
    }
}

/// Returns the bytes of a page of memory.
pub fn page_size() -> usize {
    // SAFETY: sysconf(3) has no preconditions.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// Says whether pages may be swapped out on this machine (proc(5), /proc/swaps: a header, and a line for each place).
pub fn may_swap() -> bool {
    let swaps = std::fs::read_to_string("/proc/swaps");
    swaps.map_or(true, |swaps| swaps.lines().count() > 1)
}

/// Returns the bytes of memory that this process and its children may use together: the machine's, or the least that a
/// control group allows.
pub fn available() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(total);
    let groups = directories("memory").into_iter();
    let groups = groups.filter_map(|(version, directory)| {
        let name = match version {
            CgroupVersion::Two => "memory.max",
            CgroupVersion::One => "memory.limit_in_bytes",
        };
        let limit = std::fs::read_to_string(directory.join(name)).ok()?;
        limit.trim().parse::<u64>().ok()
    });
    groups.chain(machine).min()
}

/// Finds what /proc/meminfo says of the machine: `MemTotal:       24541956 kB`.
fn total(text: &str) -> Option<u64> {
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = total.split_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// `Resident` reads what this process has in memory that is its own: not its files' pages, which the kernel can take
/// back (proc(5), /proc/pid/statm).
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

/// A `Proportional` tells this process's share of the memory that it has, of which others may have a part too (proc(5),
/// /proc/pid/smaps_rollup).
pub struct Proportional(File);

impl Proportional {
    pub fn open() -> io::Result<Proportional> {
        File::open("/proc/self/smaps_rollup").map(Proportional)
    }

    pub fn bytes(&self) -> io::Result<u64> {
        let mut text = [0; 2048];
        let length = self.0.read_at(&mut text, 0)?;
        let text = String::from_utf8_lossy(&text[..length]);
        let share = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kilobytes = share.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        match kilobytes.and_then(|number| number.checked_mul(1024)) {
            Some(bytes) => Ok(bytes),
            None => Err(io::ErrorKind::InvalidData.into()),
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

/// Lets go of the pages of the executable that were needed so far. What is needed again is mapped again, from the
/// memory that all processes of this executable share.
pub fn forget_code() {
    // SAFETY: the callback is called before this returns, and needs no data.
    unsafe { libc::dl_iterate_phdr(Some(forget_segments), std::ptr::null_mut()) };
}

/// Forgets segments for dl_iterate_phdr(3), which tells of the executable first.
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
        // The first may get what other tests have given up and the allocator has kept.
        let mut blocks = Vec::new();
        let mut seen = (0..10).map(|_| {
            let before = resident.bytes().unwrap();
            blocks.push(vec![1_u8; 64 << 20]);
            resident.bytes().unwrap().saturating_sub(before)
        });
        assert!(seen.any(|grown| grown > 32 << 20));
    }
}
