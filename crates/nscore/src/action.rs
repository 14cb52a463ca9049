//! The steps of the child between clone and exec, as data. The same list is
//! printed by `--explain`, performed by `child`, and named in errors.

use std::ffi::{CStr, CString};
use std::fmt;

use nix::errno::Errno;
use nix::sched::CloneFlags;

use crate::error::quoted_c;
use crate::exec::Program;
use crate::harden;
use crate::hint::Op;
use crate::mask::Mask;
use crate::mounts;
use crate::namespaces::Set;
use crate::net::resolv;
use crate::overlay;
use crate::sys::mount::FileSystem;
use crate::sys::shim::Image;
use crate::sys::tty::Look;
use crate::user;

/// A directory that the child holds open while it builds the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The new root file system.
    Root,
    /// Its /dev, once mounted.
    Dev,
    /// Its /dev/pts, once mounted.
    Pts,
    /// Its /proc, once mounted, where a step needs it.
    Proc,
    /// Its /sys, once mounted.
    Sys,
    /// Its /run, where that is memory of ours.
    Run,
    /// The root below an overlay, where the child finds it itself.
    Lower,
    /// The upper directory: changes and work.
    Store,
    /// The changes in it.
    Changes,
    /// Memory where the parts of overlays have names that the kernel's option
    /// strings can hold.
    Scratch,
}

impl Place {
    /// How many there are: the child keeps one descriptor for each.
    pub(crate) const COUNT: usize = 10;

    pub(crate) fn path(self) -> &'static str {
        match self {
            Place::Root => "",
            Place::Dev => "/dev",
            Place::Pts => "/dev/pts",
            Place::Proc => "/proc",
            Place::Sys => "/sys",
            Place::Run => "/run",
            Place::Lower => "lower",
            Place::Store => "upper",
            Place::Changes => "changes",
            Place::Scratch => "scratch",
        }
    }
}

/// A name in a place. More than one component only where every component is
/// the kernel's or ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At(pub(crate) Place, pub(crate) &'static CStr);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0.path(), quoted_c(self.1))
    }
}

/// What is shown at the place of a bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BindKind {
    /// A device node, on an empty file.
    Node,
    /// A directory, where the host has it, and all that is mounted below it.
    Tree,
}

/// The namespaces of an init that is below the user namespace of those mounts
/// that it must not change, mount_namespaces(7).
#[derive(Debug)]
pub(crate) struct Nested {
    pub(crate) namespaces: CloneFlags,
    /// The texts of its uid_map and gid_map: every id is itself.
    pub(crate) uid_map: CString,
    pub(crate) gid_map: CString,
    /// What covers the host's root, if anything does.
    pub(crate) over_host: Option<OverHost>,
}

/// A mount over the host's root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OverHost {
    pub(crate) place: Place,
    /// The new root, seen from there.
    pub(crate) root: &'static CStr,
}

