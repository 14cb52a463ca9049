//! Advice about the root file system, the host's and the container's.

use crate::error::hint::advice::{Advice, explained, hint};
use crate::error::hint::facts::Facts;

pub(super) fn masked(facts: &Facts) -> Option<Advice> {
    let path = facts.masked.as_ref()?;
    explained(
        "part of it is hidden here",
        format!("{path} is mounted over, and a new one would reveal it: unmount that outside"),
    )
}

pub(super) fn not_real(_: &Facts) -> Option<Advice> {
    explained(
        "not a directory",
        "the root's /dev, /proc and /sys must be real directories, not links",
    )
}

pub(super) fn read_only(_: &Facts) -> Option<Advice> {
    hint("the root file system is read-only: make the directory there first, or use -x")
}

pub(super) fn not_writable(_: &Facts) -> Option<Advice> {
    hint("it is missing and the container's root may not write there: make it first")
}

pub(super) fn initramfs(facts: &Facts) -> Option<Advice> {
    if !facts.initramfs {
        return None;
    }
    hint("the host runs from its initial ramfs: switch_root to a tmpfs first")
}

pub(super) fn no_binfmt(_: &Facts) -> Option<Advice> {
    hint("this kernel has no binfmt_misc, or cannot load its module")
}

pub(super) fn emulator_denied(_: &Facts) -> Option<Advice> {
    hint("the container's root has to reach it and execute it, with the rights it has on the host")
}
