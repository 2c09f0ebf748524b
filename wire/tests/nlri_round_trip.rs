//! What the encoders write of families that are no prefixes is what the views read, with and without path
//! identifiers: every type of EVPN and MCAST-VPN, flow specifications, BGP-LS, SR policies, route target constraints.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "what a test cannot do without fails it, and any other NLRI is the failure"
)]

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wire::bgp::family::{self, Family};
use wire::bgp::nlri::evpn::{Esi, EvpnRoute, Mac};
use wire::bgp::nlri::flowspec::Condition;
use wire::bgp::nlri::mcast_vpn::McastVpnRoute;
use wire::bgp::nlri::{RouteTarget, SrPolicy};
use wire::bgp::{
    Action, AsWidth, ExtendedCommunity, IpVersion, Labels, Nlri, Prefix, RouteDistinguisher, Session, Update,
};
use wire::emit::bgp as emit_bgp;
use wire::emit::nlri::{self as emit, FlowComponent};

/// Announces and withdraws the NLRI and hands each entry on, with its number.
fn entries(family: Family, path_id: Option<u32>, nlri: &[u8], mut check: impl FnMut(usize, &Nlri<'_>)) {
    let mut session = Session::FOUR_OCTET;
    if path_id.is_some() {
        session.add_path.insert(family);
    }
    for action in [Action::Announce, Action::Withdraw] {
        let mut update = emit_bgp::Update::new(AsWidth::Four);
        match action {
            Action::Announce => update.origin(wire::bgp::attribute::Origin::Igp).as_path(&[]).mp_reach(
                family,
                if family.safi == family::SAFI_FLOWSPEC { &[] } else { &[192, 0, 2, 1] },
                nlri,
            ),
            Action::Withdraw => update.mp_unreach(family, nlri),
        };
        let octets = update.finish();
        let message = wire::bgp::Message::parse(&mut wire::Cursor::new(&octets)).unwrap();
        let routes = Update::parse(message.body).routes().next().unwrap().unwrap();
        assert_eq!((routes.action, routes.family), (action, family));
        for (number, entry) in routes.entries(&session).enumerate() {
            let entry = entry.unwrap();
            assert_eq!(entry.path_id, path_id);
            assert_eq!(entry.nlri.check(), Ok(()));
            check(number, &entry.nlri);
        }
    }
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<Ipv4Addr>().prop_map(IpAddr::V4), any::<Ipv6Addr>().prop_map(IpAddr::V6),]
}

fn any_prefix(version: IpVersion) -> impl Strategy<Value = Prefix> {
    (any::<Ipv4Addr>(), any::<Ipv6Addr>(), 0..=version.bits()).prop_map(move |(v4, v6, length)| match version
    {
        IpVersion::V4 => Prefix::new(v4.into(), length),
        IpVersion::V6 => Prefix::new(v6.into(), length),
    })
}

fn either_version() -> impl Strategy<Value = IpVersion> {
    prop_oneof![Just(IpVersion::V4), Just(IpVersion::V6)]
}

/// Everything that a route of any type may have.
#[derive(Debug, Clone)]
struct Parts {
    distinguisher: RouteDistinguisher,
    esi: Esi,
    mac: Mac,
    tag: u32,
    addresses: [Option<IpAddr>; 3],
    originator: IpAddr,
    prefix: Prefix,
    labels: Vec<u8>,
    flags: u8,
    key: Vec<u8>,
}

fn any_parts() -> impl Strategy<Value = Parts> {
    let address = || option::of(any_address());
    (
        (any::<[u8; 8]>(), any::<[u8; 10]>(), any::<[u8; 6]>(), any::<u32>(), any::<u8>()),
        [address(), address(), address()],
        any_address(),
        either_version().prop_flat_map(any_prefix),
        vec(any::<u8>(), 3..=6),
        vec(any::<u8>(), 0..40),
    )
        .prop_map(|((rd, esi, mac, tag, flags), addresses, originator, prefix, labels, key)| Parts {
            distinguisher: RouteDistinguisher(rd),
            esi: Esi(esi),
            mac: Mac(mac),
            tag,
            addresses,
            originator,
            prefix,
            labels: labels[..labels.len() / 3 * 3].to_vec(),
            flags,
            key,
        })
}

/// The route of a type with just the fields that the type has.
fn evpn<'a>(route_type: u8, parts: &'a Parts, key: &'a [u8]) -> EvpnRoute<'a> {
    let has = |types: &[u8]| types.contains(&route_type);
    let [source, group, host] = parts.addresses;
    let unspecified = match parts.prefix.version {
        IpVersion::V4 => Ipv4Addr::LOCALHOST.into(),
        IpVersion::V6 => Ipv6Addr::LOCALHOST.into(),
    };
    let labels = match route_type {
        1 | 5 => Labels::new(&parts.labels[..3]),
        2 => Labels::new(&parts.labels),
        _ => Labels::NONE,
    };
    EvpnRoute {
        distinguisher: (route_type != 11).then_some(parts.distinguisher),
        esi: has(&[1, 2, 4, 5, 7, 8]).then_some(parts.esi),
        ethernet_tag: (!has(&[4, 11])).then_some(parts.tag),
        mac: has(&[2]).then_some(parts.mac),
        address: host.filter(|_| has(&[2])),
        prefix: has(&[5]).then_some(parts.prefix),
        gateway: has(&[5]).then_some(unspecified),
        labels,
        originator: has(&[3, 4, 6, 7, 8, 10, 11]).then_some(parts.originator),
        source: source.filter(|_| has(&[6, 7, 8, 10])),
        group: group.filter(|_| has(&[6, 7, 8, 10])),
        flags: has(&[6, 7, 8]).then_some(parts.flags),
        key: if has(&[9, 11]) { key } else { &[] },
    }
}

