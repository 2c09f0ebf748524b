//! What the state directory keeps for the next start: the key of the router hash, and a lock, so that one instance has it.

use std::fs;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::{StartError, host};
use crate::config::Config;

/// One instance a state directory.
pub(super) fn lock(directory: &Path) -> Result<OwnedFd, StartError> {
    let at =
        |error: std::io::Error| host(format!("key `state_dir`, value `{}`: {error}", directory.display()));
    fs::create_dir_all(directory).map_err(at)?;
    let file = fs::File::create(directory.join("lock")).map_err(at)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        host(format!("key `state_dir`, value `{}`: another millrace runs with it", directory.display()))
    })?;
    Ok(file.into())
}

/// The configured key, else the kept one, else a new one, which is kept.
pub(super) fn hash_key(config: &Config) -> Result<[u8; 16], StartError> {
    if let Some(key) = config.steering.key() {
        return Ok(key);
    }
    let path = config.state_dir.join("hash_key");
    let at = |error: std::io::Error| host(format!("{}: {error}", path.display()));
    match fs::read(&path) {
        Ok(octets) => {
            if let Ok(key) = <[u8; 16]>::try_from(octets.as_slice()) {
                return Ok(key);
            }
            tracing::warn!("{} is damaged: a new key, routers change their workers once", path.display());
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(error)),
        Err(_) => {}
    }
    let mut key = [0; 16];
    rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| at(error.into()))?;
    let temporary = config.state_dir.join("hash_key.tmp");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&temporary).and_then(|mut file| file.write_all(&key)).map_err(at)?;
    fs::rename(&temporary, &path).map_err(at)?;
    Ok(key)
}
