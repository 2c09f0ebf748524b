//! The hash against its reference, and the walk against etherparse over frames of every shape, cut anywhere and
//! damaged anywhere.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use dataplane_common::walk::{ETHER_IPV4, ETHER_IPV6, TCP, UDP};
use dataplane_common::{Headers, PacketEnd, Slice, octets_of, router_hash, walk, walk_network};
use etherparse::{Ipv6ExtensionSlice, LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket};
use proptest::prelude::*;
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

fn reference(router: [u8; 16], key: [u8; 16]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(&key);
    hasher.write(&router);
    hasher.finish()
}

/// Values that other programs can be tested against; the key is octets 0 to 15.
#[test]
fn fixed_hashes() {
    let key = std::array::from_fn(|index| index as u8);
    for (router, hash) in [
        ("192.0.2.1", 0x248f_bba2_7ae3_cacc_u64),
        ("198.51.100.7", 0x8950_b4dd_76b3_1e4a),
        ("2001:db8::1", 0x1b55_009d_1f66_1474),
        ("::", 0x403e_4b0d_4f19_f787),
    ] {
        let octets = octets_of(router.parse().unwrap());
        assert_eq!(router_hash(octets, key), hash, "{router}");
        assert_eq!(reference(octets, key), hash, "{router}");
    }
}

/// What the walk must find, worked out by etherparse; `None`: no plain UDP or TCP packet.
fn expected(frame: &[u8]) -> Option<Headers> {
    let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
    let at = |part: &[u8]| u32::try_from(part.as_ptr() as usize - frame.as_ptr() as usize).unwrap();
    let mut tags = [0; 2];
    for (number, extension) in packet.link_exts.iter().enumerate() {
        let LaxLinkExtSlice::Vlan(tag) = extension else { return None };
        let header = tag.header_slice();
        // The type before this tag: etherparse also knows 0x9100, which the kernel does not.
        let offset = at(header) as usize;
        if !matches!(frame[offset - 2..offset], [0x81, 0x00] | [0x88, 0xa8]) {
            return None;
        }
        *tags.get_mut(number)? = u16::from_be_bytes([header[0], header[1]]);
    }
    let protocol = packet.net.as_ref()?.ip_payload_ref()?.ip_number.0;
    let smallest = match protocol {
        UDP => 8,
        TCP => 20,
        _ => return None,
    };
    let (source, destination, network, length, is_ipv6, payload) = match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            // The authentication header is followed in IPv6 only.
            if usize::from(header.total_len()) < header.slice().len() || !ip.extensions().is_empty() {
                return None;
            }
            let (source, destination) = (header.source_addr().into(), header.destination_addr().into());
            (source, destination, at(header.slice()), header.total_len().into(), false, ip.payload())
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let mapped =
                [header.source_addr(), header.destination_addr()].map(|a| a.to_ipv4_mapped().is_some());
            // etherparse takes a payload length of 0 for unknown, as in a jumbogram.
            if mapped.contains(&true)
                || header.payload_length() == 0
                || ip.extensions().clone().into_iter().count() > 6
            {
                return None;
            }
            // etherparse 0.19 takes two bits of the offset for reserved ones; RFC 8200 section 4.5 has 13 bits of it.
            let is_later = |extension| {
                matches!(extension, Ipv6ExtensionSlice::Fragment(header)
                    if u16::from_be_bytes([header.slice()[2], header.slice()[3]]) & 0xfff8 != 0)
            };
            if ip.extensions().clone().into_iter().any(is_later) {
                return None;
            }
            let (source, destination) = (header.source_addr().into(), header.destination_addr().into());
            let length = 40 + u32::from(header.payload_length());
            (source, destination, at(header.slice()), length, true, ip.payload())
        }
        LaxNetSlice::Arp(_) => return None,
    };
    if payload.fragmented || payload.payload.len() < smallest {
        return None;
    }
    let port = |offset: usize| u16::from_be_bytes([payload.payload[offset], payload.payload[offset + 1]]);
    Some(Headers {
        source: octets_of(source),
        destination: octets_of(destination),
        tags,
        source_port: port(0),
        destination_port: port(2),
        network,
        transport: at(payload.payload),
        length,
        protocol,
        is_ipv6,
    })
}

