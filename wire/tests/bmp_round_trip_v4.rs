//! BMP version 4: TLVs about NLRI, written in any order with groups and enterprises, are matched with exactly the
//! NLRI that a naive reading of the draft gives them, and read back as written.

use std::net::{IpAddr, Ipv4Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use wire::Cursor;
use wire::bgp::attribute::Origin;
use wire::bgp::{AsWidth, Prefix};
use wire::bmp::{self, Framed, IndexedTlvs, Message, Profile};
use wire::emit::{bgp as emit_bgp, bmp as emit_bmp};

/// A TLV as a test writes it: index, enterprise, value. Its type is one that no profile has given a meaning.
type Told = (u16, Option<u32>, Vec<u8>);

/// NLRI of a message.
const NLRI: u16 = 6;

fn any_index() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), 1..=NLRI + 2, Just(0x8001_u16), Just(0x8002), Just(0x8003)]
}

/// Members of the groups 0x8001 and 0x8002; the group 0x8003 has none.
fn any_groups() -> impl Strategy<Value = [Vec<u16>; 2]> {
    [vec(1..=NLRI, 1..4), vec(1..=NLRI + 1, 1..4)]
}

fn update() -> Vec<u8> {
    let prefix = |n: u16| {
        let [_, low] = n.to_be_bytes();
        Prefix::new(IpAddr::V4(Ipv4Addr::new(10, low, 0, 0)), 16)
    };
    let mut update = emit_bgp::Update::new(AsWidth::Four);
    update.origin(Origin::Igp).as_path(&[]).next_hop(Ipv4Addr::LOCALHOST);
    // Counted in the order of the message: withdrawn routes first.
    update.withdraw(None, &prefix(1)).withdraw(None, &prefix(2));
    (3..=NLRI).for_each(|n| _ = update.announce(None, &prefix(n)));
    update.finish()
}

proptest! {
    #[test]
    fn tlvs_meet_their_nlri(
        told in vec((any_index(), proptest::option::of(1_u32..), vec(any::<u8>(), 0..12)), 0..12),
        groups in any_groups(),
        place in 0_usize..12,
    ) {
        let told: Vec<Told> = told;
        let update = update();
        let members = groups.each_ref().map(|group| {
            group.iter().flat_map(|member| member.to_be_bytes()).collect::<Vec<u8>>()
        });
        let values: Vec<Vec<u8>> = told
            .iter()
            .map(|(_, pen, value)| [pen.map_or(Vec::new(), |pen| pen.to_be_bytes().to_vec()), value.clone()].concat())
            .collect();
        // Before revision 20: Group is 2, the UPDATE is 4, 100 is nothing.
        let mut tlvs: Vec<(u16, u16, &[u8])> = vec![(2, 0x8001, &members[0]), (2, 0x8002, &members[1])];
        for ((index, pen, _), value) in told.iter().zip(&values) {
            tlvs.push((100 | if pen.is_some() { 0x8000 } else { 0 }, *index, value));
        }
        tlvs.insert(place.min(tlvs.len()), (4, 0, &update));

        let peer = emit_bmp::peer(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 65001, Ipv4Addr::LOCALHOST);
        let octets = emit_bmp::route_monitoring_v4(&peer, &tlvs);
        let Framed::Whole(frame) = bmp::frame(&octets, bmp::DEFAULT_MAX_LENGTH) else { panic!() };
        let Ok(Message::RouteMonitoring(monitoring)) = frame.message() else { panic!() };
        let tagged = monitoring.tagged(Some(Profile::Pre20)).unwrap();
        prop_assert_eq!(tagged.tlvs().count(), told.len() + 3);
        for nlri in 1..=NLRI {
            let is_about = |index: u16| match index {
                0 => true,
                0x8001 => groups[0].contains(&nlri),
                0x8002 => groups[1].contains(&nlri),
                index => index == nlri,
            };
            let expected: Vec<Told> = told.iter().filter(|(index, ..)| is_about(*index)).cloned().collect();
            let found: Vec<Told> =
                tagged.about(nlri).map(|tlv| (tlv.index, tlv.enterprise, tlv.value.to_vec())).collect();
            prop_assert_eq!(found, expected, "NLRI {}", nlri);
        }
        // Written again one by one they are the octets that they were read from.
        let mut written = Vec::new();
        tagged.tlvs().flatten().for_each(|tlv| tlv.write(&mut written));
        prop_assert_eq!(IndexedTlvs::new(Cursor::new(&written)).count(), told.len() + 3);
        prop_assert_eq!(&written[..], monitoring.body.rest());
    }
}
