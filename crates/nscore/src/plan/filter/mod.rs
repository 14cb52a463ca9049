//! The filters of system calls, compiled at build time from the lists in
//! `seccomp`. See seccomp(2).

// What the build script does, for architectures other than this one too.
#[cfg(test)]
#[path = "../../../build/calls.rs"]
mod calls;
#[cfg(test)]
mod tests;
#[cfg(test)]
#[path = "../../../build/tree.rs"]
mod tree;

use std::fmt;

use libc::sock_filter;

include!(concat!(env!("OUT_DIR"), "/programs.rs"));

/// A program that is compiled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Refuses what acts on the whole machine.
    Default,
    /// Allows what ordinary programs use.
    Strict,
}

impl Filter {
    /// Whether this architecture has a table of system calls. The programs look
    /// for the low halves of arguments where they come first.
    pub(crate) const AVAILABLE: bool = cfg!(all(
        target_endian = "little",
        any(
            target_arch = "x86_64",
            target_arch = "x86",
            target_arch = "aarch64",
            target_arch = "arm",
        )
    ));

    /// Its instructions.
    pub(crate) fn program(self) -> &'static [sock_filter] {
        match self {
            Filter::Default => &DEFAULT,
            Filter::Strict => &STRICT,
        }
    }

    /// The filter of this name.
    pub(crate) fn named(name: &str) -> Option<Filter> {
        let all = [Filter::Default, Filter::Strict];
        all.into_iter().find(|filter| filter.to_string() == name)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Filter::Default => "default",
            Filter::Strict => "strict",
        })
    }
}
