//! What the rows of a table consist of: built once at start from what the sinks want, shared by every batch.

mod build;

use crate::ledger::Kind;

pub use build::schemas;

/// One of the tables that a worker fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TableId {
    /// One row a flow record.
    Flows,
    /// One row an NLRI of a BMP route monitoring message.
    Routes,
    /// Everything else: kind, context, octets of the wire.
    Messages,
}

impl TableId {
    /// Every table, in the order of its number.
    pub const ALL: [Self; 3] = [Self::Flows, Self::Routes, Self::Messages];
    /// How many tables there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Position in an array of `COUNT` entries.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The table that rows of a kind stand in.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Flow => Self::Flows,
            Kind::Route => Self::Routes,
            Kind::Options
            | Kind::Initiation
            | Kind::Termination
            | Kind::PeerUp
            | Kind::PeerDown
            | Kind::Stats
            | Kind::Mirror
            | Kind::Session
            | Kind::Gap
            | Kind::Dump
            | Kind::Error
            | Kind::Sample
            | Kind::Counters
            | Kind::Notification
            | Kind::Exporter
            | Kind::Template
            | Kind::Peer => Self::Messages,
        }
    }
}

/// Destination or source of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Side {
    /// The route towards the flow's destination address.
    Destination,
    /// The route back to the flow's source address.
    Source,
}

/// A value that a record carries besides its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordField {
    /// Source address of the packet or stream, IPv4 as IPv4-mapped. `Fixed16`. All tables.
    Exporter,
    /// When it arrived, unix nanoseconds. `Fixed8`. All tables.
    ReceiveTime,
    /// Number of the packet in the capture, from 1; absent when live. `Fixed8`. All tables.
    Frame,

    /// IPFIX observation domain, v9 source id, v5 engine type and id. `Fixed4`. Flows.
    ObservationDomainId,
    /// Template id; absent for v5. `Fixed2`. Flows.
    TemplateId,
    /// 10, 9 or 5; in routes and messages the BMP version. `Fixed1`.
    Version,
    /// Export time of the message, unix nanoseconds. `Fixed8`. Flows.
    ExportTime,
    /// The template as octets (`flow::template::TemplateOctets`). `Choice`. Flows, only for whole records.
    Template,
    /// The record's octets as on the wire. `Octets`. Flows, only for whole records.
    Record,
    /// Start of the flow, unix nanoseconds. `Fixed8`. Flows.
    FlowStart,
    /// End of the flow, unix nanoseconds. `Fixed8`. Flows.
    FlowEnd,
    /// Where the times come from: [`TimeFrom`]. `Fixed1`. Flows.
    TimeFrom,
    /// One packet of how many was observed, bits of an `f64`. `Fixed8`. Flows.
    SamplingRate,
    /// Where the rate comes from: [`SamplingFrom`]. `Fixed1`. Flows.
    SamplingFrom,
    /// Name of the interface of IE 10, from options. `Choice`. Flows.
    IngressInterfaceName,
    /// Name of the interface of IE 14, from options. `Choice`. Flows.
    EgressInterfaceName,
    /// Name of the VRF of IE 234, from options. `Choice`. Flows.
    IngressVrfName,
    /// Name of the VRF of IE 235, from options. `Choice`. Flows.
    EgressVrfName,

    /// Id of the BMP session. `Fixed8`. Routes and messages.
    Session,
    /// Line number within the session, from 1, without gaps. `Fixed8`. Routes and messages.
    Sequence,
    /// Per-peer header without its timestamp: its first 34 octets (RFC 7854 4.2). `Choice`. Routes.
    Peer,
    /// Timestamp of the per-peer header, unix nanoseconds; absent when 0. `Fixed8`. Routes.
    PeerTimestamp,
    /// [`RouteAction`](crate::ledger::RouteAction) as its number. `Fixed1`. Routes.
    Action,
    /// Address family. `Fixed2`. Routes.
    Afi,
    /// Subsequent address family. `Fixed1`. Routes.
    Safi,
    /// ADD-PATH path identifier; absent without ADD-PATH. `Fixed4`. Routes.
    PathId,
    /// The NLRI as on the wire, without the path identifier; empty for End-of-RIB. `Octets`. Routes.
    Nlri,
    /// BMP version 4: the profile as its number (`wire::bmp::Profile::ALL`), then the TLVs that speak of this NLRI,
    /// as on the wire. `Octets`. Routes; absent in version 3 and where no TLV does.
    Tlvs,
    /// Path attributes in canonical form (`rib::attributes`): wire octets, 4-octet AS numbers, `MP_REACH_NLRI`
    /// reduced to its next hop, `MP_UNREACH_NLRI` left out. `Choice`. Routes; absent for withdrawals.
    Attributes,

    /// [`Kind`] as its number. `Fixed1`. Messages.
    Kind,
    /// What the octets alone do not say: a [`Context`](crate::message::Context). `Octets`. Messages.
    Context,
    /// Octets of the wire. `Octets`. Messages.
    Octets,
}

