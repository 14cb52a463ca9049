//! What this machine and this caller are: ids, delegated ranges, terminals.
//! Read once, before anything is decided, and without side effect.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::idmap::{self, Account, IdMap, Kind};
use crate::sys::process;
use crate::sys::tty::{self, Look, Termios};

/// The caller as user, or as group.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The caller's own id.
    pub(crate) id: u32,
    /// May map any id of this user namespace: its root.
    pub(crate) privileged: bool,
    /// The ids of this user namespace, uid_map or gid_map.
    pub(crate) mapped: IdMap,
    /// Ranges (first, count) that a helper would map for the caller.
    pub(crate) delegated: Vec<(u32, u32)>,
    /// Why there are no delegated ranges.
    pub(crate) missing: Option<Missing>,
}

/// Why a caller has no delegated ids.
#[derive(Debug, Clone)]
pub(crate) enum Missing {
    /// The file has no line for the owner.
    Line { file: &'static str, owner: String },
    /// The program that maps them is not installed.
    Helper(&'static str),
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Missing::Line { file, owner } => write!(f, "{file} has no line for {owner}"),
            Missing::Helper(name) => write!(f, "{name} is not installed (Debian package uidmap)"),
        }
    }
}

/// What this machine is to the caller.
#[derive(Debug, Clone)]
pub struct Host {
    pub(crate) user: Identity,
    pub(crate) group: Identity,
    pub(crate) newuidmap: Option<PathBuf>,
    pub(crate) newgidmap: Option<PathBuf>,
    /// Which of standard input, output and error is a terminal.
    pub(crate) terminals: [bool; 3],
    /// How a terminal in their place is to look.
    pub(crate) look: Look,
    /// The owner of the caller's cgroup v2, where there is one to be seen.
    pub(crate) cgroup_owner: Option<u32>,
    /// The directories of /sys that a container on the host's network is shown.
    pub(crate) sys: Vec<&'static str>,
}

/// The parts of /sys that tell of devices and drivers and hold nothing to
/// write for an ordinary user. Never /sys/fs: the caller's cgroups are there.
const SYS: [&str; 8] = [
    "block", "bus", "class", "dev", "devices", "firmware", "module", "power",
];

impl Host {
    /// Reads what there is to know.
    ///
    /// # Errors
    /// When the program runs setuid or setgid, or /proc is missing.
    pub fn probe() -> Result<Host> {
        let (uid, euid) = (nix::unistd::getuid(), nix::unistd::geteuid());
        let (gid, egid) = (nix::unistd::getgid(), nix::unistd::getegid());
        if uid != euid || gid != egid {
            let bit = if uid == euid { "setgid" } else { "setuid" };
            return Err(
                Error::new("run", format!("this program is installed {bit}"))
                    .with_hint(format!("it needs no privilege: remove the {bit} bit")),
            );
        }
        let mut user = Identity {
            id: uid.as_raw(),
            privileged: uid.is_root(),
            mapped: own_map("/proc/self/uid_map")?,
            delegated: Vec::new(),
            missing: None,
        };
        let mut group = Identity {
            id: gid.as_raw(),
            mapped: own_map("/proc/self/gid_map")?,
            ..user.clone()
        };
        let (mut newuidmap, mut newgidmap) = (None, None);
        if !user.privileged {
            let account = Account::of(user.id);
            newuidmap = delegate(&mut user, Kind::User, &account, "newuidmap", "/etc/subuid");
            newgidmap = delegate(
                &mut group,
                Kind::Group,
                &account,
                "newgidmap",
                "/etc/subgid",
            );
        }
        let streams = process::streams();
        let terminals = streams.map(tty::is_terminal);
        let sys = SYS
            .into_iter()
            .filter(|dir| Path::new("/sys").join(dir).is_dir())
            .collect();
        Ok(Host {
            user,
            group,
            newuidmap,
            newgidmap,
            terminals,
            look: look(terminals),
            cgroup_owner: cgroup_owner(),
            sys,
        })
    }

    /// The one warning that a start with a single id is worth.
    pub(crate) fn single_id_warning(&self) -> Option<String> {
        let (ids, reasons) = match (&self.user.missing, &self.group.missing) {
            (Some(Missing::Line { owner, .. }), Some(Missing::Line { .. })) => (
                "user and group id",
                format!("/etc/subuid and /etc/subgid have no line for {owner}"),
            ),
            (Some(user), Some(group)) => ("user and group id", format!("{user}; {group}")),
            (Some(user), None) => ("user id", user.to_string()),
            (None, Some(group)) => ("group id", group.to_string()),
            (None, None) => return None,
        };
        Some(format!(
            "warning: only your own {ids} can be mapped: {reasons}"
        ))
    }
}

/// The caller's terminal passes keys through and leaves the rest to the one
/// inside, where it is for the container alone. Where others write to it as
/// well (a pipe's reader, say), it goes on processing what is written.
fn look([stdin, stdout, _]: [bool; 3]) -> Look {
    let streams = process::streams();
    let keyboard = streams[0];
    // In the background its settings are somebody else's at this moment.
    let ours = stdin && tty::in_foreground(keyboard);
    Look {
        settings: ours.then(|| Termios::of(keyboard).ok()).flatten(),
        size: streams
            .into_iter()
            .find_map(|stream| tty::window_size(stream).ok()),
        echo: stdin,
        process_output: stdin && stdout,
    }
}

fn own_map(path: &str) -> Result<IdMap> {
    let text = fs::read_to_string(path).map_err(|error| {
        Error::io(format!("read {path}"), &error).with_hint("/proc must be mounted")
    })?;
    IdMap::from_kernel_text(&text)
        .ok_or_else(|| Error::new(format!("read {path}"), "this user namespace maps no id"))
}

/// Fills in what is delegated to `who`, and finds the helper that maps it.
fn delegate(
    who: &mut Identity,
    kind: Kind,
    account: &Account,
    helper: &'static str,
    file: &'static str,
) -> Option<PathBuf> {
    let ranges = idmap::delegated(kind, account);
    if ranges.is_empty() {
        who.missing = Some(Missing::Line {
            file,
            owner: account.shown(),
        });
        return None;
    }
    let path = idmap::find_helper(helper);
    match path {
        Some(_) => who.delegated = ranges,
        None => who.missing = Some(Missing::Helper(helper)),
    }
    path
}

/// The owner of the directory of our cgroup v2, cgroups(7).
fn cgroup_owner() -> Option<u32> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .iter()
        .find_map(|mount| {
            let dir = Path::new(mount).join(path);
            dir.join("cgroup.procs")
                .exists()
                .then(|| dir.metadata().ok().map(|m| m.uid()))?
        })
}
