//! BMP sessions of routers: opening, whole table, then routes that come and go until the end.
//!
//! In: how many routers, from where, which prefixes. Out: octets of TCP streams, and exact counts of what was in
//! them. Every router announces the prefixes that the population's flows lie in, each by a path of its own.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;
use rustix::net::{AddressFamily, SocketType, bind, connect, ipproto, socket};
use serde::Serialize;
use wire::bgp::attribute::Origin;
use wire::bgp::{AsWidth, Community, Family, Prefix, SegmentKind};
use wire::bmp::PeerHeader;
use wire::emit::bgp::{Open, Update, end_of_rib, next_hop_octets, put_prefix};
use wire::emit::bmp;

use super::population::Population;

/// AS of every router, and of its one peer.
const ROUTER_AS: u32 = 64_496;
const PEER_AS: u32 = 64_500;
/// Prefixes of one UPDATE.
const SHARED: usize = 10;
/// Octets that are made before they are written.
const PIECE: usize = 64 * 1024;
/// How long a collector may stop reading before a session is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What BMP sessions have sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// Sessions.
    pub sessions: u64,
    /// Messages of any type.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Prefixes announced.
    pub announced: u64,
    /// Prefixes withdrawn.
    pub withdrawn: u64,
}

/// Sessions that are open.
#[derive(Debug)]
pub struct Sessions {
    routers: Vec<(Router, TcpStream)>,
    sent: Sent,
    turn: usize,
}

impl Sessions {
    /// Opens one session for each of the first `count` exporters and sends its whole table.
    ///
    /// # Errors
    /// A session that could not be opened or was closed by the collector.
    pub fn open(population: &Population, count: u32, to: SocketAddr) -> anyhow::Result<Self> {
        let ipv6 = to.is_ipv6();
        let announced = population.announced(ipv6);
        let mut sessions = Self { routers: Vec::new(), sent: Sent::default(), turn: 0 };
        for index in 0..count {
            let address = population.source(index, ipv6);
            let stream = stream(address, to)
                .with_context(|| format!("cannot open a BMP session from {address} to {to}"))?;
            let router = Router { index, address, prefixes: announced.all().to_vec() };
            sessions.routers.push((router, stream));
            sessions.sent.sessions += 1;
            sessions.table(index as usize)?;
        }
        Ok(sessions)
    }

    /// What has been sent.
    #[must_use]
    pub const fn sent(&self) -> Sent {
        self.sent
    }

    /// Withdraws one prefix of the next router and announces it again.
    ///
    /// # Errors
    /// The collector closed the session or stopped reading.
    pub fn flap(&mut self) -> anyhow::Result<()> {
        let nth = self.turn % self.routers.len();
        let (router, _) = &self.routers[nth];
        let at = self.turn / self.routers.len() % router.prefixes.len();
        let octets = [router.withdraw(at), router.announce(at, at + 1)].concat();
        self.turn += 1;
        self.write(nth, &octets)?;
        self.sent.messages += 2;
        self.sent.announced += 1;
        self.sent.withdrawn += 1;
        Ok(())
    }

    /// Ends all sessions in order; what was sent.
    ///
    /// # Errors
    /// As for a flap.
    pub fn close(mut self) -> anyhow::Result<Sent> {
        for nth in 0..self.routers.len() {
            self.write(nth, &bmp::termination(0, "end of the population"))?;
            self.sent.messages += 1;
        }
        Ok(self.sent)
    }

    fn table(&mut self, nth: usize) -> anyhow::Result<()> {
        let (router, _) = &self.routers[nth];
        let (mut octets, count) = (router.opening(), router.prefixes.len());
        let mut counted = Sent { messages: 2, ..Sent::default() };
        for first in (0..count).step_by(SHARED) {
            let end = (first + SHARED).min(count);
            let (router, _) = &self.routers[nth];
            octets.extend(router.announce(first, end));
            counted.messages += 1;
            counted.announced += (end - first) as u64;
            if octets.len() > PIECE {
                self.write(nth, &octets)?;
                octets.clear();
            }
        }
        let (router, _) = &self.routers[nth];
        octets.extend(bmp::route_monitoring(&router.peer(), &end_of_rib(router.family())));
        self.write(nth, &octets)?;
        self.sent.messages += counted.messages + 1;
        self.sent.announced += counted.announced;
        Ok(())
    }

