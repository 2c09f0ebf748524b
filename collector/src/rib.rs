//! The routes of one router: per VRF, longest prefix first, paths of peers and views.

/// The RIB of one router.
#[derive(Debug, Default)]
pub struct Rib {}
