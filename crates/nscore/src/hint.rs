//! One table that turns an operation, an error number and what this machine is
//! into advice. A row speaks only when a checked fact supports it.

mod exhausted;
mod harden;
mod layers;
mod missing;

use std::fs;
use std::path::Path;

use nix::errno::Errno;

use crate::procfs;
use crate::sys::process;

/// The operations whose failures have causes that the error number hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Creating the namespaces of a container, clone(2) or unshare(2).
    Namespaces,
    /// Reading or writing uid_map or gid_map, user_namespaces(7).
    Map,
    /// Mounting a new file system.
    Mount,
    /// Creating a directory that the root file system lacks.
    MakeDirectory,
    /// Making a mount point that the root file system lacks.
    MakePoint,
    /// Attaching a bind.
    Attach,
    /// Making mounts read-only, mount_setattr(2).
    ReadOnly,
    /// Showing a directory with the container's ids, mount_setattr(2).
    Idmap,
    /// Cloning or attaching a layer of an overlay.
    Layer,
    /// Mounting an overlay.
    Overlay,
    /// pivot_root(2).
    Pivot,
    /// Installing a filter, seccomp(2).
    Filter,
    /// Making a process, fork(2).
    Process,
    /// Making a pseudo-terminal in a container.
    Terminal,
    /// setns(2) into another process's namespaces.
    Join,
    /// Making an interface of the host's network, rtnetlink(7).
    Network,
    /// Anything else: the error number tells enough.
    Other,
}

/// What a row has to say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Advice {
    /// Replaces a misleading error text.
    pub(crate) reason: Option<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

/// What was read of this machine after the failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Whether the caller's effective user id is 0.
    pub(crate) root: bool,
    /// The sysctls `user.max_NAME_namespaces` that are 0, with their names.
    pub(crate) no_namespaces: Vec<String>,
    /// `kernel.unprivileged_userns_clone`, Debian and Arch.
    pub(crate) unprivileged_userns_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, Ubuntu.
    pub(crate) apparmor_restrict: Option<u64>,
    /// The parameter `user_namespace.enable`, old enterprise kernels.
    pub(crate) user_namespace_enable: Option<bool>,
    /// The root of this mount namespace is not our root directory.
    pub(crate) chrooted: bool,
    /// The root directory is the initial ramfs.
    pub(crate) initramfs: bool,
    /// There is no /proc.
    pub(crate) no_proc: bool,
    /// A mount that covers a part of /proc or /sys.
    pub(crate) masked: Option<String>,
    /// The kernel does not list what filters can answer.
    pub(crate) no_filters: bool,
    /// The sysctls `kernel.pty.max` and `kernel.pty.reserve`.
    pub(crate) terminals: Option<(u64, u64)>,
    /// System calls that are not there.
    pub(crate) missing: Vec<missing::Call>,
    /// A filter of system calls is on this process.
    pub(crate) filtered: bool,
    /// The kernel's version.
    pub(crate) kernel: Option<(u32, u32)>,
}

impl Facts {
    /// Reads them now: a failure has all the time it wants.
    pub(crate) fn probe() -> Facts {
        let mounts = procfs::read("/proc/self/mountinfo").unwrap_or_default();
        let mounts: Vec<Vec<&str>> = mounts.lines().map(|l| l.split(' ').collect()).collect();
        let point = |mount: &Vec<&str>| mount.get(4).map(|p| (*p).to_string());
        let at_root: Vec<_> = mounts.iter().filter(|m| m.get(4) == Some(&"/")).collect();
        Facts {
            root: nix::unistd::geteuid().is_root(),
            no_namespaces: ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time"]
                .iter()
                .map(|name| format!("max_{name}_namespaces"))
                .filter(|name| number(&format!("/proc/sys/user/{name}")) == Some(0))
                .map(|name| format!("user.{name}"))
                .collect(),
            unprivileged_userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restrict: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            user_namespace_enable: fs::read_to_string(
                "/sys/module/user_namespace/parameters/enable",
            )
            .ok()
            .map(|text| text.starts_with('Y')),
            chrooted: !mounts.is_empty() && at_root.is_empty(),
            initramfs: at_root.iter().any(|m| m.contains(&"rootfs")),
            masked: mounts.iter().filter_map(point).find(|point| {
                let below = |top: &str| point.starts_with(top);
                below("/proc/") && !below("/proc/sys/fs/binfmt_misc") || below("/sys/firmware")
            }),
            no_proc: !Path::new("/proc/self").exists(),
            no_filters: !Path::new("/proc/sys/kernel/seccomp").exists(),
            terminals: number("/proc/sys/kernel/pty/max")
                .zip(number("/proc/sys/kernel/pty/reserve")),
            missing: missing::probe(),
            filtered: process::filtered(),
            kernel: kernel_version(),
        }
    }
}

