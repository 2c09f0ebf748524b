//! Path attributes of an UPDATE in the one form that rows, the RIB and the join share: AS numbers of 4 octets,
//! `MP_REACH_NLRI` without NLRI, nothing that speaks of withdrawn routes. Never judges a value: what does not read
//! is copied as it came.

use wire::bgp::attribute::{Attribute, EXTENDED_LENGTH, code};
use wire::bgp::{AsPath, AsWidth, Family, Segment, SegmentKind, Update};
use wire::malformed::{Malformed, Reason};

/// AS numbers of one segment.
const MAX_SEGMENT: usize = 255;
/// The AS number that stands for one that 2 octets cannot hold (RFC 6793).
const AS_TRANS: u32 = 23_456;

/// Which routes of the UPDATE the attributes are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Those of its own NLRI field: `NEXT_HOP` holds, `MP_REACH_NLRI` is not theirs.
    Field,
    /// Those of its `MP_REACH_NLRI` of a family: the next hop is in there (RFC 4760 section 3).
    Multiprotocol(Family),
}

/// Appends the canonical attributes of an UPDATE. Of an attribute that comes twice the first counts (RFC 7606
/// section 3 (g)). Returns what is lost: where the attributes end before their field does, else the first one that
/// comes again or was to be merged and does not read.
pub(crate) fn write(update: &Update<'_>, width: AsWidth, routes: For, to: &mut Vec<u8>) -> Option<Malformed> {
    let mut seen = [0_u64; 4];
    let mut lost = None;
    for attribute in update.attributes() {
        let attribute = match attribute {
            Ok(attribute) => attribute,
            Err(malformed) => return Some(malformed),
        };
        let Some(word) = seen.get_mut(usize::from(attribute.code >> 6)) else { continue };
        let bit = 1 << (attribute.code & 63);
        if *word & bit == 0 {
            *word |= bit;
            one(update, &attribute, width, routes, to);
            if width == AsWidth::Two && matches!(attribute.code, code::AS4_PATH | code::AS4_AGGREGATOR) {
                lost = lost.or_else(|| attribute.value(width).err());
            }
        } else if lost.is_none() {
            let length = attribute.value.remaining();
            lost = Some(attribute.value.malformed(Reason::DuplicateAttribute, length));
        }
    }
    lost
}

fn one(update: &Update<'_>, attribute: &Attribute<'_>, width: AsWidth, routes: For, to: &mut Vec<u8>) {
    let value = attribute.value.rest();
    match (attribute.code, routes) {
        // RFC 6793 section 4.1: between speakers of 4 octets they mean nothing; else they are merged below.
        (code::MP_UNREACH | code::AS4_PATH | code::AS4_AGGREGATOR, _)
        | (code::MP_REACH, For::Field)
        | (code::NEXT_HOP, For::Multiprotocol(_)) => {}
        (code::MP_REACH, For::Multiprotocol(_)) => {
            let length = value.get(3).map_or(0, |length| usize::from(*length));
            match value.get(..4 + length) {
                // The reserved octet stays, so that the value still reads as one without NLRI.
                Some(next_hop) => push(to, attribute, &[next_hop, &[0]]),
                None => push(to, attribute, &[value]),
            }
        }
        (code::AS_PATH, _) if width == AsWidth::Two => match AsPath::parse(attribute.value, width) {
            Ok(path) => push_path(to, attribute, path, as4_path(update)),
            Err(_) => push(to, attribute, &[value]),
        },
        (code::AGGREGATOR, _) if width == AsWidth::Two && value.len() == 6 => {
            push_aggregator(to, attribute, update);
        }
        _ => push(to, attribute, &[value]),
    }
}