/// A route framed by type and length, as a leaf answers it.
fn framed(octets: &[u8]) -> Vec<u8> {
    [&[3, u8::try_from(octets.len()).unwrap()][..], octets].concat()
}

fn same<T: PartialEq + Debug>(read: T, written: T) {
    assert_eq!(read, written);
}

fn any_terms() -> impl Strategy<Value = Vec<(u8, u64)>> {
    let value = prop_oneof![0..0x100_u64, 0x100..0x1_0000_u64, 0x1_0000..u64::from(u32::MAX), any::<u64>()];
    vec((0..8_u8, any::<bool>(), value), 1..5).prop_map(|terms| {
        terms.into_iter().map(|(bits, and, value)| (bits | u8::from(and) << 6, value)).collect()
    })
}

fn any_component(version: IpVersion) -> impl Strategy<Value = FlowComponent> {
    let kinds = if version == IpVersion::V6 { 3..=13_u8 } else { 3..=12_u8 };
    let bits = version.bits();
    prop_oneof![
        (1..=2_u8, any_prefix(version), 0..=bits).prop_map(move |(kind, prefix, offset)| {
            let offset = if version == IpVersion::V4 { 0 } else { offset.min(prefix.length) };
            // Bits before the offset are not sent, and come back as zeros.
            let mask = u128::MAX.checked_shr(u32::from(offset)).unwrap_or(0);
            let octets = (u128::from_be_bytes(prefix.octets) & mask).to_be_bytes();
            FlowComponent::Prefix { kind, prefix: Prefix { octets, ..prefix }, offset }
        }),
        (kinds, any_terms()).prop_map(|(kind, terms)| FlowComponent::Terms { kind, terms }),
    ]
}

