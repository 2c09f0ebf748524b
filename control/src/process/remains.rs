//! What a worker leaves to the next dataplane process <-> one sealed memory file.
//!
//! ```text
//! length of the head, 8 octets | head (postcard): routers, streams | routers | rests of streams
//! ```
//! The sockets of the streams travel beside messages, by the streams' names. Control and keeper hold the file and
//! never read it: it is what routers said. Who reads it believes only its length; a saved router is checked by the
//! collector that takes it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt as _;

use collector::StreamId;
use dataplane::stream::HandedStream;
use dataplane::worker::Remains;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use serde::{Deserialize, Serialize};

/// What stands in front.
#[derive(Default, Serialize, Deserialize)]
struct Head {
    /// Octets of each saved router.
    routers: Vec<u64>,
    streams: Vec<SavedStream>,
    /// Names that were given out.
    named: u64,
}

#[derive(Serialize, Deserialize)]
struct SavedStream {
    name: u64,
    router: [u8; 16],
    from: SocketAddr,
    to: SocketAddr,
    /// Octets that were read and not consumed.
    rest: u64,
}

/// Writes everything but the sockets, one router at a time: what is written is freed.
///
/// # Errors
/// What the kernel says: no memory, most likely.
pub(super) fn write(routers: Vec<Vec<u8>>, streams: &[HandedStream], named: u64) -> io::Result<OwnedFd> {
    let saved = |stream: &HandedStream| SavedStream {
        name: stream.name.0,
        router: stream.router,
        from: stream.from,
        to: stream.to,
        rest: stream.rest.len() as u64,
    };
    let head = Head {
        routers: routers.iter().map(|octets| octets.len() as u64).collect(),
        streams: streams.iter().map(saved).collect(),
        named,
    };
    let head = postcard::to_stdvec(&head).map_err(io::Error::other)?;
    let file = memfd_create("remains", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(file);
    file.write_all(&(head.len() as u64).to_le_bytes())?;
    file.write_all(&head)?;
    for router in routers {
        file.write_all(&router)?;
    }
    for stream in streams {
        file.write_all(&stream.rest)?;
    }
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

/// Reads it back and gives each stream its socket; one without is lost. Sockets that nobody names are closed.
///
/// # Errors
/// When the file is not such a one.
pub(super) fn read(file: impl AsFd, mut sockets: BTreeMap<u64, OwnedFd>) -> io::Result<Remains> {
    let file = File::from(file.as_fd().try_clone_to_owned()?);
    let mut octets = Octets { left: file.metadata()?.len(), file, at: 0 };
    let length = octets.take(8)?.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
    let head: Head = postcard::from_bytes(&octets.take(u64::from_le_bytes(length))?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let mut remains = Remains { named: head.named, ..Remains::default() };
    for length in head.routers {
        remains.routers.push(octets.take(length)?);
    }
    for SavedStream { name, router, from, to, rest } in head.streams {
        let rest = octets.take(rest)?;
        match sockets.remove(&name) {
            Some(socket) => {
                remains.streams.push(HandedStream { name: StreamId(name), router, socket, from, to, rest });
            }
            None => remains.lost.push(StreamId(name)),
        }
    }
    Ok(remains)
}

/// The octets of a file, in order. Read at places of our own: the file's own place is shared with every holder.
struct Octets {
    file: File,
    at: u64,
    left: u64,
}

impl Octets {
    fn take(&mut self, length: u64) -> io::Result<Vec<u8>> {
        self.left = self.left.checked_sub(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut octets = vec![0; usize::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?];
        self.file.read_exact_at(&mut octets, self.at)?;
        self.at += length;
        Ok(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> OwnedFd {
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into()
    }

    fn stream(name: u64, rest: &[u8]) -> HandedStream {
        let (from, to) = ("192.0.2.1:179".parse().unwrap(), "[2001:db8::1]:11019".parse().unwrap());
        HandedStream {
            name: StreamId(name),
            router: [4; 16],
            socket: socket(),
            from,
            to,
            rest: rest.to_vec(),
        }
    }

    #[test]
    fn what_is_left_comes_back_and_a_stream_without_its_socket_is_lost() {
        let streams = [stream(7, b"half a mess"), stream(8, b""), stream(9, b"x")];
        let file = write(vec![b"one".to_vec(), Vec::new(), vec![5; 100_000]], &streams, 12).unwrap();
        let sockets = [7, 9, 4711].map(|name| (name, socket())).into();
        let back = read(&file, sockets).unwrap();
        assert_eq!(back.routers, [b"one".to_vec(), Vec::new(), vec![5; 100_000]]);
        let seen: Vec<_> = back.streams.iter().map(|s| (s.name.0, s.from, s.to, s.rest.as_slice())).collect();
        let [first, _, third] = &streams;
        assert_eq!(seen, [(7, first.from, first.to, &b"half a mess"[..]), (9, third.from, third.to, b"x")]);
        assert_eq!((back.lost, back.named), (vec![StreamId(8)], 12));
        // Sealed: whoever holds it reads what was written.
        assert!(File::from(file).write_all(b"x").is_err());
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error() {
        let whole = write(vec![vec![3; 40]], &[stream(1, b"rest")], 1).unwrap();
        let length = File::from(whole.try_clone().unwrap()).metadata().unwrap().len();
        let mut octets = vec![0; usize::try_from(length).unwrap()];
        File::from(whole).read_exact_at(&mut octets, 0).unwrap();
        for cut in 0..octets.len() {
            let file = memfd_create("cut", MemfdFlags::CLOEXEC).unwrap();
            File::from(file.try_clone().unwrap()).write_all(&octets[..cut]).unwrap();
            assert!(read(&file, BTreeMap::new()).is_err(), "{cut}");
        }
        // A length beyond all memory is no allocation.
        let file = memfd_create("long", MemfdFlags::CLOEXEC).unwrap();
        File::from(file.try_clone().unwrap()).write_all(&[0xff; 64]).unwrap();
        assert!(read(&file, BTreeMap::new()).is_err());
    }
}