/// The version of the kernel that runs.
pub(crate) fn kernel_version() -> Option<(u32, u32)> {
    let release = procfs::read("/proc/sys/kernel/osrelease").ok()?;
    version(&release)
}

/// The first two numbers of a release like 6.1.0-44-cloud-amd64.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(Path::new(path))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// A row: when it applies, and what it then says of the facts, if anything.
struct Row {
    op: Op,
    errno: Errno,
    advise: fn(&Facts) -> Option<Advice>,
}

fn hint(text: impl Into<String>) -> Option<Advice> {
    Some(Advice {
        reason: None,
        hint: Some(text.into()),
    })
}

fn explained(reason: &str, text: impl Into<String>) -> Option<Advice> {
    Some(Advice {
        reason: Some(reason.to_string()),
        hint: Some(text.into()),
    })
}

fn limit(facts: &Facts) -> Option<Advice> {
    match facts.no_namespaces.first() {
        Some(name) => explained(
            "a limit forbids it",
            format!("{name} is 0: sysctl -w {name}=10000 as root"),
        ),
        None => explained(
            "a limit on the number of namespaces is reached",
            "the sysctls user.max_*_namespaces set it, and no more than 32 may be nested",
        ),
    }
}

fn forbidden(facts: &Facts) -> Option<Advice> {
    if facts.chrooted {
        return hint("in a chroot the kernel allows no user namespace: pivot_root there instead");
    }
    if facts.unprivileged_userns_clone == Some(0) && !facts.root {
        return hint(
            "kernel.unprivileged_userns_clone is 0: sysctl -w kernel.unprivileged_userns_clone=1 as root",
        );
    }
    apparmor(facts)
}

fn apparmor(facts: &Facts) -> Option<Advice> {
    if facts.apparmor_restrict.is_some_and(|value| value != 0) && !facts.root {
        return hint(
            "kernel.apparmor_restrict_unprivileged_userns is 1: set it to 0, \
             or load an AppArmor profile that allows this program userns",
        );
    }
    None
}

fn disabled(facts: &Facts) -> Option<Advice> {
    match facts.user_namespace_enable {
        Some(false) => hint("boot with user_namespace.enable=1"),
        _ => None,
    }
}

fn masked(facts: &Facts) -> Option<Advice> {
    let path = facts.masked.as_ref()?;
    explained(
        "part of it is hidden here",
        format!("{path} is mounted over, and a new one would reveal it: unmount that outside"),
    )
}

fn not_real(_: &Facts) -> Option<Advice> {
    explained(
        "not a directory",
        "the root's /dev, /proc and /sys must be real directories, not links",
    )
}

fn read_only(_: &Facts) -> Option<Advice> {
    hint("the root file system is read-only: make the directory there first")
}

fn not_writable(_: &Facts) -> Option<Advice> {
    hint("it is missing and the container's root may not write there: make it first")
}

fn initramfs(facts: &Facts) -> Option<Advice> {
    if !facts.initramfs {
        return None;
    }
    hint("the host runs from its initial ramfs: switch_root to a tmpfs first")
}

fn no_proc(facts: &Facts) -> Option<Advice> {
    if !facts.no_proc {
        return None;
    }
    hint("/proc must be mounted")
}

fn map_forbidden(facts: &Facts) -> Option<Advice> {
    if facts.root {
        return hint("it needs CAP_SETUID and CAP_SETGID here, and ids that are mapped here");
    }
    apparmor(facts)
}

fn join_forbidden(facts: &Facts) -> Option<Advice> {
    if facts.root {
        return None;
    }
    hint("only root and the user who started a container can enter it")
}