/// A value that the join adds to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteField {
    /// [`JoinEnd`](crate::ledger::JoinEnd) as its number. `Fixed1`.
    Result,
    /// The route found (`join::JoinedRoute`): prefix, peer, view, RD, labels, canonical attributes. `Route`.
    Route,
    /// Id of the element whose address was looked up. `Fixed2`.
    UsedElement,
    /// Where the VRF comes from: [`VrfFrom`]. `Fixed1`.
    VrfFrom,
    /// Why this path among several: [`PickedBy`]. `Fixed1`.
    PickedBy,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every value, at the place of its number.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word in records.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value of a column's number; `None` for numbers that no writer uses.
            #[must_use]
            pub fn from_number(number: u8) -> Option<Self> {
                Self::ALL.get(usize::from(number)).copied()
            }
        }
    };
}

words! {
    /// Where a flow's times come from.
    TimeFrom {
        /// Elements 150-157: absolute times.
        Absolute = "absolute",
        /// Elements 158 and 159, back from the export time.
        Delta = "delta",
        /// Elements 21 and 22, from the boot time of the router.
        SysUptime = "sysUptime",
        /// No element says it.
        None = "none",
    }
}

words! {
    /// Where a sampling rate comes from.
    SamplingFrom {
        /// The record itself.
        Record = "record",
        /// Options data of this exporter.
        Options = "options",
        /// The configuration.
        Config = "config",
    }
}

words! {
    /// Where the VRF of a look-up comes from.
    VrfFrom {
        /// The record itself.
        Record = "record",
        /// Options data of this exporter.
        Options = "options",
        /// The configuration.
        Config = "config",
        /// Nothing says it: the default table.
        Default = "default",
    }
}

words! {
    /// Why one path was taken among those of the longest prefix.
    PickedBy {
        /// It was the only one.
        Only = "only",
        /// Its next hop is the flow's.
        NextHop = "nextHop",
        /// The router marked it (path status).
        PathStatus = "pathStatus",
        /// It wins the best path comparison.
        BestPath = "bestPath",
    }
}

/// Where a column's values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The `nth` occurrence (from 0) of an information element in the template.
    Element {
        /// Private enterprise number; 0 is IANA.
        pen: u32,
        /// Element id.
        id: u16,
        /// Which occurrence in template order, from 0.
        nth: u8,
    },
    /// A value besides the elements.
    Record(RecordField),
    /// A value of the join.
    Join {
        /// Which side.
        side: Side,
        /// Which value.
        field: RouteField,
    },
}

/// How a column is stored. Fixed widths hold native-endian integers, except `Fixed16`: octets as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Store {
    /// One octet a row.
    Fixed1,
    /// Two octets a row.
    Fixed2,
    /// Four octets a row.
    Fixed4,
    /// Eight octets a row.
    Fixed8,
    /// Sixteen octets a row: addresses, IPv4 as IPv4-mapped.
    Fixed16,
    /// A varying number of octets a row.
    Octets,
    /// A key a row into a dictionary that the batch carries.
    Choice,
    /// A joined route a row, most of it in a book that the batch holds on to.
    Route,
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in records, Parquet and queries.
    pub name: Box<str>,
    /// Where its values come from; the type of an element follows from it.
    pub origin: Origin,
    /// How it is stored.
    pub store: Store,
}

/// The columns of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Which table.
    pub table: TableId,
    /// Its columns; a row has a value or an absence in each.
    pub columns: Box<[Column]>,
}

impl Schema {
    /// Position of the column with this origin, if the schema has it.
    #[must_use]
    pub fn position(&self, origin: Origin) -> Option<usize> {
        self.columns.iter().position(|column| column.origin == origin)
    }

    /// Position of a record field's column.
    #[must_use]
    pub fn field(&self, field: RecordField) -> Option<usize> {
        self.position(Origin::Record(field))
    }
}

/// What a sink wants to see. The union over all sinks decides which columns exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Kinds wanted, one bit each at [`Kind::index`].
    pub kinds: u32,
    /// Whole flow records (columns `template` and `record`).
    pub whole_records: bool,
    /// Elements wanted as columns: (pen, id).
    pub elements: Vec<(u32, u16)>,
    /// Whether the join's columns are wanted.
    pub join: bool,
}

impl Interest {
    /// Whether rows of this kind are wanted.
    #[must_use]
    pub fn wants(&self, kind: Kind) -> bool {
        self.kinds & (1 << kind.index()) != 0
    }

    /// Everything that this and another want.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.kinds |= other.kinds;
        self.whole_records |= other.whole_records;
        self.join |= other.join;
        for element in &other.elements {
            if !self.elements.contains(element) {
                self.elements.push(*element);
            }
        }
        self
    }
}
