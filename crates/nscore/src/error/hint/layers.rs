//! Advice about binds, overlays and idmapped mounts: mostly, how old a kernel is.

use crate::error::hint::advice::{Advice, explained, hint};
use crate::error::hint::facts::Facts;

/// What is newer than this kernel.
fn needs(facts: &Facts, what: &str, since: (u32, u32)) -> Option<Advice> {
    let (major, minor) = facts.kernel.filter(|kernel| *kernel < since)?;
    explained(
        &format!("{what} Linux {}.{}", since.0, since.1),
        format!("this is Linux {major}.{minor}"),
    )
}

pub(super) fn idmap_old(facts: &Facts) -> Option<Advice> {
    needs(facts, "idmapped mounts need", (5, 12))
}

pub(super) fn idmap_unfit(facts: &Facts) -> Option<Advice> {
    let (major, minor) = facts.kernel?;
    idmap_old(facts).or_else(|| {
        explained(
            "its file system cannot show other ids",
            format!(
                "ext4 and xfs can since Linux 5.12, btrfs since 5.15, tmpfs since 6.3; \
                 this is Linux {major}.{minor}"
            ),
        )
    })
}

pub(super) fn overlay_old(facts: &Facts) -> Option<Advice> {
    needs(facts, "overlays in a user namespace need", (5, 11))
}

pub(super) fn overlay_unfit(facts: &Facts) -> Option<Advice> {
    facts.kernel?;
    overlay_old(facts)
        .or_else(|| {
            let idmapped = facts.root;
            idmapped.then(|| needs(facts, "overlays of idmapped mounts need", (5, 19)))?
        })
        .or_else(|| {
            let inside = "this is inside an overlay already: start it from outside, or with a DIR \
                          on another file system";
            let stacked = || explained("overlays can be stacked only twice", inside);
            facts.on_overlay.then(stacked)?
        })
        .or_else(|| {
            explained(
                "a file system cannot be a layer of it",
                "changes can go to memory (-x), ext4, xfs or btrfs, but not to nfs, vfat, FUSE or \
                 another overlay",
            )
        })
}

pub(super) fn overlay_missing(_: &Facts) -> Option<Advice> {
    explained(
        "this kernel has no overlay file system",
        "modprobe overlay as root, or use a kernel with CONFIG_OVERLAY_FS",
    )
}

pub(super) fn overlay_denied(_: &Facts) -> Option<Advice> {
    hint("the upper directory must belong to the container's root: see the maps (--explain)")
}

pub(super) fn layer_denied(_: &Facts) -> Option<Advice> {
    hint(
        "the container's root must be able to enter that directory, and own the upper one: \
         see the maps (--explain)",
    )
}

pub(super) fn lower_denied(_: &Facts) -> Option<Advice> {
    hint(
        "the container's root may not enter that directory: chmod o+rx it, or map its owner \
         (--explain)",
    )
}

pub(super) fn read_only_old(facts: &Facts) -> Option<Advice> {
    needs(facts, "mounts with rules of their own need", (5, 12))
}

pub(super) fn dangling(_: &Facts) -> Option<Advice> {
    explained(
        "a link in the root leads nowhere",
        "make what it names, or name another place",
    )
}

pub(super) fn not_theirs(facts: &Facts) -> Option<Advice> {
    if !facts.fuse {
        return None;
    }
    hint(
        "a FUSE file system is open to the user who mounted it alone, and the container's root is \
         another here: mount it with allow_other, or start without -u keep",
    )
}

pub(super) fn unlike(_: &Facts) -> Option<Advice> {
    explained(
        "only one of the two is a directory",
        "a directory can be shown on a directory, and a file on a file",
    )
}