/// One step. Where order matters, `rootfs` and `plan` say why.
#[derive(Debug)]
pub(crate) enum Action {
    /// Wait for the supervisor's go: maps written, helpers done.
    AwaitGo,
    /// Enter a time namespace whose clocks start at zero.
    EnterTime,
    /// Enter a cgroup namespace rooted at our cgroup.
    EnterCgroup,
    /// All ids 0, and no other groups where they are to go and may.
    BecomeRoot { drop_groups: bool },
    /// A session keyring without the caller's keys.
    NewKeyring,
    /// Give the container a host name of its own.
    SetHostname(CString),
    /// No mount of ours in a propagation group with the host's.
    PrivateMounts,
    /// Mount the working directory over itself, as the root to be. The path is
    /// for kernels without open_tree(2).
    AttachRoot(CString),
    /// Mount the supervisor's tree over the working directory, as the root to
    /// be; where the kernel allowed none, as AttachRoot.
    AttachTree { tree: usize, known: CString },
    /// One of the steps that make overlays.
    Overlay(overlay::Step),
    /// One of the steps that show what else was asked for.
    Mounts(mounts::Step),
    /// Make another process, init, in namespaces of its own. To it every mount
    /// made so far is locked: it can neither be removed nor changed there.
    CloneInit(Nested),
    /// Make a directory unless it exists.
    MakeDir(At),
    /// Mount a new file system, and remember it as a place.
    Mount {
        fs: &'static FileSystem,
        at: At,
        keep: Option<Place>,
        optional: bool,
    },
    /// Show the caller's cgroup, if the kernel allows it, it has no others below, and
    /// container root cannot write to it: an init would take it for its own.
    ShowCgroup { fs: &'static FileSystem, at: At },
    /// Make something empty and show a file or directory of the host there.
    Bind {
        source: &'static CStr,
        at: At,
        kind: BindKind,
    },
    /// Make a file of one line in this directory of a mount of ours, and the
    /// directory, unless that is something else's.
    WriteFile {
        dir: At,
        name: &'static CStr,
        text: &'static CStr,
    },
    /// Make a symbolic link.
    Link { at: At, target: &'static CStr },
    /// Make a mounted place read-only.
    ReadOnly(Place),
    /// Make what is mounted below a place read-only.
    ReadOnlyBelow(Place, CString),
    /// Hide a part of /proc or /sys, or make it read-only.
    Mask(Mask),
    /// Make a pseudo-terminal and show it as /dev/console.
    MakeConsole(Look),
    /// Show our copy of the host's resolv.conf, where the root has its own.
    ShowResolver,
    /// Bring lo up.
    LoopbackUp,
    /// Run the helper of `-i` and wait for it.
    RunInside(Program),
    /// Make the new root the root and forget the old one, which may be covered
    /// by a mount of ours.
    Pivot { covered: bool },
    /// A session of our own, with /dev/console as those standard streams that
    /// are terminals, and as its terminal or for others to make it theirs.
    TakeConsole {
        streams: [bool; 3],
        controlling: bool,
    },
    /// A session of our own, whose terminal is not our caller's.
    NewSession,
    /// Hand over the console and what was made, and wait until init may run. What
    /// fails from here on the supervisor clears up: we give the rights for that up.
    Ready,
    /// One of the steps by which init is somebody else than root, or elsewhere
    /// than in /.
    User(user::Step),
    /// Make the copy in memory that is run in place of a file of the host's.
    Seal(Image),
    /// Give up what the profile does not leave to init.
    Harden(harden::Step),
    /// Default signals, then become init.
    Exec(Program),
    /// The same for a program that goes on with our conversation.
    ExecInit(Program),
}

impl Action {
    /// The program that this step runs.
    pub(crate) fn program(&self) -> Option<&Program> {
        match self {
            Action::RunInside(program) | Action::Exec(program) | Action::ExecInit(program) => {
                Some(program)
            }
            _ => None,
        }
    }

    /// What an error number means of this step, where its own word misleads.
    pub(crate) fn reason(&self, errno: Errno) -> Option<&'static str> {
        match self {
            Action::User(step) => step.reason(errno),
            _ => None,
        }
    }

    /// What the hint table knows a failure of this step as.
    pub(crate) fn op(&self) -> Op {
        match self {
            Action::EnterTime | Action::EnterCgroup => Op::Namespaces,
            Action::MakeDir(_) => Op::MakeDirectory,
            Action::Mount { .. } => Op::Mount,
            Action::CloneInit(_) => Op::Namespaces,
            Action::Overlay(step) => step.op(),
            Action::Mounts(step) => step.op(),
            Action::MakeConsole(_) => Op::Terminal,
            Action::RunInside(_) => Op::Process,
            Action::Pivot { .. } => Op::Pivot,
            Action::Harden(harden::Step::Filter(_)) => Op::Filter,
            _ => Op::Other,
        }
    }
}

/// Reads as "VERB OBJECT"; the alternate form adds details.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::AwaitGo => write!(f, "wait for the maps and helpers"),
            Action::EnterTime => write!(f, "create time namespace"),
            Action::EnterCgroup => write!(f, "create cgroup namespace"),
            Action::BecomeRoot { .. } => write!(f, "become root of the container"),
            Action::NewKeyring => write!(f, "create session keyring"),
            Action::SetHostname(name) => write!(f, "set host name {}", quoted_c(name)),
            Action::PrivateMounts => write!(f, "separate mounts from the host's"),
            Action::AttachRoot(path) => write!(f, "bind root file system {}", quoted_c(path)),
            Action::MakeDir(At(Place::Root, name)) => {
                write!(
                    f,
                    "make directory {} in the root file system",
                    quoted_c(name)
                )
            }
            Action::AttachTree { known, .. } => {
                write!(f, "attach root file system {}", quoted_c(known))
            }
            Action::Overlay(step) => step.fmt(f),
            Action::Mounts(step) => step.fmt(f),
            Action::CloneInit(nested) => {
                write!(f, "clone init into new namespaces")?;
                if f.alternate() {
                    write!(f, ", so that it cannot change these mounts: ")?;
                    write!(f, "{}", Set(nested.namespaces))?;
                }
                Ok(())
            }
            Action::MakeDir(at) => write!(f, "make directory {at}"),
            Action::Mount {
                fs, at, optional, ..
            } => {
                write!(f, "mount {} on {at}", quoted_c(fs.kind))?;
                if f.alternate() {
                    let data = quoted_c(fs.data);
                    let parts = [flag_names(fs.flags).as_str(), &data].join(",");
                    write!(f, " ({})", parts.trim_matches(','))?;
                    if *optional {
                        f.write_str(", if the kernel allows it")?;
                    }
                }
                Ok(())
            }
            Action::ShowCgroup { fs, at } => {
                write!(f, "mount {} on {at}", quoted_c(fs.kind))?;
                if f.alternate() {
                    f.write_str(", if others are out of reach there")?;
                }
                Ok(())
            }
            Action::Bind { source, at, kind } => {
                write!(f, "bind {} on {at}", quoted_c(source))?;
                if f.alternate() && *kind == BindKind::Tree {
                    f.write_str(", with what is mounted below it, if it is there")?;
                }
                Ok(())
            }
            Action::WriteFile { dir, name, text } => {
                write!(f, "write {dir}/{}", quoted_c(name))?;
                if f.alternate() {
                    write!(f, ": {}", quoted_c(text))?;
                }
                Ok(())
            }
            Action::Link { at, target } => write!(f, "link {at} to {}", quoted_c(target)),
            Action::ReadOnly(place) => {
                write!(f, "make {} read-only", place.path())?;
                f.write_str(if f.alternate() {
                    ", with all below it"
                } else {
                    ""
                })
            }
            Action::ReadOnlyBelow(place, below) => {
                write!(f, "make {}/{} read-only", place.path(), quoted_c(below))
            }
            Action::Mask(mask) => mask.fmt(f),
            Action::MakeConsole(_) => write!(f, "create pseudo-terminal on /dev/console"),
            Action::ShowResolver => write!(f, "show a copy of the host's {}", resolv::HOST),
            Action::LoopbackUp => write!(f, "bring up lo"),
            Action::RunInside(program) => write!(f, "run inside helper {program}"),
            Action::Pivot { .. } => write!(f, "pivot to the new root"),
            Action::TakeConsole {
                streams,
                controlling,
            } => {
                write!(f, "open /dev/console")?;
                if f.alternate() {
                    let names = ["controlling terminal", "stdin", "stdout", "stderr"];
                    let [stdin, stdout, stderr] = *streams;
                    let taken = [*controlling, stdin, stdout, stderr];
                    let taken = names.iter().zip(taken).filter(|(_, taken)| *taken);
                    let taken: Vec<_> = taken.map(|(name, _)| *name).collect();
                    if !taken.is_empty() {
                        write!(f, " as {}", taken.join(", "))?;
                    }
                }
                Ok(())
            }
            Action::NewSession => write!(f, "leave the caller's session"),
            Action::Ready => write!(f, "wait until init may run"),
            Action::User(step) => step.fmt(f),
            Action::Seal(_) => write!(f, "keep this program's file from the container"),
            Action::Harden(step) => step.fmt(f),
            Action::Exec(program) | Action::ExecInit(program) => write!(f, "run {program}"),
        }
    }
}

fn flag_names(flags: nix::mount::MsFlags) -> String {
    use nix::mount::MsFlags;
    [
        (MsFlags::MS_NOSUID, "nosuid"),
        (MsFlags::MS_NODEV, "nodev"),
        (MsFlags::MS_NOEXEC, "noexec"),
    ]
    .iter()
    .filter(|(flag, _)| flags.contains(*flag))
    .map(|(_, name)| *name)
    .collect::<Vec<_>>()
    .join(",")
}
