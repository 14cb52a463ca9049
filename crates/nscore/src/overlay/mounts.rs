//! What is mounted below a directory, and which of it an overlay can show.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Something mounted below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
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

impl Mount {
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
pub(super) fn below(root: &Path) -> Result<Vec<Mount>> {
    const FILE: &str = "/proc/self/mountinfo";
    let text = fs::read(FILE).map_err(|error| Error::io(format!("read {FILE}"), &error))?;
    let mut found: Vec<Mount> = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Some(mount) = parse(line, root) else {
            continue;
        };
        // Of two on one place the later covers the earlier.
        found.retain(|other| other.at != mount.at);
        found.push(mount);
    }
    Ok(found)
}

/// One line of proc_pid_mountinfo(5).
fn parse(line: &[u8], root: &Path) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let point = PathBuf::from(OsString::from_vec(unescape(fields.nth(4)?)));
    let mut after = fields.skip_while(|field| *field != b"-").skip(1);
    let kind = String::from_utf8_lossy(after.next()?).into_owned();
    let at = point.strip_prefix(root).ok()?.to_path_buf();
    (!at.as_os_str().is_empty()).then_some(Mount { at, kind })
}

/// Blanks, newlines and backslashes are octal there.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..3).filter(|_| *first == b'\\');
        let code = digits.and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 8).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                rest = &tail[3..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line() {
        let line = br"36 35 98:0 /mnt1 /r/a\040b rw,noatime master:1 - ext4 /dev/root rw";
        let mount = parse(line, Path::new("/r")).unwrap();
        assert_eq!((mount.at, mount.kind.as_str()), ("a b".into(), "ext4"));
        for root in ["/r/a b", "/x", "/r/a b/c"] {
            assert_eq!(parse(line, Path::new(root)), None, "{root}");
        }
        assert_eq!(parse(line, Path::new("/")).unwrap().at, Path::new("r/a b"));
        assert_eq!(parse(b"", Path::new("/")), None);
    }
}
