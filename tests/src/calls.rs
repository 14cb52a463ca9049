//! The kernel's system calls by name.

/// The numbers of the calls, as the programs under test know them.
const CALLS: &str = include_str!("../../crates/nscore/seccomp/calls");

/// The number of a call, named as in the kernel's tables, by one of the gates of
/// this architecture: native, i386 or x32. None where the gate is not or lacks it.
///
/// # Panics
/// When no call has this name.
#[must_use]
pub fn call_number(gate: &str, name: &str) -> Option<u32> {
    let column = match (std::env::consts::ARCH, gate) {
        ("x86_64", "native" | "x32") => 1,
        ("x86_64", "i386") => 2,
        ("aarch64", "native") => 3,
        _ => return None,
    };
    let mut lines = CALLS.lines();
    let line = lines.find(|line| line.split_whitespace().next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("no call is named {name}"));
    line.split_whitespace().nth(column)?.parse().ok()
}
