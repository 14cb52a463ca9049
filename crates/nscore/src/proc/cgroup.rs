//! The hierarchy of cgroup v2 as this process sees it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::proc;
use crate::proc::mountinfo::{self, Mounted};

/// Where the hierarchy is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// The mount point.
    pub(crate) top: PathBuf,
    /// What of the hierarchy is shown there, from the root of our cgroup
    /// namespace.
    shown: PathBuf,
}

impl Hierarchy {
    /// Finds it; None when it is mounted nowhere.
    pub(crate) fn find() -> Option<Hierarchy> {
        Hierarchy::of(mountinfo::mounts().ok()?)
    }

    /// The first mount of it.
    fn of(mounts: impl IntoIterator<Item = Mounted>) -> Option<Hierarchy> {
        let mut mounts = mounts.into_iter();
        let mount = mounts.find(|mount| mount.kind == "cgroup2")?;
        Some(Hierarchy {
            top: mount.point,
            shown: mount.root,
        })
    }

    /// The directory of a process's cgroup; None when it is not shown.
    pub(crate) fn dir_of(&self, pid: libc::pid_t) -> Option<PathBuf> {
        let text = proc::read(format!("/proc/{pid}/cgroup")).ok()?;
        self.dir(own(&text)?)
    }

    /// The directory of our own.
    pub(crate) fn own(&self) -> Option<PathBuf> {
        let text = proc::read("/proc/self/cgroup").ok()?;
        self.dir(own(&text)?)
    }

    fn dir(&self, path: &str) -> Option<PathBuf> {
        let below = Path::new(path).strip_prefix(&self.shown).ok()?;
        // Name by name: joined as it is, an empty path would add a slash.
        // Outside of our cgroup namespace; or removed, with a word behind it.
        let inside = !path.split('/').any(|part| part == "..");
        let dir: PathBuf = self.top.iter().chain(below).collect();
        (inside && dir.join("cgroup.procs").exists()).then_some(dir)
    }
}

/// The path in the line of cgroup v2, cgroups(7).
fn own(cgroups: &str) -> Option<&str> {
    cgroups.lines().find_map(|line| line.strip_prefix("0::"))
}

/// The words of a file of a cgroup; of one that cannot be read, none.
pub(crate) fn words(dir: &Path, file: &str) -> Vec<String> {
    let text = fs::read_to_string(dir.join(file)).unwrap_or_default();
    text.split_whitespace().map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::mountinfo;

    #[test]
    fn finds_the_mount_of_version_two() {
        let of = |text: &str| Hierarchy::of(mountinfo::parse(text.as_bytes()));
        let hybrid = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:7 master:2 - cgroup2 cgroup2 rw
";
        let tree = of(hybrid).unwrap();
        assert_eq!(tree.top, Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(tree.shown, Path::new("/"));
        assert_eq!(of("31 23 0:28 / /x rw - tmpfs cgroup2 rw"), None);
        let blank = of(r"41 31 0:38 /a\134b /mnt/c\040d rw - cgroup2 none rw").unwrap();
        assert_eq!(blank.top, Path::new("/mnt/c d"));
        assert_eq!(blank.shown, Path::new("/a\\b"));
        assert_eq!(own("1:cpu:/a\n0::/b c\n"), Some("/b c"));
        assert_eq!(own("1:cpu:/a\n"), None);
    }

    #[test]
    fn sees_nothing_above_its_namespace() {
        let tree = Hierarchy {
            top: "/".into(),
            shown: "/".into(),
        };
        assert_eq!(tree.dir("/../x"), None);
        assert_eq!(tree.dir("/no/such (deleted)"), None);
    }
}
