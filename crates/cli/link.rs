//! The build script of the three programs. Each start relocates a program that is
//! loaded at a random address, and packed relative relocations make that a tenth of
//! what it reads: 3 % of a whole `inject`. A C library before 2.36 would start such
//! a static program without relocating it, so this is for one that is linked with
//! this machine's.

use std::env;
use std::process::Command;

/// The first glibc that knows DT_RELR.
const FIRST: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=../crates/cli/link.rs");
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let is_static = features.split(',').any(|feature| feature == "crt-static");
    // Another linker may well link another C library.
    let native =
        env::var("TARGET").ok() == env::var("HOST").ok() && env::var_os("RUSTC_LINKER").is_none();
    if is_static && native && glibc().is_some_and(|version| version >= FIRST) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's glibc, from `glibc 2.36`.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
