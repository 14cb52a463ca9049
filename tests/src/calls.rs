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
    let column = column(gate)?;
    let mut lines = CALLS.lines();
    let line = lines.find(|line| line.split_whitespace().next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("no call is named {name}"));
    line.split_whitespace().nth(column)?.parse().ok()
}

/// The names of the native calls, in the places of their numbers.
#[must_use]
pub fn call_names() -> Vec<&'static str> {
    let column = column("native").unwrap_or(usize::MAX);
    let mut names = Vec::new();
    for line in CALLS.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<_> = line.split_whitespace().collect();
        let number: Option<usize> = words.get(column).and_then(|word| word.parse().ok());
        if let Some(number) = number {
            names.resize(names.len().max(number + 1), "");
            names[number] = words[0];
        }
    }
    names
}

/// Where the table has the numbers of a gate.
fn column(gate: &str) -> Option<usize> {
    match (std::env::consts::ARCH, gate) {
        ("x86_64", "native" | "x32") => Some(1),
        ("x86_64", "i386") => Some(2),
        ("aarch64", "native") => Some(3),
        _ => None,
    }
}