/// Appends an attribute, its length field as short as it can be.
fn push(to: &mut Vec<u8>, attribute: &Attribute<'_>, value: &[&[u8]]) {
    let length: usize = value.iter().map(|part| part.len()).sum();
    let flags = attribute.flags & !EXTENDED_LENGTH;
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length), _) => to.extend_from_slice(&[flags, attribute.code, length]),
        (_, Ok(length)) => {
            to.extend_from_slice(&[flags | EXTENDED_LENGTH, attribute.code]);
            to.extend_from_slice(&length.to_be_bytes());
        }
        // No UPDATE holds as much; widening one of 65,535 octets could only get here.
        (Err(_), Err(_)) => return,
    }
    for part in value {
        to.extend_from_slice(part);
    }
}

fn find<'a>(update: &Update<'a>, code: u8) -> Option<Attribute<'a>> {
    update.attributes().flatten().find(|attribute| attribute.code == code)
}

/// `AS4_PATH`, unless somebody who does not know it aggregated the route since: then it is out of date (RFC 6793
/// section 4.2.3).
fn as4_path<'a>(update: &Update<'a>) -> Option<AsPath<'a>> {
    let aggregator = find(update, code::AGGREGATOR).and_then(|found| found.value.rest().first_chunk());
    let is_known = aggregator.is_some_and(|short| u32::from(u16::from_be_bytes(*short)) != AS_TRANS);
    if is_known && find(update, code::AS4_AGGREGATOR).is_some() {
        return None;
    }
    AsPath::parse(find(update, code::AS4_PATH)?.value, AsWidth::Four).ok()
}

/// Appends a path of 2-octet numbers as one of 4 octets, rebuilt from `AS4_PATH` where that is not the longer one
/// (RFC 6793 section 4.2.3).
fn push_path(to: &mut Vec<u8>, attribute: &Attribute<'_>, path: AsPath<'_>, as4: Option<AsPath<'_>>) {
    let as4 = as4.filter(|as4| as4.hops() <= path.hops());
    let start = to.len();
    // The length is known at the end: room for the long form, moved together if the short one will do.
    to.extend_from_slice(&[attribute.flags | EXTENDED_LENGTH, attribute.code, 0, 0]);
    let body = to.len();
    let mut leading = path.hops() - as4.map_or(0, |as4| as4.hops());
    let mut last = None;
    for segment in path.segments() {
        let is_confederation = is_confederation(segment.kind);
        if as4.is_some() && leading == 0 && !is_confederation {
            break;
        }
        let taken = push_segment(to, &mut last, &segment, if as4.is_some() { leading } else { usize::MAX });
        leading -= taken;
        // What stands behind a part of a sequence is not next to it.
        if segment.kind == SegmentKind::Sequence && taken < segment.len() {
            break;
        }
    }
    // Confederations have no business in `AS4_PATH` (RFC 6793 section 6).
    let as4 = as4.iter().flat_map(AsPath::segments).filter(|segment| !is_confederation(segment.kind));
    for segment in as4 {
        push_segment(to, &mut last, &segment, usize::MAX);
    }
    let length = to.len() - body;
    if let Ok(short) = u8::try_from(length) {
        to.drain(start + 3..body);
        if let Some([flags, _, length]) = to.get_mut(start..start + 3) {
            *flags &= !EXTENDED_LENGTH;
            *length = short;
        }
    } else if let (Ok(length), Some(place)) = (u16::try_from(length), to.get_mut(start + 2..body)) {
        place.copy_from_slice(&length.to_be_bytes());
    } else {
        to.truncate(start);
    }
}

const fn is_confederation(kind: SegmentKind) -> bool {
    matches!(kind, SegmentKind::ConfedSequence | SegmentKind::ConfedSet)
}

