//! What is mounted below a directory, and which of it an overlay can show.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::proc::mountinfo;

/// Something mounted below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Submount {
    /// Below the root, without a slash in front.
    pub(super) at: PathBuf,
    pub(super) kind: String,
}

/// File systems of files. Any other is the kernel's own view of itself, or one
/// (vfat) that the kernel takes for no layer.
const FIT: [&str; 21] = [
    "9p", "bcachefs", "btrfs", "ceph", "erofs", "ext2", "ext3", "ext4", "f2fs", "fuse", "fuseblk",
    "iso9660", "jfs", "nfs", "nfs4", "ramfs", "squashfs", "tmpfs", "virtiofs", "xfs", "zfs",
];

/// Views of the kernel, whose absence nobody needs to be told of.
const KERNEL: [&str; 22] = [
    "autofs",
    "binder",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "resctrl",
    "rpc_pipefs",
    "securityfs",
    "sysfs",
    "tracefs",
];

/// The container's own, whatever the root has there.
const OWN: [&str; 3] = ["dev", "proc", "sys"];

impl Submount {
    /// None where it is not below `root`.
    fn of(mount: mountinfo::Mounted, root: &Path) -> Option<Submount> {
        let at = mount.point.strip_prefix(root).ok()?.to_path_buf();
        let kind = mount.kind;
        (!at.as_os_str().is_empty()).then_some(Submount { at, kind })
    }

    /// Whether it can be a lower layer.
    pub(super) fn is_fit(&self) -> bool {
        FIT.contains(&self.kind.as_str()) || self.is_overlay() || self.kind.starts_with("fuse.")
    }

    /// Can be a lower layer of one more overlay, but cannot be idmapped.
    pub(super) fn is_overlay(&self) -> bool {
        self.kind == "overlay"
    }

    pub(super) fn is_kernel(&self) -> bool {
        KERNEL.contains(&self.kind.as_str())
    }
}

/// Whether a container has its own mounts there.
pub(super) fn is_own(at: &Path) -> bool {
    OWN.iter().any(|own| at.starts_with(own))
}

/// The mounts below `root`, an absolute path without links, each place once.
pub(super) fn below(root: &Path) -> Result<Vec<Submount>> {
    let mounts = mountinfo::uppermost()?.into_iter();
    Ok(mounts
        .filter_map(|mount| Submount::of(mount, root))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::mountinfo;

    #[test]
    fn names_a_mount_from_the_root_on() {
        let of = |root: &str| {
            let mount = mountinfo::Mounted {
                root: "/".into(),
                point: "/r/a b".into(),
                kind: "ext4".into(),
            };
            Submount::of(mount, Path::new(root))
        };
        let mount = of("/r").unwrap();
        assert_eq!((mount.at, mount.kind.as_str()), ("a b".into(), "ext4"));
        for root in ["/r/a b", "/x", "/r/a b/c"] {
            assert_eq!(of(root), None, "{root}");
        }
        assert_eq!(of("/").unwrap().at, Path::new("r/a b"));
    }
}
