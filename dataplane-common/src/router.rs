//! From a router's 16 octets to its bucket, and from (row, slot) to a map entry.
//!
//! In: the octets that stand for a router (its source address, IPv4 mapped, or the address that an alias
//! names) and a secret key. Out: 64 bits of which 0-11 choose the bucket and 32-43 a box. Never reads a
//! table: bucket to slot is the steering table's word.

use core::net::IpAddr;

use crate::walk::mapped;

/// Slots that one host can name; the fixed stride of map indexes, so a change of N re-indexes nothing.
pub const MAX_SLOTS: u32 = 64;
/// Buckets that routers are spread over.
pub const BUCKETS: u32 = 4096;

/// The 16 octets that maps and hash know an address by: IPv4 mapped, IPv6 as it is.
#[must_use]
pub const fn octets_of(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => mapped(address.octets()),
        IpAddr::V6(address) => address.octets(),
    }
}

/// The address of 16 octets: [`octets_of`] back, a mapped one as IPv4.
#[must_use]
pub const fn address_of(octets: [u8; 16]) -> IpAddr {
    IpAddr::V6(core::net::Ipv6Addr::from_octets(octets)).to_canonical()
}

/// SipHash-1-3 of the router's octets under `key`, the value that `siphasher::sip::SipHasher13` gives.
///
/// Keyed, so nobody without the key can choose addresses that fall on one slot; 1-3 rounds because the
/// result is never shown and the table is small.
#[must_use]
#[inline(always)]
pub fn router_hash(router: [u8; 16], key: [u8; 16]) -> u64 {
    let [k0, k1] = words(key);
    let [m0, m1] = words(router);
    let mut state = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    absorb(&mut state, m0);
    absorb(&mut state, m1);
    absorb(&mut state, 16 << 56); // The last block carries the length of the message, 16 octets.
    state[2] ^= 0xff;
    round(&mut state);
    round(&mut state);
    round(&mut state);
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

/// The bucket of a hash: bits 0-11.
#[must_use]
#[inline(always)]
pub const fn bucket(hash: u64) -> u32 {
    (hash as u32) & (BUCKETS - 1)
}

/// The part of a hash kept for choosing among several boxes: bits 32-43, independent of the bucket.
#[must_use]
#[inline(always)]
pub const fn box_share(hash: u64) -> u32 {
    ((hash >> 32) as u32) & 0xfff
}

/// Index of (row, slot) in the map of rings, the array of sockets and the counters beside them.
///
/// A row is a (device, RX queue) for rings and a bound (protocol, address, port) for sockets.
#[must_use]
#[inline(always)]
pub const fn entry(row: u32, slot: u32) -> u32 {
    row.wrapping_mul(MAX_SLOTS).wrapping_add(slot)
}

#[inline(always)]
fn words(octets: [u8; 16]) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
    [u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes([i, j, k, l, m, n, o, p])]
}

#[inline(always)]
fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    state[0] ^= word;
}

/// SipRound, as in "SipHash: a fast short-input PRF", section 2.
#[inline(always)]
fn round(state: &mut [u64; 4]) {
    let [mut v0, mut v1, mut v2, mut v3] = *state;
    v0 = v0.wrapping_add(v1);
    v1 = v1.rotate_left(13) ^ v0;
    v0 = v0.rotate_left(32);
    v2 = v2.wrapping_add(v3);
    v3 = v3.rotate_left(16) ^ v2;
    v0 = v0.wrapping_add(v3);
    v3 = v3.rotate_left(21) ^ v0;
    v2 = v2.wrapping_add(v1);
    v1 = v1.rotate_left(17) ^ v2;
    v2 = v2.rotate_left(32);
    *state = [v0, v1, v2, v3];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn box_and_bucket_share_no_bit() {
        assert_eq!((bucket(0xfff), box_share(0xfff)), (0xfff, 0));
        assert_eq!((bucket(0xfff << 32), box_share(0xfff << 32)), (0, 0xfff));
        assert_eq!((bucket(!0), box_share(!0)), (0xfff, 0xfff));
    }

    #[test]
    fn addresses_come_back() {
        for text in ["192.0.2.1", "0.0.0.0", "2001:db8::1", "::", "::1"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(address_of(octets_of(address)), address);
        }
    }

    #[test]
    fn rows_do_not_overlap() {
        assert_eq!(entry(0, MAX_SLOTS - 1) + 1, entry(1, 0));
    }
}
