//! How the kernel's target is linked: memory of a known size is filled and copied by single stores in place. The default
//! keeps each such place whole for the kernel's compiler by a call of a loop over octets, which costs a packet more than
//! a look-up does.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|target| target == "bpf") {
        println!("cargo::rustc-link-arg-bins=--disable-expand-memcpy-in-order");
    }
}
