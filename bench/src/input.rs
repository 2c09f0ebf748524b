//! The octets that are measured with: messages of many routers, made once, the same for the same seed.

use std::net::SocketAddr;

use lab::exporter::{Protocol, Router};

/// Records of one message: a datagram of about 1,400 octets.
const RECORDS: u16 = 18;
/// Prefixes that each router announces.
pub const ROUTES: u32 = 4_096;

/// Messages of a population of IPFIX routers with IPv4 flows.
#[derive(Debug)]
pub struct Input {
    /// Source of each router.
    pub sources: Vec<SocketAddr>,
    /// Template message of each router.
    pub templates: Vec<Vec<u8>>,
    /// BMP octets of each router: Initiation, Peer Up, its whole table.
    pub tables: Vec<Vec<u8>>,
    /// Data messages with the router that each comes from.
    pub messages: Vec<(usize, Vec<u8>)>,
    /// Flow records in all data messages.
    pub records: u64,
    /// BMP messages in all tables.
    pub bmp_messages: u64,
}

impl Input {
    /// `routers` routers, and at least `octets` octets of data messages in turn.
    #[must_use]
    pub fn new(routers: usize, octets: usize) -> Self {
        let mut population: Vec<Router> = (0..)
            .map(|index| Router::new(index, ROUTES, 1))
            .filter(|router| router.protocol() == Protocol::Ipfix && !router.is_ipv6())
            .take(routers)
            .collect();
        let sources = population.iter().map(|router| SocketAddr::new(router.address(), 50_000)).collect();
        let templates = population.iter_mut().map(Router::template).collect();
        let tables =
            population.iter_mut().map(|router| [router.opening(), router.table()].concat()).collect();
        let (mut messages, mut made) = (Vec::new(), 0);
        while made < octets {
            for (index, router) in population.iter_mut().enumerate() {
                let message = router.flows(RECORDS);
                made += message.len();
                messages.push((index, message));
            }
        }
        let records = population.iter().map(|router| router.counts().records).sum();
        let bmp_messages = population.iter().map(|router| router.counts().bmp_messages).sum();
        Self { sources, templates, tables, messages, records, bmp_messages }
    }

    /// Octets of all data messages.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.messages.iter().map(|(_, message)| message.len()).sum()
    }
}
