//! What is mounted where, as the kernel tells it in proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::proc::namespaces::is_user_initial;
use crate::proc::{self, Untold};

/// A mount of our mount namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mounted {
    /// What of its file system is shown.
    pub(crate) root: PathBuf,
    /// Where, from our root directory on.
    pub(crate) point: PathBuf,
    /// The type of its file system.
    pub(crate) kind: String,
}

/// All of them, the earlier ones first.
pub(crate) fn mounts() -> Result<Vec<Mounted>, Untold> {
    const FILE: &str = "/proc/self/mountinfo";
    let text = proc::bytes(FILE).map_err(|error| Untold::reading(FILE, error))?;
    Ok(parse(&text).collect())
}

/// Each place once: of two on one place the later covers the earlier.
pub(crate) fn uppermost() -> Result<Vec<Mounted>, Untold> {
    let mut found: Vec<Mounted> = Vec::new();
    for mount in mounts()? {
        found.retain(|other| other.point != mount.point);
        found.push(mount);
    }
    Ok(found)
}

/// Whether the kernel lets a user namespace mount a sysfs of its own here: where one is
/// that shows all of it. What the kernel itself has mounted there covers empty
/// directories alone. "mount too revealing" is what
/// it says otherwise, in fs/namespace.c.
pub(crate) fn shows_whole_sysfs() -> Result<bool, Untold> {
    // On a machine itself, where nobody has made it read-only, it is.
    let writable = statvfs("/sys").is_ok_and(|sys| !sys.flags().contains(FsFlags::ST_RDONLY));
    if writable && is_user_initial() {
        return Ok(true);
    }
    let mounts = uppermost()?;
    let whole = mounts
        .iter()
        .rfind(|mount| mount.kind == "sysfs" && mount.root == Path::new("/"));
    Ok(whole.is_some_and(|sysfs| {
        let below = mounts.iter().filter_map(|mount| {
            let at = mount.point.strip_prefix(&sysfs.point).ok()?;
            (!at.as_os_str().is_empty()).then_some((at, mount.kind.as_str()))
        });
        // A file of ours over one of its own, or an empty directory over a full one.
        let hides = |(at, kind): (&Path, &str)| {
            ["tmpfs", "devtmpfs"].contains(&kind) && !at.starts_with("fs/cgroup")
        };
        !below.into_iter().any(hides)
    }))
}

/// Where something is mounted, but on `/`.
pub(crate) fn mount_points() -> Result<Vec<PathBuf>, Untold> {
    let points = uppermost()?.into_iter().map(|mount| mount.point);
    Ok(points.filter(|point| point != Path::new("/")).collect())
}

/// Whether one of these is below the directory.
pub(crate) fn is_above(dir: &Path, mounted: &[PathBuf]) -> bool {
    mounted.iter().any(|at| at.starts_with(dir) && at != dir)
}

/// The mounts of a text. A line that is none says nothing.
pub(crate) fn parse(text: &[u8]) -> impl Iterator<Item = Mounted> {
    text.split(|byte| *byte == b'\n').filter_map(mount)
}

fn mount(line: &[u8]) -> Option<Mounted> {
    let path = |field: &[u8]| PathBuf::from(OsString::from_vec(unescape(field)));
    let mut fields = line.split(|byte| *byte == b' ').skip(3);
    let (root, point) = (path(fields.next()?), path(fields.next()?));
    // The options end with a hyphen by itself.
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    let kind = String::from_utf8_lossy(kind).into_owned();
    Some(Mounted { root, point, kind })
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

    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn reads_what_is_a_mount() {
        let text = b"\
36 35 98:0 /a\\134b /r/a\\040b rw,noatime shared:1 master:2 - fuse.x\\040y /dev/root rw
\n36 35 98:0 / /cut rw
37 35 0:5 / /\xff rw - tmpfs - rw
";
        let found: Vec<_> = parse(text).collect();
        let [one, other] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(one.root, Path::new("/a\\b"));
        assert_eq!(one.point, Path::new("/r/a b"));
        assert_eq!(one.kind, "fuse.x\\040y");
        assert_eq!(other.point, Path::new(OsStr::from_bytes(b"/\xff")));
        assert_eq!(other.kind, "tmpfs");
    }

    #[test]
    fn above_is_not_at() {
        let mounted = ["/a/b".into(), "/c".into()];
        assert!(is_above(Path::new("/"), &mounted) && is_above(Path::new("/a"), &mounted));
        for dir in ["/a/b", "/a/bc", "/c/d", "/x"] {
            assert!(!is_above(Path::new(dir), &mounted), "{dir}");
        }
    }

    #[test]
    fn finds_what_is_mounted_here() {
        let proc = mounts()
            .unwrap()
            .into_iter()
            .rfind(|m| m.point == Path::new("/proc"));
        assert_eq!(proc.unwrap().kind, "proc");
        let points = mount_points().unwrap();
        assert!(!points.contains(&"/".into()));
        assert_eq!(
            points.iter().filter(|p| **p == Path::new("/proc")).count(),
            1
        );
    }
}
