//! Builds the eBPF object from source and leaves it in `OUT_DIR/millrace-ebpf`, or says in one sentence
//! what to install.
//!
//! Two toolchains can build it, and the first that is there does: `debian` (Debian's rustc with its library
//! source, linked into rustup) or `nightly` with the component rust-src. Both need bpf-linker on the path.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use aya_build::{Package, Toolchain, build_ebpf};

/// Set for the second run of this script, which has RUSTC_BOOTSTRAP: a stable compiler builds `core` for the
/// kernel's target only with it, and a process cannot set its own environment safely.
const SECOND_RUN: &str = "MILLRACE_BUILD_EBPF_WITH";

fn main() -> ExitCode {
    let result = match std::env::var(SECOND_RUN) {
        Ok(toolchain) => build(&toolchain),
        Err(_) => choose().and_then(run_again),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            println!("cargo::error={sentence}");
            ExitCode::FAILURE
        }
    }
}

/// The rustup toolchain that can build for the kernel.
fn choose() -> Result<&'static str, String> {
    if !prints(Command::new("bpf-linker").arg("--version")) {
        return Err(
            "the eBPF programs need bpf-linker: run `vagrant/provision.sh`, or `cargo install bpf-linker`"
                .into(),
        );
    }
    ["debian", "nightly"].into_iter().find(|toolchain| has_library_source(toolchain)).ok_or_else(|| {
        "the eBPF programs need a compiler with its library source: run `vagrant/provision.sh` (Debian), or \
         `rustup toolchain install nightly --component rust-src`"
            .into()
    })
}

fn has_library_source(toolchain: &str) -> bool {
    let sysroot = Command::new("rustup").args(["run", toolchain, "rustc", "--print", "sysroot"]).output();
    sysroot.is_ok_and(|output| {
        let path = String::from_utf8_lossy(&output.stdout);
        output.status.success() && Path::new(path.trim()).join("lib/rustlib/src/rust/library/core").is_dir()
    })
}

fn prints(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn run_again(toolchain: &str) -> Result<(), String> {
    let itself = std::env::current_exe().map_err(|error| format!("cannot find the build script: {error}"))?;
    let output = Command::new(itself)
        .env(SECOND_RUN, toolchain)
        .env("RUSTC_BOOTSTRAP", "1")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run the build script again: {error}"))?;
    // aya-build repeats every line of the compiler as a warning; the lines of a good build are none.
    let said = String::from_utf8_lossy(&output.stdout);
    let progress =
        ["   Compiling", "  Downloaded", " Downloading", "    Updating", "    Finished", "    Blocking"];
    for line in said.lines() {
        let is_progress = line
            .strip_prefix("cargo:warning=")
            .is_some_and(|text| progress.iter().any(|start| text.starts_with(start)));
        if !(output.status.success() && is_progress) {
            println!("{line}");
        }
    }
    if output.status.success() { Ok(()) } else { Err("the eBPF programs did not build: see above".into()) }
}

fn build(toolchain: &str) -> Result<(), String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../dataplane-ebpf");
    println!("cargo:rerun-if-changed={}", concat!(env!("CARGO_MANIFEST_DIR"), "/../dataplane-common/src"));
    let package = Package { name: "dataplane-ebpf", root_dir: root, ..Package::default() };
    build_ebpf([package], Toolchain::Custom(toolchain))
        .map_err(|error| format!("the eBPF programs did not build with toolchain {toolchain}: {error:#}"))
}
