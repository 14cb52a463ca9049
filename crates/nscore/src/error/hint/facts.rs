//! What of this machine explains a failure.

use std::fs;
use std::path::Path;

use crate::error::hint::calls;
use crate::error::text::quoted;
use crate::proc::kernel::kernel_version;
use crate::proc::mountinfo::{self, Mounted};
use crate::sys::{path, process};

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
    /// The root directory is on an overlay.
    pub(crate) on_overlay: bool,
    /// A FUSE file system is mounted.
    pub(crate) fuse: bool,
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
    pub(crate) missing: Vec<calls::Call>,
    /// A filter of system calls is on this process.
    pub(crate) filtered: bool,
    /// The kernel's version.
    pub(crate) kernel: Option<(u32, u32)>,
}

impl Facts {
    /// Reads them now: a failure has all the time it wants.
    pub(crate) fn probe() -> Facts {
        let mounts = mountinfo::mounts().unwrap_or_default();
        let at_root = |mount: &Mounted| mount.point == Path::new("/");
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
            chrooted: !mounts.is_empty() && !mounts.iter().any(at_root)
                || path::is_mount_root(c"/") == Ok(false),
            on_overlay: mounts
                .iter()
                .any(|mount| at_root(mount) && mount.kind == "overlay"),
            fuse: mounts.iter().any(|mount| mount.kind.starts_with("fuse")),
            initramfs: mounts
                .iter()
                .any(|mount| at_root(mount) && mount.kind == "rootfs"),
            masked: mounts
                .iter()
                .map(|mount| &mount.point)
                .find(|point| hides(point))
                .map(quoted),
            no_proc: !Path::new("/proc/self").exists(),
            no_filters: !Path::new("/proc/sys/kernel/seccomp").exists(),
            terminals: number("/proc/sys/kernel/pty/max")
                .zip(number("/proc/sys/kernel/pty/reserve")),
            missing: calls::probe(),
            filtered: process::filtered(),
            kernel: kernel_version(),
        }
    }
}

/// Whether what is mounted there covers a part of /proc or /sys that a new mount
/// would show.
fn hides(point: &Path) -> bool {
    let below = |top| point.starts_with(top) && point != Path::new(top);
    let harmless = point.starts_with("/proc/sys/fs/binfmt_misc");
    below("/proc") && !harmless || point.starts_with("/sys/firmware")
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(Path::new(path))
        .ok()?
        .trim()
        .parse()
        .ok()
}
