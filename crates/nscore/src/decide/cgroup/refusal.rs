//! Why a container cannot have a cgroup of its own here, and the one command or
//! setting that makes it possible.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::error::text::quoted;
use crate::host::systemd;
use crate::proc::{self, mountinfo};

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// cgroup v2 is mounted nowhere; whether v1 is.
    NoHierarchy { old: bool },
    /// The whole hierarchy lacks this controller, for a reason.
    NoController(String, Lack),
    /// Our own cgroup is not below what is mounted.
    Unseen,
    /// We may not divide it.
    NotOurs(PathBuf),
    /// It does not have this controller itself.
    NotHandedOn(String, PathBuf),
    /// It has other processes than us.
    Busy(PathBuf),
    /// systemd without its command.
    NoSystemdRun,
    /// systemd, but no instance of it for this user.
    NoServiceManager,
}

/// Why there is no such controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// cgroup v1 has it.
    Old,
    /// It is switched off.
    Disabled,
    /// The kernel has it, this part of the hierarchy has not.
    Elsewhere,
    /// The kernel has none of that name.
    Unknown,
}

impl Lack {
    /// By a line of /proc/cgroups: name, hierarchy, number of cgroups, enabled;
    /// cgroups(7). A kernel without v1 of a controller has no line for it.
    fn of(controller: &str, cgroups: &str) -> Lack {
        let line = cgroups.lines().find_map(|line| {
            let mut fields = line.split_whitespace();
            (name_in_v2(fields.next()?) == controller).then_some(fields)
        });
        let numbers: Vec<u32> = line
            .into_iter()
            .flatten()
            .filter_map(|field| field.parse().ok())
            .collect();
        match numbers[..] {
            [_, _, 0] => Lack::Disabled,
            [0, ..] => Lack::Elsewhere,
            [_, ..] => Lack::Old,
            [] => Lack::Unknown,
        }
    }
}

/// Version 2 calls one controller by another name.
fn name_in_v2(name: &str) -> &str {
    if name == "blkio" { "io" } else { name }
}

impl Refusal {
    pub(super) fn no_hierarchy() -> Refusal {
        let mounts = mountinfo::mounts().unwrap_or_default();
        Refusal::NoHierarchy {
            old: mounts.iter().any(|mount| mount.kind == "cgroup"),
        }
    }

    pub(super) fn no_controller(name: &str, top: &Path) -> Refusal {
        let lack = Lack::of(name, &proc::read("/proc/cgroups").unwrap_or_default());
        if lack == Lack::Elsewhere {
            return Refusal::NotHandedOn(name.to_string(), top.into());
        }
        Refusal::NoController(name.to_string(), lack)
    }

    /// The error of who wanted to do `what`.
    pub(crate) fn explain(&self, what: &str) -> Error {
        Error::new(what, self.reason()).with_any_hint(self.hint())
    }

    fn reason(&self) -> String {
        match self {
            Refusal::NoHierarchy { .. } => "cgroup v2 is not mounted".to_string(),
            Refusal::NoController(name, Lack::Old) => {
                format!("the {name} controller is in use by cgroup v1")
            }
            Refusal::NoController(name, Lack::Disabled) => {
                format!("the {name} controller is switched off")
            }
            Refusal::NoController(name, _) => format!("this kernel has no {name} controller"),
            Refusal::Unseen => "our own cgroup cannot be seen".to_string(),
            Refusal::NotOurs(dir) => format!("the cgroup {} is not ours to divide", quoted(dir)),
            Refusal::NotHandedOn(name, dir) => {
                format!("the cgroup {} has no {name} controller", quoted(dir))
            }
            Refusal::Busy(dir) => {
                format!("the cgroup {} has other processes", quoted(dir))
            }
            Refusal::NoSystemdRun => "systemd-run is not installed".to_string(),
            Refusal::NoServiceManager => {
                "systemd manages the cgroups, and none of it runs for you".to_string()
            }
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Refusal::NoHierarchy { old: true } | Refusal::NoController(_, Lack::Old) => {
                if systemd::systemd_runs() {
                    "boot with systemd.unified_cgroup_hierarchy=1".to_string()
                } else {
                    "boot with cgroup_no_v1=all, and mount cgroup2 on /sys/fs/cgroup".to_string()
                }
            }
            Refusal::NoHierarchy { old: false } => {
                "mount -t cgroup2 cgroup2 /sys/fs/cgroup as root".to_string()
            }
            Refusal::NoController(name, Lack::Disabled) => {
                format!("boot with cgroup_enable={name}")
            }
            Refusal::NoSystemdRun => "install it: Debian package systemd".to_string(),
            Refusal::NoServiceManager => "log in, or loginctl enable-linger as root; then \
                 systemd-run --user --scope -p Delegate=yes can start it"
                .to_string(),
            Refusal::Busy(dir) => {
                let dir = quoted(dir);
                format!("mkdir {dir}/shell && echo $$ >{dir}/shell/cgroup.procs makes room")
            }
            Refusal::NotHandedOn(name, dir) => return not_handed_on(name, dir),
            Refusal::NotOurs(dir) => return Some(not_ours(dir)),
            Refusal::NoController(..) | Refusal::Unseen => return None,
        };
        Some(text)
    }
}

