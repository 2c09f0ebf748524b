//! Frames that the kernel lost after the program had ended them well: what its tracepoints say.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Per-CPU hash: [`Lost`] -> frames (u64).
pub const LOST: &str = "LOST";
/// Ways of losing frames that are told apart at most; a full table counts no further ones.
pub const MAX_LOST: u32 = 1_024;

/// Tracepoints that are read, by [`Lost::point`]: name of the program, name of the tracepoint in `xdp`, word for reports.
pub const POINTS: [(&str, &str, &str); 3] = [
    ("millrace_redirect", "xdp_redirect_err", "redirect"),
    ("millrace_transmit", "xdp_devmap_xmit", "transmit"),
    ("millrace_exception", "xdp_exception", "exception"),
];
/// A redirect was refused.
pub const REDIRECT: u32 = 0;
/// A port did not send frames that were redirected to it.
pub const TRANSMIT: u32 = 1;
/// The program ended with an action that the driver could not carry out.
pub const EXCEPTION: u32 = 2;

/// Key of [`LOST`]: where frames were lost, and why.
#[derive(
    FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord,
)]
#[repr(C)]
pub struct Lost {
    /// [`REDIRECT`], [`TRANSMIT`] or [`EXCEPTION`].
    pub point: u32,
    /// Id of the XDP program; 0: the tracepoint does not tell.
    pub program: u32,
    /// Interface index of the device that the frame arrived on.
    pub device: u32,
    /// Interface index or key that it was redirected to.
    pub to: u32,
    /// `errno`; of an exception the action (`enum xdp_action`).
    pub error: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_no_padding() {
        assert_eq!(size_of::<Lost>(), 20);
    }
}
