//! What outlives the process: links and maps under one directory of the BPF file system.
//!
//! ```text
//! /sys/fs/bpf/<instance>/maps/NAME        reused when the definition in the object is the same
//! /sys/fs/bpf/<instance>/links/<index>    one per device, by its interface index (names may hold dots,
//!                                         which the BPF file system refuses)
//! ```
//! In: the instance's directory. Out: paths, and files removed. Never attaches or loads anything.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aya::maps::MapInfo;
use aya::programs::links::PinnedLink;
use dataplane_common::map;

use super::EbpfError;

/// Where the BPF file system is mounted.
const MOUNT_POINT: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC` of the kernel's `linux/magic.h`.
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

/// `BPF_F_RDONLY_PROG`: the kernel sets it on every device map (`kernel/bpf/devmap.c`).
const READ_ONLY: u32 = 1 << 7;

/// The pins of one instance.
#[derive(Debug)]
pub struct Pins {
    directory: PathBuf,
}

impl Pins {
    /// Opens or makes the instance's directory; mounts the BPF file system if nobody has (a network
    /// namespace entered with `ip netns exec` has a `/sys` of its own without it).
    ///
    /// # Errors
    /// When the directory is not on a BPF file system and none can be mounted.
    pub fn open(directory: &Path) -> Result<Self, EbpfError> {
        if directory.starts_with(MOUNT_POINT) && !is_bpf(Path::new(MOUNT_POINT)) {
            rustix::mount::mount("bpf", MOUNT_POINT, "bpf", rustix::mount::MountFlags::empty(), None)
                .map_err(|error| {
                    failed("cannot mount the BPF file system on", MOUNT_POINT.as_ref(), error.into())
                })?;
        }
        let pins = Self { directory: directory.to_path_buf() };
        for part in ["maps", "links"] {
            let path = directory.join(part);
            fs::create_dir_all(&path).map_err(|error| failed("cannot make the directory", &path, error))?;
        }
        if is_bpf(directory) {
            return Ok(pins);
        }
        let error = io::Error::other("not on a BPF file system (mount -t bpf bpf /sys/fs/bpf)");
        Err(failed("cannot pin under", directory, error))
    }

    /// Path of each map of `object`, after removing pins whose definition differs from what the object
    /// with `sizes` would make: type, key, value, entries, flags.
    ///
    /// # Errors
    /// When the object cannot be read or a pin cannot be removed.
    pub fn adopt(
        &self,
        object: &[u8],
        sizes: &[(&'static str, u32)],
    ) -> Result<Vec<(&'static str, PathBuf)>, EbpfError> {
        let object = aya_obj::Object::parse(object)?;
        let sizes: HashMap<_, _> = sizes.iter().copied().collect();
        let mut paths = Vec::with_capacity(map::MAPS.len());
        for name in map::MAPS {
            let path = self.directory.join("maps").join(name);
            if path.exists() {
                let wanted = object.maps.get(name).ok_or(EbpfError::Missing(name))?;
                let entries = sizes.get(name).copied().unwrap_or(wanted.max_entries());
                let pinned = MapInfo::from_pin(&path).map_err(|error| EbpfError::Map { name, error })?;
                let equal = pinned.map_type().is_ok_and(|kind| kind as u32 == wanted.map_type())
                    && pinned.key_size() == wanted.key_size()
                    && pinned.value_size() == wanted.value_size()
                    && pinned.max_entries() == entries
                    && pinned.map_flags() & !READ_ONLY == wanted.map_flags() & !READ_ONLY;
                if !equal {
                    remove_file(&path)?;
                }
            }
            paths.push((name, path));
        }
        Ok(paths)
    }

    /// Where the link of a device is pinned.
    #[must_use]
    pub fn link(&self, device_index: u32) -> PathBuf {
        self.directory.join("links").join(device_index.to_string())
    }

    /// Interface indexes of the devices that have a pinned link.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn links(&self) -> Result<Vec<u32>, EbpfError> {
        let path = self.directory.join("links");
        let entries = fs::read_dir(&path).map_err(|error| failed("cannot read", &path, error))?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
    }

    /// Removes the pin of a device's link, and with it the link unless this process holds it. When this
    /// returns the program is off the device: the kernel drops a link with its last descriptor at once, with
    /// its last pin only later.
    ///
    /// # Errors
    /// When the pin cannot be removed.
    pub fn remove_link(&self, device_index: u32) -> Result<(), EbpfError> {
        let path = self.link(device_index);
        let descriptor = PinnedLink::from_pin(&path);
        let removed = remove_file(&path);
        drop(descriptor);
        removed
    }

    /// Removes every pin and the directory. Links whose last holder was the pin detach.
    ///
    /// # Errors
    /// When a file or directory cannot be removed.
    pub fn remove(self) -> Result<(), EbpfError> {
        for index in self.links()? {
            self.remove_link(index)?;
        }
        for part in ["links", "maps"] {
            let path = self.directory.join(part);
            let entries = fs::read_dir(&path).map_err(|error| failed("cannot read", &path, error))?;
            for entry in entries.flatten() {
                remove_file(&entry.path())?;
            }
            fs::remove_dir(&path).map_err(|error| failed("cannot remove", &path, error))?;
        }
        fs::remove_dir(&self.directory).map_err(|error| failed("cannot remove", &self.directory, error))
    }
}

/// Removes a pin; one that is gone already is no error.
fn remove_file(path: &Path) -> Result<(), EbpfError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("cannot remove", path, error)),
        _ => Ok(()),
    }
}

fn is_bpf(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|found| found.f_type == BPF_FS_MAGIC)
}

pub(super) fn failed(what: &'static str, path: &Path, error: io::Error) -> EbpfError {
    EbpfError::Pin { what, path: path.to_path_buf(), error }
}