/// Who could hand on a controller.
fn not_handed_on(name: &str, dir: &Path) -> Option<String> {
    let service = |part: &&str| part.starts_with("user@") && part.ends_with(".service");
    let parts = dir.iter().filter_map(|part| part.to_str());
    if systemd::systemd_runs() && parts.clone().any(|part| service(&part)) {
        return Some(format!(
            "systemctl edit user@.service as root: [Service] Delegate=cpu cpuset io memory pids, \
             which has {name}"
        ));
    }
    let above = quoted(dir.parent()?);
    Some(format!(
        "echo +{name} >{above}/cgroup.subtree_control as root hands it on"
    ))
}

/// Who could let us divide a cgroup.
fn not_ours(dir: &Path) -> String {
    let uid = nix::unistd::geteuid();
    if uid.is_root() {
        return "in a container: start the outer one with a limit, or with --cgroup, so that it \
                has cgroups of its own"
            .to_string();
    }
    let own = quoted(dir.join(uid.to_string()));
    let shell = nix::unistd::getppid();
    format!(
        "as root: mkdir -p {own}/shell && \
         chown {uid} {own}{{,/shell}}{{,/cgroup.procs,/cgroup.subtree_control}} && \
         echo {shell} >{own}/shell/cgroup.procs; where systemd runs, \
         systemd-run --user --scope -p Delegate=yes"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_why_a_controller_is_missing() {
        let cgroups = "\
#subsys_name\thierarchy\tnum_cgroups\tenabled
cpu\t1\t2\t1
blkio\t7\t2\t1
memory\t0\t2\t0
pids\t0\t60\t1
";
        for (name, lack) in [
            ("cpu", Lack::Old),
            ("io", Lack::Old),
            ("memory", Lack::Disabled),
            ("pids", Lack::Elsewhere),
            ("nope", Lack::Unknown),
        ] {
            assert_eq!(Lack::of(name, cgroups), lack, "{name}");
        }
    }

    #[test]
    fn every_refusal_is_one_line() {
        for refusal in [
            Refusal::NoHierarchy { old: true },
            Refusal::NoHierarchy { old: false },
            Refusal::NoController("cpu".into(), Lack::Old),
            Refusal::NoController("cpu".into(), Lack::Disabled),
            Refusal::NoController("cpu".into(), Lack::Unknown),
            Refusal::Unseen,
            Refusal::NotOurs("/a\nb".into()),
            Refusal::NotHandedOn("io".into(), "/a/user@1.service".into()),
            Refusal::NotHandedOn("io".into(), "/a/b".into()),
            Refusal::Busy("/a/b".into()),
            Refusal::NoSystemdRun,
            Refusal::NoServiceManager,
        ] {
            let error = refusal.explain("limit the container");
            let text = format!("{error} {}", error.hint().unwrap_or_default());
            assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
            assert!(text.starts_with("cannot limit the container: "), "{text}");
        }
    }
}
