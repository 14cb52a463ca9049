//! What was asked of a container: plain data, no system call.

pub(crate) mod caps;
pub(crate) mod environ;
pub(crate) mod limits;
pub(crate) mod maps;
pub(crate) mod mounts;
pub(crate) mod name;
pub(crate) mod net;
pub(crate) mod seccomp;
pub(crate) mod stop;
pub(crate) mod target;
pub(crate) mod user;

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::spec::caps::CapList;
use crate::spec::environ::Assignment;
use crate::spec::limits::Limits;
use crate::spec::maps::MapSpec;
use crate::spec::mounts::{Mount, clean};
use crate::spec::name::{Hostname, Name};
use crate::spec::net::Net;
use crate::spec::seccomp::Seccomp;
use crate::spec::stop::StopSignal;
use crate::spec::user::UserSpec;

/// The shell that runs helpers and is the default command.
pub(crate) const SHELL: &str = "/bin/sh";

/// Where changes to the root file system go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Changes {
    /// Into the root itself.
    #[default]
    InPlace,
    /// Into memory: each boot starts without those of the one before.
    Memory,
    /// Into this directory, as `changes/` and `work/`; the root stays as it is.
    Directory(PathBuf),
}

/// A container as it was asked for. [`Spec::new`] has the defaults; that of [`Default`]
/// is nothing at all, which no container is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spec {
    /// The directory that becomes the root file system.
    pub root: PathBuf,
    /// Where changes to it go.
    pub changes: Changes,
    /// What else is shown, in any order.
    pub mounts: Vec<Mount>,
    /// Devices of the host, or directories of devices, below /dev.
    pub devices: Vec<PathBuf>,
    /// Let nobody write to the root file system, nor to what is mounted in DIR,
    /// container root included. What `mounts` shows keeps its own rules.
    pub read_only: bool,
    /// Show the host's /bin, /sbin, /lib* and /usr read-only, with what of /etc
    /// they need, and a tmpfs on /tmp.
    pub host_tools: bool,
    /// What inject finds it by.
    pub name: Option<Name>,
    /// What it calls itself; None means its name, else as the host does.
    pub hostname: Option<Hostname>,
    /// What is added to init's environment.
    pub environment: Vec<Assignment>,
    /// Where init starts, an absolute path inside; None means /.
    pub workdir: Option<PathBuf>,
    /// Whom init runs as; None means the container's root.
    pub user: Option<UserSpec>,
    /// The program that becomes PID 1, and its arguments; none means /bin/sh.
    /// A name without a slash is looked up in the container's PATH.
    pub command: Vec<OsString>,
    /// Give init a fresh pseudo-terminal for each of our standard streams that
    /// is a terminal. Without, init gets our streams as they are.
    pub console: bool,
    /// The container's network.
    pub net: Net,
    /// Show a copy of the host's /etc/resolv.conf where the host's name servers
    /// can be reached.
    pub dns: bool,
    /// User ids.
    pub uid_map: MapSpec,
    /// Group ids.
    pub gid_map: MapSpec,
    /// Give a program that needs little no more: no capability, no new
    /// privilege, few system calls, and less of /proc.
    pub strict: bool,
    /// Capabilities to drop although the profile has them.
    pub cap_drop: CapList,
    /// Capabilities to keep although the profile drops them. A name in either
    /// list says more than `all` in the other.
    pub cap_keep: CapList,
    /// No program gives its process more rights than it has: no set-id program
    /// and no file capability takes effect.
    pub no_new_privs: bool,
    /// Whether system calls are filtered.
    pub seccomp: Seccomp,
    /// Owners that no id is mapped for are told, and kept with the files.
    pub fake_owner: bool,
    /// Run the command under a small init that reaps orphans and passes
    /// signals: see [`init_if_asked`](crate::init_if_asked).
    pub init: bool,
    /// Start again when the container reboots; else end with status 133.
    pub reboot: bool,
    /// What asks init to stop, in place of what its own manual says.
    pub stop_signal: Option<StopSignal>,
    /// How long init may take to stop before it is killed.
    pub stop_timeout: Duration,
    /// An open descriptor that gets init's process id and a newline once init
    /// runs, and is closed then. It belongs to nscore.
    pub ready_fd: Option<RawFd>,
    /// What it may use of the machine.
    pub limits: Limits,
    /// A /bin/sh command run inside the new namespaces, in the new root and
    /// before the host's files disappear.
    pub inside: Option<OsString>,
    /// A /bin/sh command run on the host once the namespaces exist; its parent
    /// process is in them, and CONTAIN_PID is init's process id.
    pub outside: Option<OsString>,
}

impl Spec {
    /// A container of `root` with all defaults.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Spec {
        Spec {
            root: root.into(),
            console: true,
            dns: true,
            reboot: true,
            stop_timeout: Duration::from_secs(10),
            ..Spec::default()
        }
    }

    /// Checks what can be checked without looking at the machine.
    ///
    /// # Errors
    /// A usage error, exit status 64.
    pub fn check(&self) -> Result<()> {
        if self.root.as_os_str().is_empty() {
            return Err(Error::usage(
                "use '' as root file system",
                "the name is empty",
            ));
        }
        if self.changes == Changes::Directory(PathBuf::new()) {
            return Err(Error::usage(
                "use '' as upper directory",
                "the name is empty",
            ));
        }
        // A /dev of the caller's has no console of ours.
        let places = self.mounts.iter().map(|mount| &mount.at);
        let places: Vec<_> = places.chain(&self.devices).map(|at| clean(at)).collect();
        let has = |path: &str| places.iter().any(|at| at == Path::new(path));
        if self.console && has("/dev/console") && !has("/dev") {
            return Err(Error::usage(
                "mount on /dev/console",
                "the container's own console is there, except with -c",
            ));
        }
        self.limits.check()
    }

    /// What runs as process 1.
    pub(crate) fn init_command(&self) -> Vec<OsString> {
        if self.command.is_empty() {
            vec![SHELL.into()]
        } else {
            self.command.clone()
        }
    }
}
