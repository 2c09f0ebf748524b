//! What needs `unsafe` besides the rings: large buffers in huge pages, the page of counters that two processes
//! share, and one socket option that no safe crate reads. Nothing here knows what the octets mean.

use std::alloc::Layout;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::AtomicU64;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// Zeroed octets, in huge pages where there are any free.
#[derive(Debug)]
pub(crate) struct Buffer(Store);

#[derive(Debug)]
enum Store {
    Huge { start: NonNull<u8>, layout: Layout },
    Ordinary(Box<[u8]>),
}

// SAFETY: a `Buffer` is the only owner of its pages, as a `Box` is of its allocation.
unsafe impl Send for Buffer {}

impl Buffer {
    /// `len` zeroed octets.
    pub(crate) fn new(len: usize) -> Self {
        Self(Self::huge(len).unwrap_or_else(|| Store::Ordinary(vec![0; len].into())))
    }

    fn huge(len: usize) -> Option<Store> {
        // hugepage-rs panics on a system that names no size of huge pages.
        let told = std::fs::read_to_string("/proc/meminfo").ok()?;
        if len == 0 || !told.contains("Hugepagesize:") {
            return None;
        }
        let layout = Layout::from_size_align(len, 64).ok()?;
        // SAFETY: the layout's size is not zero. The pages are anonymous, hence zeroed.
        let start = NonNull::new(unsafe { hugepage_rs::alloc(layout) })?;
        Some(Store::Huge { start, layout })
    }

    /// Whether huge pages hold it.
    #[cfg(test)]
    pub(crate) const fn is_huge(&self) -> bool {
        matches!(self.0, Store::Huge { .. })
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            // SAFETY: `start` points at `layout.size()` zeroed octets that live until `drop` and that only
            // `self` gives out.
            Store::Huge { start, layout } => unsafe { slice::from_raw_parts(start.as_ptr(), layout.size()) },
            Store::Ordinary(octets) => octets,
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            // SAFETY: as in `deref`, and `self` is borrowed exclusively.
            Store::Huge { start, layout } => unsafe {
                slice::from_raw_parts_mut(start.as_ptr(), layout.size())
            },
            Store::Ordinary(octets) => octets,
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Store::Huge { start, layout } = &self.0 {
            // SAFETY: allocated with this layout by `huge`, and freed only here.
            unsafe { hugepage_rs::dealloc(start.as_ptr(), *layout) };
        }
    }
}

/// `u64` words that several processes map: one writes each word, all may read.
#[derive(Debug)]
pub(crate) struct SharedWords {
    start: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the words are atomics, which any thread may touch; the mapping lives as long as the value.
unsafe impl Send for SharedWords {}
// SAFETY: as above.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// A sealed memory file of `words` zeroed words: nobody who gets the descriptor can change its size.
    pub(crate) fn file(words: usize) -> io::Result<OwnedFd> {
        let file =
            rustix::fs::memfd_create("millrace-counters", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&file, (words * size_of::<AtomicU64>()) as u64)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(file)
    }

    /// Maps such a file.
    ///
    /// # Errors
    /// The file has another size, could shrink, or cannot be mapped.
    pub(crate) fn map(file: impl AsFd, words: usize) -> io::Result<Self> {
        let bytes = words * size_of::<AtomicU64>();
        let size = rustix::fs::fstat(&file)?.st_size;
        let seals = rustix::fs::fcntl_get_seals(&file)?;
        if usize::try_from(size) != Ok(bytes) || bytes == 0 || !seals.contains(SealFlags::SHRINK) {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        // SAFETY: a new shared mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &file,
                0,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start, words })
    }

    /// All words.
    pub(crate) const fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, has this many words, and its size is sealed; every bit pattern is
        // an `AtomicU64`, and all who map it touch it only as atomics.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, and unmapped only here.
        let unmapped =
            unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.words * size_of::<AtomicU64>()) };
        debug_assert!(unmapped.is_ok(), "our own mapping can be unmapped");
    }
}

/// Datagrams that the kernel has dropped at a socket since it was made, modulo 2^32: receive buffer full, or a
/// checksum that turned out wrong on reading (`SO_MEMINFO`, `SK_MEMINFO_DROPS`).
pub(crate) fn socket_drops(socket: impl AsFd) -> io::Result<u32> {
    /// `SK_MEMINFO_VARS` in include/uapi/linux/sock_diag.h.
    const WORDS: usize = 9;
    const DROPS: usize = 8;
    let mut told = [0u32; WORDS];
    let mut len = size_of_val(&told) as libc::socklen_t;
    // SAFETY: `told` has room for `len` octets, the kernel writes no more, and any octets are valid `u32`s.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            told.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    told.get(DROPS).copied().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::sync::atomic::Ordering;

    #[test]
    fn a_buffer_is_zeroed_and_writable_in_whatever_pages() {
        for len in [1, 4096, 3 << 20] {
            let mut buffer = Buffer::new(len);
            assert!(buffer.len() == len && buffer.iter().all(|&octet| octet == 0));
            buffer[len - 1] = 7;
            assert_eq!(buffer[len - 1], 7);
        }
        let free = std::fs::read_to_string("/proc/meminfo")
            .unwrap()
            .lines()
            .find_map(|line| line.strip_prefix("HugePages_Free:").and_then(|n| n.trim().parse::<u32>().ok()));
        assert!(!Buffer::new(4096).is_huge() || free.is_some_and(|free| free > 0));
    }

    #[test]
    fn two_mappings_of_one_file_see_the_same_words() {
        let file = SharedWords::file(1000).unwrap();
        let (ours, theirs) = (SharedWords::map(&file, 1000).unwrap(), SharedWords::map(&file, 1000).unwrap());
        ours.words()[999].store(42, Ordering::Relaxed);
        assert_eq!(theirs.words()[999].load(Ordering::Relaxed), 42);
        assert!(SharedWords::map(&file, 999).is_err());
        assert!(rustix::fs::ftruncate(&file, 8).is_err());
    }

    #[test]
    fn drops_of_a_full_socket_are_told() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&receiver, 4096).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(socket_drops(&receiver).unwrap(), 0);
        for _ in 0..100 {
            sender.send_to(&[0; 1000], receiver.local_addr().unwrap()).unwrap();
        }
        receiver.set_nonblocking(true).unwrap();
        let mut octets = [0; 2000];
        let mut read = 0;
        while receiver.recv(&mut octets).is_ok() {
            read += 1;
        }
        assert_eq!(socket_drops(&receiver).unwrap() + read, 100);
        assert!(read < 100);
    }
}