fn network_forbidden(facts: &Facts) -> Option<Advice> {
    hint(if facts.root {
        "it needs CAP_NET_ADMIN here"
    } else {
        "only root can; --net pasta needs no privilege"
    })
}

/// Walked from the top; the first row that speaks wins.
const TABLE: &[Row] = &[
    Row {
        op: Op::Namespaces,
        errno: Errno::ENOSPC,
        advise: limit,
    },
    Row {
        op: Op::Namespaces,
        errno: Errno::EUSERS,
        advise: limit,
    },
    Row {
        op: Op::Namespaces,
        errno: Errno::EPERM,
        advise: forbidden,
    },
    Row {
        op: Op::Namespaces,
        errno: Errno::EACCES,
        advise: apparmor,
    },
    Row {
        op: Op::Namespaces,
        errno: Errno::EINVAL,
        advise: disabled,
    },
    Row {
        op: Op::Namespaces,
        errno: Errno::EAGAIN,
        advise: exhausted::processes,
    },
    Row {
        op: Op::Process,
        errno: Errno::EAGAIN,
        advise: exhausted::processes,
    },
    Row {
        op: Op::Terminal,
        errno: Errno::ENOSPC,
        advise: exhausted::terminals,
    },
    Row {
        op: Op::Map,
        errno: Errno::ENOENT,
        advise: no_proc,
    },
    Row {
        op: Op::Map,
        errno: Errno::EPERM,
        advise: map_forbidden,
    },
    Row {
        op: Op::Map,
        errno: Errno::EACCES,
        advise: apparmor,
    },
    Row {
        op: Op::Mount,
        errno: Errno::EPERM,
        advise: masked,
    },
    Row {
        op: Op::Mount,
        errno: Errno::ENOTDIR,
        advise: not_real,
    },
    Row {
        op: Op::MakeDirectory,
        errno: Errno::EROFS,
        advise: read_only,
    },
    Row {
        op: Op::MakeDirectory,
        errno: Errno::EACCES,
        advise: not_writable,
    },
    Row {
        op: Op::MakePoint,
        errno: Errno::EROFS,
        advise: read_only,
    },
    Row {
        op: Op::MakePoint,
        errno: Errno::EACCES,
        advise: not_writable,
    },
    Row {
        op: Op::MakePoint,
        errno: Errno::EEXIST,
        advise: layers::dangling,
    },
    Row {
        op: Op::Attach,
        errno: Errno::ENOTDIR,
        advise: layers::unlike,
    },
    Row {
        op: Op::Attach,
        errno: Errno::ENOSYS,
        advise: layers::read_only_old,
    },
    Row {
        op: Op::ReadOnly,
        errno: Errno::ENOSYS,
        advise: layers::read_only_old,
    },
    Row {
        op: Op::Idmap,
        errno: Errno::ENOSYS,
        advise: layers::idmap_old,
    },
    Row {
        op: Op::Idmap,
        errno: Errno::EINVAL,
        advise: layers::idmap_unfit,
    },
    Row {
        op: Op::Overlay,
        errno: Errno::EPERM,
        advise: layers::overlay_old,
    },
    Row {
        op: Op::Overlay,
        errno: Errno::EINVAL,
        advise: layers::overlay_unfit,
    },
    Row {
        op: Op::Overlay,
        errno: Errno::ENODEV,
        advise: layers::overlay_missing,
    },
    Row {
        op: Op::Overlay,
        errno: Errno::EACCES,
        advise: layers::overlay_denied,
    },
    Row {
        op: Op::Layer,
        errno: Errno::EACCES,
        advise: layers::overlay_denied,
    },
    Row {
        op: Op::Pivot,
        errno: Errno::EINVAL,
        advise: initramfs,
    },
    Row {
        op: Op::Network,
        errno: Errno::EPERM,
        advise: network_forbidden,
    },
    Row {
        op: Op::Filter,
        errno: Errno::EINVAL,
        advise: harden::no_filters,
    },
    Row {
        op: Op::Filter,
        errno: Errno::ENOSYS,
        advise: harden::no_filters,
    },
    Row {
        op: Op::Join,
        errno: Errno::EPERM,
        advise: join_forbidden,
    },
];

