//! What each side read in, one number out: equal numbers say that all sides read the same.

/// Sums over the values of one message or one whole input, independent of the order in which a side reads them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u64);

impl Digest {
    /// Notes one value of the kind `tag`.
    #[inline]
    pub fn note(&mut self, tag: u8, value: u64) {
        let mixed = (value ^ (u64::from(tag) << 56)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = self.0.wrapping_add(mixed ^ (mixed >> 32));
    }

    /// Notes a value of 128 bits.
    #[inline]
    pub fn note_wide(&mut self, tag: u8, value: u128) {
        #[expect(clippy::cast_possible_truncation, reason = "both halves are noted")]
        let (high, low) = ((value >> 64) as u64, value as u64);
        self.note(tag, high ^ low.rotate_left(29));
    }

    /// Adds what another one noted of the same message.
    #[inline]
    pub const fn merge(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    /// Closes a message: what it held stays told apart from what others did.
    #[inline]
    pub fn close(&mut self, message: Self) {
        self.0 = (self.0.rotate_left(5) ^ message.0).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(messages: &[&[(u8, u64)]]) -> Digest {
        let mut all = Digest::default();
        for message in messages {
            let mut one = Digest::default();
            message.iter().for_each(|&(tag, value)| one.note(tag, value));
            all.close(one);
        }
        all
    }

    #[test]
    fn order_counts_among_messages_and_not_within() {
        assert_eq!(of(&[&[(1, 5), (2, 6)]]), of(&[&[(2, 6), (1, 5)]]));
        assert_ne!(of(&[&[(1, 5)], &[(2, 6)]]), of(&[&[(2, 6)], &[(1, 5)]]));
        assert_ne!(of(&[&[(1, 5), (2, 6)]]), of(&[&[(1, 6), (2, 5)]]));
    }
}
