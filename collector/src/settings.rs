//! Every limit and choice of a collector, as a plain struct; control fills it from the configuration.

/// What a listening port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortProtocol {
    /// IPFIX only.
    Ipfix,
    /// NetFlow v5, v9 and IPFIX, told apart by the version of each message.
    Netflow,
    /// sFlow v5.
    Sflow,
    /// BMP over TCP.
    Bmp,
    /// UDP-notif.
    UdpNotif,
    /// Whatever the first octets say (captures).
    Any,
}

/// What names a flow session besides address, observation domain and version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExporterKey {
    /// Nothing: source ports may vary (default; RFC 7011 8 says otherwise, routers do not care).
    #[default]
    Address,
    /// The source port too, as RFC 7011 has it.
    AddressAndPort,
}

/// Which of the addresses of one side that a record has is looked up in the RIB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JoinAddress {
    /// The last in template order that is not unspecified: of a tunnel the inner one.
    #[default]
    Last,
    /// The first in template order that is not unspecified: of a tunnel the outer one.
    First,
}

/// How records or options call a VRF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VrfName {
    /// By the number of elements 234 and 235.
    Id(u32),
    /// By the name that options give to the number.
    Name(Box<str>),
}

/// A route distinguisher that nobody but the configuration knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VrfDistinguisher {
    /// The router whose VRF it is; `None`: every router's.
    pub router: Option<[u8; 16]>,
    /// The VRF.
    pub vrf: VrfName,
    /// Its route distinguisher.
    pub rd: [u8; 8],
}

/// Everything a collector can be told. All tables are bounded by a limit that stands here.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Ports and what they speak.
    pub ports: Vec<(u16, PortProtocol)>,
    /// Whether flows are joined with routes.
    pub join: bool,
    /// Which address of a record the join looks up.
    pub join_address: JoinAddress,
    /// Route distinguishers of VRFs whose routers do not tell them; an entry of a router beats one of all.
    pub vrfs: Vec<VrfDistinguisher>,
    /// Identity of flow sessions.
    pub exporter_key: ExporterKey,
    /// Source addresses that mean another router: (address, router), IPv4 as IPv4-mapped.
    pub aliases: Vec<([u8; 16], [u8; 16])>,
    /// Sampling rate of a router that does not tell it: (router, 1 of how many).
    pub sampling: Vec<([u8; 16], f64)>,
    /// Which kinds become rows, one bit each at `Kind::index`; the rest is counted as not wanted.
    pub kinds: u32,

    /// Routers of one worker.
    pub max_routers: usize,
    /// Flow sessions (observation domains and versions) of one router.
    pub max_exporters_per_router: usize,
    /// Templates of one flow session.
    pub max_templates_per_exporter: usize,
    /// Fields of one template.
    pub max_fields_per_template: usize,
    /// Age at which a UDP template that was not refreshed is forgotten, ns; 0: never (RFC 7011 8.4).
    pub template_lifetime_ns: u64,
    /// Compiled templates that a worker keeps to be shared by exporters with equal ones.
    pub max_shared_plans: usize,
    /// Octets of data that wait for their template, of one flow session.
    pub max_waiting_octets_per_exporter: usize,
    /// Octets that wait at one worker: data for its template, segments of UDP-notif for the rest.
    pub max_waiting_octets_per_worker: usize,
    /// How long data waits for its template, ns.
    pub max_waiting_ns: u64,
    /// Options-derived entries (samplers, interfaces, VRFs) of one flow session; elements that it describes, as many again.
    pub max_options_entries_per_exporter: usize,
    /// Error rows that one worker writes in a second; 0: no limit (captures).
    pub max_error_rows_per_second: u32,
    /// sFlow agents and sub-agents of one router.
    pub max_agents_per_router: usize,
    /// Sources (ports, VLANs) of one sFlow agent whose samples are accounted for.
    pub max_sources_per_agent: usize,
    /// UDP-notif publishers of one router.
    pub max_publishers_per_router: usize,
    /// UDP-notif messages of one publisher that wait for the rest of their segments.
    pub max_segmented_messages_per_publisher: usize,
    /// Octets of segments that one UDP-notif publisher may have waiting, and so of one message.
    pub max_segment_octets_per_publisher: usize,
    /// How long a UDP-notif message waits for the rest of its segments, ns.
    pub max_segment_wait_ns: u64,
    /// Octets of one BMP message, header included.
    pub max_bmp_message_octets: usize,
    /// BMP sessions of one router.
    pub max_bmp_sessions_per_router: usize,
    /// BMP peers of one session.
    pub max_peers_per_session: usize,
    /// Whether a capture may start in the middle of a BMP stream: then the first plausible header is searched for.
    pub bmp_resync: bool,
    /// Whether routes of a peer are read although its Peer Up was never seen (4-octet AS numbers, no ADD-PATH,
    /// where the octets do not contradict); else they are counted as `no_peer`. A Loc-RIB's always are.
    pub bmp_assume_peers: bool,
    /// Tables (VRFs and RDs) in the RIB of one router.
    pub max_tables_per_router: usize,
    /// Paths in the RIB of one router.
    pub max_paths_per_router: usize,
    /// Octets of interned path attributes of one router.
    pub max_attribute_octets_per_router: usize,
    /// How long the routes of a lost BMP session still serve the join, ns.
    pub stale_routes_ns: u64,
}

impl Default for Settings {
    fn default() -> Self {
        const SECOND: u64 = 1_000_000_000;
        Self {
            ports: Vec::new(),
            join: true,
            join_address: JoinAddress::Last,
            vrfs: Vec::new(),
            exporter_key: ExporterKey::Address,
            aliases: Vec::new(),
            sampling: Vec::new(),
            kinds: u32::MAX,
            max_routers: 10_000,
            max_exporters_per_router: 256,
            max_templates_per_exporter: 4_096,
            max_fields_per_template: 2_048,
            template_lifetime_ns: 0,
            max_shared_plans: 16_384,
            max_waiting_octets_per_exporter: 256 * 1024,
            max_waiting_octets_per_worker: 64 << 20,
            max_waiting_ns: 60 * SECOND,
            max_options_entries_per_exporter: 16_384,
            max_error_rows_per_second: 100,
            max_agents_per_router: 64,
            max_sources_per_agent: 4_096,
            max_publishers_per_router: 64,
            max_segmented_messages_per_publisher: 64,
            max_segment_octets_per_publisher: 1 << 20,
            max_segment_wait_ns: 10 * SECOND,
            max_bmp_message_octets: 1 << 20,
            max_bmp_sessions_per_router: 4,
            max_peers_per_session: 4_096,
            bmp_resync: false,
            bmp_assume_peers: false,
            max_tables_per_router: 65_536,
            max_paths_per_router: 20_000_000,
            max_attribute_octets_per_router: 1 << 30,
            stale_routes_ns: 120 * SECOND,
        }
    }
}