/// Appends up to `hops` hops of a segment, to the sequence before it if it is one too. Returns the hops taken.
fn push_segment(
    to: &mut Vec<u8>,
    last: &mut Option<(usize, SegmentKind)>,
    segment: &Segment<'_>,
    hops: usize,
) -> usize {
    let kind = segment.kind;
    let taken = if kind == SegmentKind::Sequence { segment.len().min(hops) } else { segment.len() };
    let before = last.filter(|(_, before)| *before == kind && kind == SegmentKind::Sequence);
    let count = before.and_then(|(at, _)| to.get(at + 1)).map_or(0, |count| usize::from(*count));
    match before {
        Some((at, _)) if count + taken <= MAX_SEGMENT => set_count(to, at, count + taken),
        _ => {
            let at = to.len();
            *last = Some((at, kind));
            let number = match kind {
                SegmentKind::Set => 1,
                SegmentKind::Sequence => 2,
                SegmentKind::ConfedSequence => 3,
                SegmentKind::ConfedSet => 4,
            };
            to.extend_from_slice(&[number, 0]);
            set_count(to, at, taken);
        }
    }
    for number in segment.numbers().take(taken) {
        to.extend_from_slice(&number.to_be_bytes());
    }
    match kind {
        SegmentKind::Sequence => taken,
        SegmentKind::Set => 1,
        SegmentKind::ConfedSequence | SegmentKind::ConfedSet => 0,
    }
}

fn set_count(to: &mut [u8], segment: usize, count: usize) {
    if let Some(place) = to.get_mut(segment + 1) {
        *place = u8::try_from(count).unwrap_or(u8::MAX);
    }
}