proptest! {
    #[test]
    fn evpn_of_every_type(parts in vec(any_parts(), 1..4), path_id in option::of(any::<u32>())) {
        for route_type in 1..=11 {
            let mut nlri = Vec::new();
            let keys: Vec<Vec<u8>> = parts
                .iter()
                .map(|parts| if route_type == 9 { parts.distinguisher.0.to_vec() } else { framed(&parts.key) })
                .collect();
            for (parts, key) in parts.iter().zip(&keys) {
                emit::put_evpn(&mut nlri, path_id, route_type, &evpn(route_type, parts, key));
            }
            let mut count = 0;
            entries(Family::EVPN, path_id, &nlri, |number, read| match read {
                Nlri::Evpn(read) => {
                    count += 1;
                    assert_eq!(read.route_type, route_type);
                    same(read.route().unwrap(), evpn(route_type, &parts[number], &keys[number]));
                }
                other => panic!("{other:?}"),
            });
            assert_eq!(count, 2 * parts.len());
        }
    }

    #[test]
    fn mcast_vpn_of_every_type(
        parts in vec(any_parts(), 1..4),
        path_id in option::of(any::<u32>()),
        version in either_version(),
    ) {
        let afi = if version == IpVersion::V4 { family::AFI_IPV4 } else { family::AFI_IPV6 };
        for route_type in 1..=7 {
            let has = |types: &[u8]| types.contains(&route_type);
            let keys: Vec<Vec<u8>> = parts.iter().map(|parts| framed(&parts.key)).collect();
            let route = |number: usize| {
                let parts = &parts[number];
                let [source, group, _] = parts.addresses;
                McastVpnRoute {
                    distinguisher: (route_type != 4).then_some(parts.distinguisher),
                    source_as: has(&[2, 6, 7]).then_some(parts.tag),
                    source: source.filter(|_| has(&[3, 5, 6, 7])),
                    group: group.filter(|_| has(&[3, 5, 6, 7])),
                    originator: has(&[1, 3, 4]).then_some(parts.originator),
                    key: if route_type == 4 { &keys[number] } else { &[] },
                }
            };
            let mut nlri = Vec::new();
            (0..parts.len()).for_each(|number| emit::put_mcast_vpn(&mut nlri, path_id, route_type, &route(number)));
            entries(Family::new(afi, family::SAFI_MCAST_VPN), path_id, &nlri, |number, read| match read {
                Nlri::McastVpn(read) => {
                    assert_eq!(read.route_type, route_type);
                    same(read.route().unwrap(), route(number));
                }
                other => panic!("{other:?}"),
            });
        }
    }

    #[test]
    fn flow_specifications(
        (version, rules) in either_version()
            .prop_flat_map(|version| (Just(version), vec(vec(any_component(version), 1..14), 1..4))),
        rd in option::of(any::<[u8; 8]>()),
        path_id in option::of(any::<u32>()),
    ) {
        let rd = rd.map(RouteDistinguisher);
        let safi = if rd.is_some() { family::SAFI_FLOWSPEC_VPN } else { family::SAFI_FLOWSPEC };
        let afi = if version == IpVersion::V4 { family::AFI_IPV4 } else { family::AFI_IPV6 };
        let mut nlri = Vec::new();
        rules.iter().for_each(|rule| emit::put_flowspec(&mut nlri, path_id, rd, rule));
        entries(Family::new(afi, safi), path_id, &nlri, |number, read| {
            let Nlri::Flowspec(read) = read else { panic!("{read:?}") };
            assert_eq!(read.distinguisher, rd);
            let components: Vec<_> = read
                .components()
                .map(Result::unwrap)
                .map(|component| {
                    let plain = |(operator, value)| (operator & 0x4f, value);
                    let kind = component.kind;
                    match component.condition {
                        Condition::Prefix { prefix, offset } => FlowComponent::Prefix { kind, prefix, offset },
                        Condition::Number(numbers) => {
                            FlowComponent::Terms { kind, terms: numbers.terms().map(plain).collect() }
                        }
                        Condition::Bits(bits) => {
                            FlowComponent::Terms { kind, terms: bits.terms().map(plain).collect() }
                        }
                    }
                })
                .collect();
            same(&components, &rules[number]);
        });
    }

    #[test]
    fn link_state(
        objects in vec(
            (1..=6_u16, any::<u8>(), any::<u64>(), vec((any::<u16>(), vec(any::<u8>(), 0..40)), 0..5)),
            1..5,
        ),
        rd in option::of(any::<[u8; 8]>()),
        path_id in option::of(any::<u32>()),
    ) {
        let rd = rd.map(RouteDistinguisher);
        let safi = if rd.is_some() { family::SAFI_BGP_LS_VPN } else { family::SAFI_BGP_LS };
        let mut nlri = Vec::new();
        for (kind, protocol, identifier, descriptors) in &objects {
            let mut tlvs = Vec::new();
            descriptors.iter().for_each(|(kind, value)| emit::put_ls_tlv(&mut tlvs, *kind, value));
            emit::put_ls(&mut nlri, path_id, *kind, rd, (*protocol, *identifier), &tlvs);
        }
        entries(Family::new(family::AFI_BGP_LS, safi), path_id, &nlri, |number, read| {
            let Nlri::BgpLs(read) = read else { panic!("{read:?}") };
            let object = read.object().unwrap();
            let descriptors =
                object.descriptors.map(|tlv| tlv.map(|tlv| (tlv.kind, tlv.octets.to_vec())).unwrap()).collect();
            same(
                (read.kind, object.protocol, object.identifier, descriptors),
                objects[number].clone(),
            );
            assert_eq!(object.distinguisher, rd);
        });
    }

    #[test]
    fn sr_policies(
        version in either_version(),
        keys in vec((any::<u32>(), any::<u32>(), any::<Ipv4Addr>(), any::<Ipv6Addr>()), 1..5),
        path_id in option::of(any::<u32>()),
    ) {
        let policy = |number: usize| {
            let (distinguisher, color, v4, v6) = keys[number];
            let endpoint = if version == IpVersion::V4 { v4.into() } else { v6.into() };
            SrPolicy { distinguisher, color, endpoint }
        };
        let afi = if version == IpVersion::V4 { family::AFI_IPV4 } else { family::AFI_IPV6 };
        let mut nlri = Vec::new();
        (0..keys.len()).for_each(|number| emit::put_sr_policy(&mut nlri, path_id, &policy(number)));
        entries(Family::new(afi, family::SAFI_SR_POLICY), path_id, &nlri, |number, read| match read {
            Nlri::SrPolicy(read) => same(*read, policy(number)),
            other => panic!("{other:?}"),
        });
    }

    #[test]
    fn route_target_constraints(
        constraints in vec((prop_oneof![Just(0_u8), 32..=96_u8], any::<u32>(), any::<[u8; 8]>()), 1..5),
        path_id in option::of(any::<u32>()),
    ) {
        let constraint = |number: usize| {
            let (length, origin_as, target) = constraints[number];
            // Bits behind the length are zeros.
            let kept = u32::from(length.saturating_sub(32));
            let mask = u64::MAX.checked_shl(64 - kept).unwrap_or(0);
            let target = (u64::from_be_bytes(target) & mask).to_be_bytes();
            let origin_as = (length > 0).then_some(origin_as);
            RouteTarget { length, origin_as, target: ExtendedCommunity(target) }
        };
        let mut nlri = Vec::new();
        (0..constraints.len()).for_each(|number| emit::put_route_target(&mut nlri, path_id, &constraint(number)));
        entries(Family::new(family::AFI_IPV4, family::SAFI_ROUTE_TARGET), path_id, &nlri, |number, read| {
            match read {
                Nlri::RouteTarget(read) => same(*read, constraint(number)),
                other => panic!("{other:?}"),
            }
        });
    }
}
