//! What the workers of this process leave -> control; what those before left -> the workers of this one.
//!
//! Control passes it on unread. Where something is damaged the sessions in it end, and the routers connect again.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;

use collector::saved;
use dataplane::worker::Remains;
use dataplane_common::map::SlotState;

use super::orders::Left;
use crate::config::Config;
use crate::process::channel::{Channel, ChannelError};
use crate::process::message::{Report, STREAMS_A_MESSAGE};
use crate::process::remains;
use crate::steering;

/// What each worker starts with, by what was left. Says [`Report::Adopted`]: until then another process could take it,
/// from then on none.
pub(super) fn take(
    channel: &Channel,
    config: &Config,
    key: Option<[u8; 16]>,
    left: BTreeMap<u16, Left>,
) -> Result<Vec<Remains>, ChannelError> {
    let mut all: Vec<Remains> = config.workers.iter().map(|_| Remains::default()).collect();
    let mut named = 0;
    for (worker, Left { remains, streams }) in left {
        let Some(file) = remains else { continue };
        match remains::read(file, streams) {
            Ok(remains) => {
                named = named.max(remains.named);
                settle(remains, &mut all, |router| owner(config, key, router).unwrap_or(usize::from(worker)));
            }
            Err(error) => {
                let text = format!("what worker {worker} left cannot be read, its sessions end: {error}");
                channel.send(&Report::Notice { text }, &[])?;
            }
        }
    }
    all.iter_mut().for_each(|remains| remains.named = named);
    channel.send(&Report::Adopted, &[])?;
    Ok(all)
}

/// The worker on whose slot a router is. `None`: nothing steers, or the slot has no owner here.
fn owner(config: &Config, key: Option<[u8; 16]>, router: [u8; 16]) -> Option<usize> {
    let workers = u32::try_from(config.workers.len()).ok()?;
    let table = steering::table(config.slots(), workers, SlotState::Millrace);
    let slot = steering::slot_of(&table, config.steering.steered_by(router), key?)?;
    usize::try_from(slot).ok().filter(|slot| *slot < config.workers.len())
}

/// Routers and their streams go to the worker that has them from now on; of fewer workers than before to any.
fn settle(from: Remains, all: &mut [Remains], owner: impl Fn([u8; 16]) -> usize) {
    let count = all.len().max(1);
    let to = |router: [u8; 16]| owner(router) % count;
    for saved in from.routers {
        // What is no saved router is refused, and said, by whoever gets it.
        if let Some(remains) = all.get_mut(to(saved::address(&saved).unwrap_or_default())) {
            remains.routers.push(saved);
        }
    }
    for stream in from.streams {
        if let Some(remains) = all.get_mut(to(stream.router)) {
            remains.streams.push(stream);
        }
    }
    // Whose they were is not said: only one worker knows their sessions.
    for remains in all {
        remains.lost.extend_from_slice(&from.lost);
    }
}

/// Hands over what each worker left. What cannot be handed over ends with this process, and is said.
pub(super) fn give(channel: &Channel, left: Vec<Remains>) -> Result<(), ChannelError> {
    for (worker, Remains { routers, streams, named, .. }) in (0_u16..).zip(left) {
        let file = match remains::write(routers, &streams, named) {
            Ok(file) => file,
            Err(error) => {
                let text = format!("what worker {worker} knew is lost, its sessions end: {error}");
                channel.send(&Report::Notice { text }, &[])?;
                continue;
            }
        };
        channel.send(&Report::Remains { worker }, &[file.as_fd()])?;
        for streams in streams.chunks(STREAMS_A_MESSAGE) {
            let names = streams.iter().map(|stream| stream.name.0).collect();
            let sockets: Vec<_> = streams.iter().map(|stream| stream.socket.as_fd()).collect();
            channel.send(&Report::Hold { worker, streams: names }, &sockets)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use collector::batch::{BatchLimits, WorkerId};
    use collector::schema::{Interest, schemas};
    use collector::settings::PortProtocol;
    use collector::{Collector, Input, Now, Outlet, Settings, StreamId, sixteen};
    use dataplane::stream::HandedStream;

    /// What one worker leaves that has met these routers, each with one stream.
    fn left(routers: std::ops::Range<u32>) -> Remains {
        let schemas = schemas(&Interest::default());
        let limits = BatchLimits { rows: 16, octets: 4096 };
        let (mut outlet, _drain) = Outlet::new(WorkerId(0), &schemas, 4, limits);
        let ports = vec![(11019, PortProtocol::Bmp)];
        let mut collector = Collector::new(Settings { ports, ..Settings::default() }, schemas);
        let mut remains = Remains { lost: vec![StreamId(99)], named: 7, ..Remains::default() };
        for n in routers {
            let from = std::net::SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + n), 179));
            let to = "192.0.2.1:11019".parse().unwrap();
            let name = StreamId(n.into());
            collector.accept(Now::default(), Input::Opened { stream: name, from, to }, &mut outlet);
            let router = collector.router_of(name).unwrap();
            assert_eq!(router, sixteen(from.ip()));
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into();
            remains.streams.push(HandedStream { name, router, socket, from, to, rest: Vec::new() });
        }
        let save = |router| {
            let mut octets = Vec::new();
            collector.save(router, &mut octets);
            octets
        };
        remains.routers = collector.routers().map(save).collect();
        remains
    }

    #[test]
    fn routers_and_their_streams_go_to_the_worker_of_their_slot() {
        let text = "[[listen]]\nprotocol = \"bmp\"\naddress = \"::\"\nport = 11019\n";
        let config = Config::parse(&format!("workers = [0, 1, 2]\n{text}")).unwrap();
        let mut all: Vec<Remains> = (0..3).map(|_| Remains::default()).collect();
        let key = *b"0123456789abcdef";
        settle(left(0..64), &mut all, |router| owner(&config, Some(key), router).unwrap());
        let table = steering::table(3, 3, SlotState::Millrace);
        for (worker, remains) in all.iter().enumerate() {
            assert!(!remains.routers.is_empty());
            let routers: Vec<_> =
                remains.routers.iter().map(|saved| saved::address(saved).unwrap()).collect();
            assert_eq!(remains.streams.len(), routers.len());
            assert!(remains.streams.iter().all(|stream| routers.contains(&stream.router)));
            let slots = routers.iter().map(|router| steering::slot_of(&table, *router, key));
            assert!(slots.into_iter().all(|slot| slot == u32::try_from(worker).ok()));
            assert_eq!(remains.lost, [StreamId(99)]);
        }
        assert_eq!(all.iter().map(|remains| remains.routers.len()).sum::<usize>(), 64);
    }

    #[test]
    fn nothing_is_left_behind_where_nothing_steers_or_workers_are_fewer() {
        let mut all = vec![Remains::default()];
        settle(left(0..5), &mut all, |_| 7);
        assert_eq!((all[0].routers.len(), all[0].streams.len()), (5, 5));
    }
}