/// What the table says of this failure on this machine. Where it says nothing
/// of a system call that is not there, which call that is.
pub(crate) fn advise(op: Op, errno: Errno, facts: &Facts) -> Advice {
    TABLE
        .iter()
        .filter(|row| row.op == op && row.errno == errno)
        .find_map(|row| (row.advise)(facts))
        .or_else(|| (errno == Errno::ENOSYS).then(|| missing::advise(facts))?)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which every fact that a row asks for holds.
    fn worst() -> Facts {
        Facts {
            root: false,
            no_namespaces: vec!["user.max_user_namespaces".into()],
            unprivileged_userns_clone: Some(0),
            apparmor_restrict: Some(1),
            user_namespace_enable: Some(false),
            chrooted: false,
            initramfs: true,
            no_proc: true,
            no_filters: true,
            masked: Some("/proc/kcore".into()),
            terminals: Some((4096, 1024)),
            missing: Vec::new(),
            filtered: false,
            kernel: Some((5, 10)),
        }
    }

    #[test]
    fn every_row_speaks_where_its_fact_holds() {
        for row in TABLE {
            let advice = advise(row.op, row.errno, &worst());
            let hint = advice
                .hint
                .unwrap_or_else(|| panic!("{:?} {}", row.op, row.errno));
            assert!(!hint.contains('\n') && !hint.ends_with('.'), "{hint}");
        }
    }

    #[test]
    fn a_machine_without_the_fact_gets_no_hint() {
        let facts = Facts {
            root: true,
            ..Facts::default()
        };
        for (op, errno) in [
            (Op::Namespaces, Errno::EPERM),
            (Op::Namespaces, Errno::EINVAL),
            (Op::Mount, Errno::EPERM),
            (Op::Pivot, Errno::EINVAL),
            (Op::Other, Errno::ENOSPC),
        ] {
            assert_eq!(
                advise(op, errno, &facts),
                Advice::default(),
                "{op:?} {errno}"
            );
        }
    }

    #[test]
    fn names_the_kernel_that_is_needed() {
        let said = |op, errno, kernel| {
            let facts = Facts {
                root: true,
                kernel: Some(kernel),
                ..Facts::default()
            };
            advise(op, errno, &facts).reason.unwrap()
        };
        for (op, errno, kernel, reason) in [
            (
                Op::Idmap,
                Errno::ENOSYS,
                (5, 10),
                "idmapped mounts need Linux 5.12",
            ),
            (
                Op::Overlay,
                Errno::EPERM,
                (5, 10),
                "overlays in a user namespace need Linux 5.11",
            ),
            (
                Op::Overlay,
                Errno::EINVAL,
                (5, 15),
                "overlays of idmapped mounts need Linux 5.19",
            ),
            (
                Op::Overlay,
                Errno::EINVAL,
                (6, 1),
                "a file system cannot be a layer of it",
            ),
        ] {
            assert_eq!(said(op, errno, kernel), reason);
        }
        assert_eq!(version("6.1.0-44-cloud-amd64"), Some((6, 1)));
        assert_eq!(version("x"), None);
    }

    #[test]
    fn names_the_setting_that_forbids() {
        let named = |change: fn(&mut Facts), errno| {
            let mut facts = Facts::default();
            change(&mut facts);
            advise(Op::Namespaces, errno, &facts).hint.unwrap()
        };
        let max = named(
            |f| f.no_namespaces = vec!["user.max_net_namespaces".into()],
            Errno::ENOSPC,
        );
        assert!(max.starts_with("user.max_net_namespaces is 0"), "{max}");
        let clone = named(|f| f.unprivileged_userns_clone = Some(0), Errno::EPERM);
        assert!(
            clone.starts_with("kernel.unprivileged_userns_clone is 0"),
            "{clone}"
        );
        let armor = named(|f| f.apparmor_restrict = Some(1), Errno::EPERM);
        assert!(
            armor.contains("apparmor_restrict_unprivileged_userns is 1"),
            "{armor}"
        );
        let boot = named(|f| f.user_namespace_enable = Some(false), Errno::EINVAL);
        assert_eq!(boot, "boot with user_namespace.enable=1");
        let chroot = named(|f| f.chrooted = true, Errno::EPERM);
        assert!(chroot.starts_with("in a chroot"), "{chroot}");
    }
}