    fn write(&mut self, nth: usize, octets: &[u8]) -> anyhow::Result<()> {
        let (router, stream) = &mut self.routers[nth];
        stream.write_all(octets).with_context(|| format!("BMP session of {}", router.address))?;
        self.sent.octets += octets.len() as u64;
        Ok(())
    }
}

fn stream(from: IpAddr, to: SocketAddr) -> anyhow::Result<TcpStream> {
    let family = if to.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket(family, SocketType::STREAM, Some(ipproto::TCP))?;
    bind(&socket, &SocketAddr::new(from, 0)).context("not an address of this host or namespace")?;
    connect(&socket, &to)?;
    let stream = TcpStream::from(socket);
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Octets of the session of router `index`: opening, a table of `prefixes`, its end.
#[must_use]
pub fn session(index: u32, address: IpAddr, prefixes: &[Prefix]) -> Vec<u8> {
    let router = Router { index, address, prefixes: prefixes.to_vec() };
    let mut octets = router.opening();
    for first in (0..prefixes.len()).step_by(SHARED) {
        octets.extend(router.announce(first, (first + SHARED).min(prefixes.len())));
    }
    octets.extend(bmp::route_monitoring(&router.peer(), &end_of_rib(router.family())));
    octets
}

/// One router with one peer.
#[derive(Debug)]
struct Router {
    index: u32,
    address: IpAddr,
    prefixes: Vec<Prefix>,
}

impl Router {
    fn opening(&self) -> Vec<u8> {
        let open = |number: u32, last: u8| {
            let mut open = Open::new(number, 90, Ipv4Addr::new(192, 0, 2, last));
            open.multiprotocol(self.family()).four_octet_as();
            open.finish()
        };
        let peer_up = bmp::peer_up(
            &self.peer(),
            (self.address, 179),
            40_000,
            &open(ROUTER_AS, 1),
            &open(PEER_AS, 2),
            &[],
        );
        [bmp::initiation(&format!("router-{}", self.index), "generated population"), peer_up].concat()
    }

    /// Prefixes from `first` to before `end` by one path of this router alone.
    fn announce(&self, first: usize, end: usize) -> Vec<u8> {
        let nth = u32::try_from(first / SHARED).unwrap_or_default();
        let mut path = vec![PEER_AS, 4_200_000_000 + self.index];
        path.extend((0..nth % 5).map(|hop| 64_512 + (nth / 5 + hop) % 1_000));
        let mut update = Update::new(AsWidth::Four);
        update
            .origin(Origin::Igp)
            .as_path(&[(SegmentKind::Sequence, &path)])
            .multi_exit_disc(nth % 1_000)
            .communities(&[Community((PEER_AS << 16) | (nth % 100))]);
        let prefixes = &self.prefixes[first..end];
        if self.address.is_ipv6() {
            let mut nlri = Vec::new();
            prefixes.iter().for_each(|prefix| put_prefix(&mut nlri, None, prefix));
            let next_hop = next_hop_octets(Family::IPV6_UNICAST, self.peer_address(), None);
            update.mp_reach(Family::IPV6_UNICAST, &next_hop, &nlri);
        } else {
            update.next_hop(Ipv4Addr::new(192, 0, 2, 2));
            prefixes.iter().for_each(|prefix| {
                update.announce(None, prefix);
            });
        }
        bmp::route_monitoring(&self.peer(), &update.finish())
    }

    fn withdraw(&self, nth: usize) -> Vec<u8> {
        let mut update = Update::new(AsWidth::Four);
        if self.address.is_ipv6() {
            let mut nlri = Vec::new();
            put_prefix(&mut nlri, None, &self.prefixes[nth]);
            update.mp_unreach(Family::IPV6_UNICAST, &nlri);
        } else {
            update.withdraw(None, &self.prefixes[nth]);
        }
        bmp::route_monitoring(&self.peer(), &update.finish())
    }

    const fn family(&self) -> Family {
        if self.address.is_ipv6() { Family::IPV6_UNICAST } else { Family::IPV4_UNICAST }
    }

    fn peer_address(&self) -> IpAddr {
        if self.address.is_ipv6() {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 0, 2))
        } else {
            IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2))
        }
    }

    fn peer(&self) -> PeerHeader {
        bmp::peer(self.peer_address(), PEER_AS, Ipv4Addr::new(192, 0, 2, 2))
    }
}
