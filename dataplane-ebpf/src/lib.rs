//! Empty: gives control/build.rs a target to depend on.
#![no_std]