/// Kinds of IPv6 extension header in a generated chain, and one octet for their length.
fn chain() -> impl Strategy<Value = Vec<(u8, u8)>> {
    let kind = prop_oneof![4 => Just(60_u8), 2 => Just(43), 2 => Just(44), 2 => Just(51), 1 => Just(0), 1 => Just(50)];
    prop::collection::vec((kind, 0_u8..6), 0..9)
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    let tags = prop::collection::vec(
        (prop_oneof![3 => Just(0x8100_u16), 1 => Just(0x88a8), 1 => Just(0x9100)], any::<u16>()),
        0..4,
    );
    let protocol = prop_oneof![5 => Just(UDP), 3 => Just(TCP), 1 => any::<u8>()];
    let body = prop::collection::vec(any::<u8>(), 0..80);
    let fragment = prop_oneof![6 => Just(0_u16), 1 => Just(0x2000), 1 => any::<u16>()];
    let shorter = prop_oneof![6 => Just(0_usize), 1 => 0..100_usize];
    let leads_with_options = any::<bool>();
    (
        tags,
        any::<bool>(),
        any::<[u8; 32]>(),
        (0_usize..=10, fragment, chain(), leads_with_options),
        protocol,
        body,
        shorter,
    )
        .prop_map(
            |(tags, is_ipv6, addresses, (words, fragment, chain, lead), protocol, body, shorter)| {
                let mut frame = vec![2; 12];
                for (kind, control) in tags {
                    frame.extend(kind.to_be_bytes());
                    frame.extend(control.to_be_bytes());
                }
                if is_ipv6 {
                    frame.extend(ETHER_IPV6.to_be_bytes());
                    let mut kinds: Vec<u8> = chain.iter().map(|(kind, _)| *kind).collect();
                    if lead && !kinds.is_empty() {
                        kinds[0] = 0;
                    }
                    kinds.push(protocol);
                    let mut headers = Vec::new();
                    for (number, &(_, length)) in chain.iter().enumerate() {
                        let octets = match kinds[number] {
                            44 => 8,
                            51 => (usize::from(length) + 2) * 4,
                            _ => (usize::from(length) + 1) * 8,
                        };
                        let start = headers.len();
                        headers.extend([kinds[number + 1], length]);
                        headers.resize(start + octets, 0);
                        if kinds[number] == 44 {
                            headers[start + 2..start + 4].copy_from_slice(&fragment.to_be_bytes());
                        }
                    }
                    let length = (headers.len() + body.len()).saturating_sub(shorter);
                    frame.extend([0x60, 0, 0, 0]);
                    frame.extend(u16::try_from(length).unwrap().to_be_bytes());
                    frame.extend([kinds[0], 64]);
                    frame.extend(addresses);
                    frame.extend(headers);
                } else {
                    frame.extend(ETHER_IPV4.to_be_bytes());
                    let length = (20 + words * 4 + body.len()).saturating_sub(shorter);
                    frame.extend([0x45 + words as u8, 0]);
                    frame.extend(u16::try_from(length).unwrap().to_be_bytes());
                    frame.extend([0, 1]);
                    frame.extend((fragment & 0x3fff | 0x4000).to_be_bytes());
                    frame.extend([64, protocol, 0, 0]);
                    frame.extend(&addresses[..8]);
                    frame.resize(frame.len() + words * 4, 1);
                }
                frame.extend(body);
                frame
            },
        )
}

/// A frame, cut somewhere in one case of three, with up to three octets changed in one of three.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)];
    (frames(), prop::option::weighted(0.33, any::<prop::sample::Index>()), changes).prop_map(
        |(mut frame, cut, changes)| {
            for (index, value) in changes {
                let place = index.index(frame.len().min(90));
                frame[place] = value;
            }
            if let Some(cut) = cut {
                frame.truncate(cut.index(frame.len()));
            }
            frame
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn walk_is_etherparse(frame in hostile()) {
        prop_assert_eq!(walk(&Slice(&frame)).ok(), expected(&frame));
    }

    #[test]
    fn any_octets_are_walked(frame in prop::collection::vec(any::<u8>(), 0..128)) {
        prop_assert_eq!(walk(&Slice(&frame)).ok(), expected(&frame));
    }

    #[test]
    fn from_the_network_header_on_it_is_the_same_walk(frame in frames()) {
        if let Ok(headers) = walk(&Slice(&frame)) {
            let network = headers.network;
            let ether_type = if headers.is_ipv6 { ETHER_IPV6 } else { ETHER_IPV4 };
            let packet = &frame[network as usize..];
            let inner = walk_network(&Slice(packet), 0, ether_type, headers.tags).unwrap();
            let moved = Headers { network: 0, transport: headers.transport - network, ..headers };
            prop_assert_eq!(inner, moved);
            prop_assert_eq!(headers.end(), network + inner.end());
        }
    }

    #[test]
    fn hash_is_siphash_1_3(router in any::<[u8; 16]>(), key in any::<[u8; 16]>()) {
        prop_assert_eq!(router_hash(router, key), reference(router, key));
    }
}

/// Offsets of 4, 8 and 12 units of eight octets stand in the bits that etherparse leaves out.
#[test]
fn a_fragment_with_a_small_offset_is_not_followed() {
    for offset in [0x20_u8, 0x40, 0x60, 0x08] {
        let mut frame = [&[2; 12][..], &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 28, 44, 64], &[1; 32]].concat();
        frame.extend([UDP, 0, 0, offset, 0, 0, 0, 1]);
        frame.extend([0; 20]);
        assert_eq!(walk(&Slice(&frame)), Err(PacketEnd::Fragment), "{offset:#x}");
    }
}

/// The generator does not hide the walk's good ends behind rare ones.
#[test]
fn most_generated_frames_walk() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let walked = (0..1_000)
        .filter(|_| {
            let frame = hostile().new_tree(&mut runner).unwrap().current();
            walk(&Slice(&frame)).is_ok()
        })
        .count();
    assert!(walked > 150, "{walked} of 1,000");
}