/// Appends an aggregator with a 2-octet AS as one with 4, out of `AS4_AGGREGATOR` where it stands for one (RFC 6793
/// section 4.2.3).
fn push_aggregator(to: &mut Vec<u8>, attribute: &Attribute<'_>, update: &Update<'_>) {
    let Some(([a, b], address)) = attribute.value.rest().split_first_chunk() else { return };
    let short = u32::from(u16::from_be_bytes([*a, *b]));
    let wide = find(update, code::AS4_AGGREGATOR).map(|as4| as4.value.rest()).filter(|as4| as4.len() == 8);
    match wide {
        Some(wide) if short == AS_TRANS => push(to, attribute, &[wide]),
        _ => push(to, attribute, &[&short.to_be_bytes(), address]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Cursor;

    /// An UPDATE with these attributes and one NLRI.
    fn canonical(attributes: &[u8], width: AsWidth, routes: For) -> Vec<u8> {
        let mut body = vec![0, 0];
        body.extend(u16::try_from(attributes.len()).unwrap().to_be_bytes());
        body.extend(attributes);
        body.extend([8, 10]);
        let mut out = Vec::new();
        write(&Update::parse(Cursor::new(&body)), width, routes, &mut out);
        out
    }

    #[test]
    fn two_octet_paths_become_wide() {
        let path = [0x40, 2, 6, 2, 2, 0xfd, 0xe8, 0xfd, 0xe9];
        assert_eq!(
            canonical(&path, AsWidth::Two, For::Field),
            [0x40, 2, 10, 2, 2, 0, 0, 0xfd, 0xe8, 0, 0, 0xfd, 0xe9]
        );
    }

    //= RFC 6793 section 4.2.3
    //# When a NEW BGP speaker receives an update from an OLD BGP speaker, it MUST be prepared to receive the
    //# AS4_PATH attribute along with the existing AS_PATH attribute.
    //= RFC 6793 section 4.2.3
    //# If the number of AS numbers in the AS_PATH attribute is less than the number of AS numbers in the
    //# AS4_PATH attribute, then the AS4_PATH attribute SHALL be ignored, and the AS_PATH attribute SHALL be
    //# taken as the AS path information.
    //= RFC 6793 section 4.2.3
    //# If the number of AS numbers in the AS_PATH attribute is larger than or equal to the number of AS
    //# numbers in the AS4_PATH attribute, then the AS path information SHALL be constructed by taking as many
    //# AS numbers and path segments as necessary from the leading part of the AS_PATH attribute, and then
    //# prepending them to the AS4_PATH attribute so that the AS path information has a number of AS numbers
    //# identical to that of the AS_PATH attribute.
    #[test]
    fn as4_path_is_merged_behind_the_leading_numbers() {
        // RFC 6793 4.2.3: AS_PATH 65000 23456 23456, AS4_PATH 70000 80000.
        let attributes = [
            0x40, 2, 8, 2, 3, 0xfd, 0xe8, 0x5b, 0xa0, 0x5b, 0xa0, //
            0xc0, 17, 10, 2, 2, 0, 1, 0x11, 0x70, 0, 1, 0x38, 0x80,
        ];
        assert_eq!(
            canonical(&attributes, AsWidth::Two, For::Field),
            [0x40, 2, 14, 2, 3, 0, 0, 0xfd, 0xe8, 0, 1, 0x11, 0x70, 0, 1, 0x38, 0x80]
        );
        // Longer than AS_PATH: ignored.
        let mut longer = vec![0x40, 2, 4, 2, 1, 0x5b, 0xa0];
        longer.extend(&attributes[11..]);
        assert_eq!(canonical(&longer, AsWidth::Two, For::Field), [0x40, 2, 6, 2, 1, 0, 0, 0x5b, 0xa0]);
    }

    //= RFC 6793 section 4.2.3
    //# the AS4_AGGREGATOR attribute and the AS4_PATH attribute SHALL be ignored,
    //= RFC 6793 section 4.2.3
    //# the AGGREGATOR attribute SHALL be taken as the information about the aggregating node, and
    //= RFC 6793 section 4.2.3
    //# the AS_PATH attribute SHALL be taken as the AS path information.
    #[test]
    fn as4_path_is_out_of_date_behind_an_aggregator_that_does_not_know_it() {
        let attributes = [
            0x40, 2, 4, 2, 1, 0x5b, 0xa0, //
            0xc0, 7, 6, 0xfd, 0xe8, 192, 0, 2, 1, // AGGREGATOR 65000
            0xc0, 17, 6, 2, 1, 0, 1, 0x11, 0x70, //
            0xc0, 18, 8, 0, 1, 0x11, 0x70, 192, 0, 2, 9,
        ];
        assert_eq!(
            canonical(&attributes, AsWidth::Two, For::Field),
            [0x40, 2, 6, 2, 1, 0, 0, 0x5b, 0xa0, 0xc0, 7, 8, 0, 0, 0xfd, 0xe8, 192, 0, 2, 1]
        );
    }

    //= RFC 6793 section 4.2.3
    //# Note that a valid AS_CONFED_SEQUENCE or AS_CONFED_SET path segment SHALL be prepended if it is either
    //# the leading path segment or is adjacent to a path segment that is prepended.
    //= RFC 6793 section 6
    //# A NEW BGP speaker that receives these path segment types in the AS4_PATH attribute of an UPDATE
    //# message from an OLD BGP speaker MUST discard these path segments, adjust the relevant attribute fields
    //# accordingly, and continue processing the UPDATE message.
    #[test]
    fn confederations_stay_where_as_path_has_them() {
        // AS_PATH (64512) 65000 23456, AS4_PATH (64513) 70000: the confederation of AS4_PATH goes.
        let attributes = [
            0x40, 2, 10, 3, 1, 0xfc, 0x00, 2, 2, 0xfd, 0xe8, 0x5b, 0xa0, //
            0xc0, 17, 12, 3, 1, 0, 0, 0xfc, 0x01, 2, 1, 0, 1, 0x11, 0x70,
        ];
        assert_eq!(
            canonical(&attributes, AsWidth::Two, For::Field),
            [0x40, 2, 16, 3, 1, 0, 0, 0xfc, 0, 2, 2, 0, 0, 0xfd, 0xe8, 0, 1, 0x11, 0x70]
        );
        // Leading ones stay although no number of AS_PATH is taken.
        let attributes = [
            0x40, 2, 8, 3, 1, 0xfc, 0x00, 2, 1, 0x5b, 0xa0, //
            0xc0, 17, 6, 2, 1, 0, 1, 0x11, 0x70,
        ];
        assert_eq!(
            canonical(&attributes, AsWidth::Two, For::Field),
            [0x40, 2, 12, 3, 1, 0, 0, 0xfc, 0, 2, 1, 0, 1, 0x11, 0x70]
        );
    }

    //= RFC 6793 section 4.1
    //# A NEW BGP speaker that receives the AS4_PATH attribute or the AS4_AGGREGATOR attribute in an UPDATE
    //# message from another NEW BGP speaker MUST discard the path attribute and continue processing the
    //# UPDATE message.
    #[test]
    fn between_speakers_of_four_octets_as4_attributes_mean_nothing() {
        let attributes = [
            0x40, 2, 6, 2, 1, 0, 0, 0x5b, 0xa0, //
            0xc0, 17, 6, 2, 1, 0, 1, 0x11, 0x70, //
            0xc0, 18, 8, 0, 1, 0x11, 0x70, 192, 0, 2, 9,
        ];
        assert_eq!(canonical(&attributes, AsWidth::Four, For::Field), &attributes[..9]);
    }

    //= RFC 6793 section 6
    //# A NEW BGP speaker that receives a malformed AS4_PATH attribute in an UPDATE message from an OLD BGP
    //# speaker MUST discard the attribute and continue processing the UPDATE message.
    //= RFC 6793 section 6
    //# A NEW BGP speaker that receives a malformed AS4_AGGREGATOR attribute in an UPDATE message from an OLD
    //# BGP speaker MUST discard the attribute and continue processing the UPDATE message.
    #[test]
    fn malformed_as4_attributes_leave_the_others() {
        let attributes = [
            0x40, 2, 4, 2, 1, 0x5b, 0xa0, //
            0xc0, 7, 6, 0x5b, 0xa0, 192, 0, 2, 1, //
            0xc0, 17, 4, 2, 9, 0, 1, //
            0xc0, 18, 2, 0, 1,
        ];
        assert_eq!(
            canonical(&attributes, AsWidth::Two, For::Field),
            [0x40, 2, 6, 2, 1, 0, 0, 0x5b, 0xa0, 0xc0, 7, 8, 0, 0, 0x5b, 0xa0, 192, 0, 2, 1]
        );
    }

    //= RFC 6793 section 4.2.3
    //# A NEW BGP speaker MUST also be prepared to receive the AS4_AGGREGATOR attribute along with the
    //# AGGREGATOR attribute from an OLD BGP speaker.
    //= RFC 6793 section 4.2.3
    //# the AGGREGATOR attribute SHALL be ignored,
    //= RFC 6793 section 4.2.3
    //# the AS4_AGGREGATOR attribute SHALL be taken as the information about the aggregating node, and
    #[test]
    fn the_aggregator_becomes_wide_too() {
        let attributes = [
            0xc0, 7, 6, 0x5b, 0xa0, 192, 0, 2, 1, //
            0xc0, 18, 8, 0, 1, 0x11, 0x70, 192, 0, 2, 1,
        ];
        assert_eq!(
            canonical(&attributes, AsWidth::Two, For::Field),
            [0xc0, 7, 8, 0, 1, 0x11, 0x70, 192, 0, 2, 1]
        );
    }

    //= RFC 4760 section 3
    //# If such a message contains the NEXT_HOP attribute, the BGP speaker that receives the message SHOULD
    //# ignore this attribute.
    #[test]
    fn each_kind_of_routes_has_its_own_next_hop() {
        let attributes = [
            0x40, 3, 4, 192, 0, 2, 1, // NEXT_HOP
            0x90, 14, 0, 15, 0, 1, 4, 4, 192, 0, 2, 9, 0, 32, 0, 1, 1, 10,
            0, // MP_REACH IPv4 labeled 10.0.0.0/8
            0x80, 15, 3, 0, 1, 4, // MP_UNREACH
        ];
        assert_eq!(canonical(&attributes, AsWidth::Four, For::Field), [0x40, 3, 4, 192, 0, 2, 1]);
        assert_eq!(
            canonical(&attributes, AsWidth::Four, For::Multiprotocol(Family::IPV4_LABELED)),
            [0x80, 14, 9, 0, 1, 4, 4, 192, 0, 2, 9, 0]
        );
    }
}
