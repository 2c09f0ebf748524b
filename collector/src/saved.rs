//! A router as octets: versioned, so that it can move between workers and survive a restart.
