//! `[limits]`: every bound of every table, by name.

use collector::Settings;
use serde::Deserialize;

use super::{ConfigError, SECOND, range, refuse};

macro_rules! limits {
    ($($(#[$doc:meta])+ $name:ident: $type:ty = $default:literal, $least:literal..=$most:literal;)+) => {
        /// `[limits]`. Octets, counts and seconds as the names say.
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Limits {
            $($(#[$doc])+ pub $name: $type,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// Every key.
            #[cfg(test)]
            const KEYS: &[&str] = &[$(stringify!($name)),+];

            pub(super) fn check(&self) -> Result<(), ConfigError> {
                $(range(concat!("limits.", stringify!($name)), "", self.$name as u64, $least..=$most)?;)+
                self.check_powers()
            }
        }
    };
}

limits! {
    /// Routers of one worker.
    max_routers: usize = 10_000, 1..=1_000_000;
    /// Flow sessions of one router.
    max_exporters_per_router: usize = 256, 1..=65_536;
    /// Templates of one flow session.
    max_templates_per_exporter: usize = 4_096, 1..=65_280;
    /// Fields of one template.
    max_fields_per_template: usize = 2_048, 1..=65_535;
    /// Age at which a UDP template that was not refreshed is forgotten; 0: never.
    template_lifetime_s: u64 = 0, 0..=31_536_000;
    /// Compiled templates that a worker keeps to be shared by exporters with equal ones.
    max_shared_plans: usize = 16_384, 1..=16_777_216;
    /// Octets of data that wait for their template, of one flow session.
    max_waiting_octets_per_exporter: usize = 262_144, 0..=1_073_741_824;
    /// Octets that wait at one worker: data for its template, segments of UDP-notif for the rest.
    max_waiting_octets_per_worker: usize = 67_108_864, 0..=1_099_511_627_776;
    /// How long data waits for its template.
    max_waiting_s: u64 = 60, 1..=86_400;
    /// Samplers, interfaces and VRFs known of one flow session; elements that it describes, as many again.
    max_options_entries_per_exporter: usize = 16_384, 1..=16_777_216;
    /// Error rows that one worker writes in a second; 0: no limit.
    max_error_rows_per_second: u32 = 100, 0..=4_294_967_295;
    /// sFlow agents and sub-agents of one router.
    max_agents_per_router: usize = 64, 1..=65_536;
    /// Sources of one sFlow agent whose samples are accounted for.
    max_sources_per_agent: usize = 4_096, 1..=1_048_576;
    /// UDP-notif publishers of one router.
    max_publishers_per_router: usize = 64, 1..=65_536;
    /// UDP-notif messages of one publisher that wait for the rest of their segments.
    max_segmented_messages_per_publisher: usize = 64, 1..=4_096;
    /// Octets of segments that one UDP-notif publisher may have waiting.
    max_segment_octets_per_publisher: usize = 1_048_576, 65_536..=1_073_741_824;
    /// How long a UDP-notif message waits for the rest of its segments.
    max_segment_wait_s: u64 = 10, 1..=3_600;
    /// Octets of one BMP message, header included.
    max_bmp_message_octets: usize = 1_048_576, 4_096..=16_777_216;
    /// BMP sessions of one router.
    max_bmp_sessions_per_router: usize = 4, 1..=1_024;
    /// Peers of one BMP session.
    max_peers_per_session: usize = 4_096, 1..=1_000_000;
    /// Tables (VRFs and route distinguishers) in the RIB of one router.
    max_tables_per_router: usize = 65_536, 1..=16_777_216;
    /// Paths in the RIB of one router.
    max_paths_per_router: usize = 20_000_000, 1..=1_000_000_000;
    /// Octets of path attributes of one router.
    max_attribute_octets_per_router: usize = 1_073_741_824, 65_536..=1_099_511_627_776;
    /// BMP streams of one worker.
    max_streams_per_worker: usize = 4_096, 1..=1_000_000;
    /// Frames that one worker's ring of one RX queue holds; a power of two.
    ring_frames: u32 = 2_048, 64..=1_048_576;
    /// Frames of an RX queue's memory beyond those that all rings of the queue hold.
    spare_frames: u32 = 2_048, 64..=1_048_576;
    /// Octets of one frame: 2048 or 4096.
    frame_size_bytes: u32 = 2_048, 2_048..=4_096;
    /// Octets that a kernel UDP socket may hold back.
    socket_buffer_bytes: usize = 16_777_216, 65_536..=1_073_741_824;
    /// Rows of one batch.
    batch_rows: u32 = 1_024, 1..=1_048_576;
    /// Octets of the long values of one batch.
    batch_octets: u32 = 1_048_576, 4_096..=1_073_741_824;
    /// Batches of one table of one worker.
    batches_per_table: usize = 16, 2..=65_536;
    /// Batches that may wait for one sink.
    sink_queue_batches: usize = 64, 1..=65_536;
    /// Local addresses that telemetry may be sent to.
    max_local_addresses: u32 = 4_096, 1..=1_048_576;
    /// Aliases, and as many alias prefixes.
    max_aliases: u32 = 16_384, 1..=1_048_576;
    /// (device, RX queue) pairs with rings.
    max_ring_rows: u32 = 256, 1..=16_384;
    /// (protocol, address, port) groups of kernel sockets.
    max_socket_rows: u32 = 64, 1..=1_024;
    /// Routers whose last packet is remembered.
    max_routers_seen: u32 = 65_536, 1..=16_777_216;
    /// Ways in which frames arrive (port and VLANs), and as many devices through which packets leave.
    max_forward_devices: u32 = 16_384, 1..=1_048_576;
    /// Ports that frames may leave through.
    max_forward_ports: u32 = 1_024, 1..=65_536;
    /// Stations behind ports of bridges.
    max_stations: u32 = 65_536, 1..=1_048_576;
    /// Next hops whose use is remembered.
    max_next_hops: u32 = 16_384, 1..=1_048_576;
    /// Entries of rules: one a pair of networks, twice as many while they are replaced.
    max_rules: u32 = 131_072, 1..=1_048_576;
    /// Networks of exporters that may send telemetry.
    max_allowed_exporters: u32 = 65_536, 1..=1_048_576;
    /// Policers.
    max_policers: u32 = 4_096, 2..=65_536;
    /// Sources with a policer's bucket of their own; the idlest make way.
    max_policed_sources: u32 = 65_536, 1..=16_777_216;
    /// Rules in each card for addresses of exporters.
    max_ntuple_rules: usize = 1_024, 0..=65_536;
    /// (port, end of a frame) pairs that are counted.
    max_port_ends: u32 = 32_768, 1..=1_048_576;
}

impl Limits {
    fn check_powers(&self) -> Result<(), ConfigError> {
        let powers = [("ring_frames", self.ring_frames), ("frame_size_bytes", self.frame_size_bytes)];
        match powers.into_iter().find(|(_, value)| !value.is_power_of_two()) {
            Some((key, value)) => Err(refuse(format!("limits.{key}"), value, "a power of two")),
            None => Ok(()),
        }
    }

    /// Writes the bounds of a collector.
    pub(super) const fn apply(&self, settings: &mut Settings) {
        settings.max_routers = self.max_routers;
        settings.max_exporters_per_router = self.max_exporters_per_router;
        settings.max_templates_per_exporter = self.max_templates_per_exporter;
        settings.max_fields_per_template = self.max_fields_per_template;
        settings.template_lifetime_ns = self.template_lifetime_s * SECOND;
        settings.max_shared_plans = self.max_shared_plans;
        settings.max_waiting_octets_per_exporter = self.max_waiting_octets_per_exporter;
        settings.max_waiting_octets_per_worker = self.max_waiting_octets_per_worker;
        settings.max_waiting_ns = self.max_waiting_s * SECOND;
        settings.max_options_entries_per_exporter = self.max_options_entries_per_exporter;
        settings.max_error_rows_per_second = self.max_error_rows_per_second;
        settings.max_agents_per_router = self.max_agents_per_router;
        settings.max_sources_per_agent = self.max_sources_per_agent;
        settings.max_publishers_per_router = self.max_publishers_per_router;
        settings.max_segmented_messages_per_publisher = self.max_segmented_messages_per_publisher;
        settings.max_segment_octets_per_publisher = self.max_segment_octets_per_publisher;
        settings.max_segment_wait_ns = self.max_segment_wait_s * SECOND;
        settings.max_bmp_message_octets = self.max_bmp_message_octets;
        settings.max_bmp_sessions_per_router = self.max_bmp_sessions_per_router;
        settings.max_peers_per_session = self.max_peers_per_session;
        settings.max_tables_per_router = self.max_tables_per_router;
        settings.max_paths_per_router = self.max_paths_per_router;
        settings.max_attribute_octets_per_router = self.max_attribute_octets_per_router;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Fields of the settings and their values, as they print.
    fn printed(settings: &Settings) -> BTreeMap<String, String> {
        format!("{settings:#?}")
            .lines()
            .filter_map(|line| line.strip_prefix("    ")?.strip_suffix(',')?.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn every_bound_of_a_collector_is_a_key() {
        let (mut before, mut after) = (Settings::default(), Settings::default());
        Limits::default().apply(&mut before);
        assert_eq!(before, Settings::default());
        // Every limit one more: what stays as it was is told by no key.
        let more: String = Limits::KEYS
            .iter()
            .filter(|key| !["ring_frames", "frame_size_bytes"].contains(key))
            .map(|key| format!("{key} = {}\n", defaults()[*key].as_integer().unwrap() + 1))
            .collect();
        toml::from_str::<Limits>(&more).unwrap().apply(&mut after);
        let (before, after) = (printed(&before), printed(&after));
        let bounds: Vec<&String> =
            before.keys().filter(|name| name.starts_with("max_") || name.ends_with("lifetime_ns")).collect();
        assert!(bounds.len() > 12, "{bounds:?}");
        for name in bounds {
            assert_ne!(before[name], after[name], "{name}");
        }
    }

    #[test]
    fn the_reference_says_every_key() {
        let reference: toml::Table = toml::from_str(include_str!("../../../configs/millrace.toml")).unwrap();
        let said: Vec<&str> = reference["limits"].as_table().unwrap().keys().map(String::as_str).collect();
        let mut keys = Limits::KEYS.to_vec();
        keys.sort_unstable();
        let mut sorted = said.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, keys);
    }

    fn defaults() -> toml::Table {
        let reference: toml::Table = toml::from_str(include_str!("../../../configs/millrace.toml")).unwrap();
        reference["limits"].as_table().unwrap().clone()
    }
}
