//! The steps of the child between clone and exec, as data. The same list is
//! printed by `--explain`, performed by `child`, and named in errors.

use std::ffi::{CStr, CString};

use nix::errno::Errno;

use crate::error::hint::advice::Op;
use crate::exec::program::Program;
use crate::plan::mask::Mask;
use crate::plan::place::{At, BindKind, Nested, Place};
use crate::plan::{handlers, mounts, overlay, profile, user};
use crate::sys::mount::NewFileSystem;
use crate::sys::shim::Image;
use crate::sys::tty::Look;

/// One step. Where order matters, `decide::steps` and `decide::rootfs` say why.
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
    Overlay(overlay::OverlayStep),
    /// One of the steps that show what else was asked for.
    Mounts(mounts::MountStep),
    /// Make another process, init, in namespaces of its own. To it every mount
    /// made so far is locked: it can neither be removed nor changed there.
    CloneInit(Nested),
    /// Make a directory unless it exists.
    MakeDir(At),
    /// Mount a new file system, and remember it as a place.
    Mount {
        fs: &'static NewFileSystem,
        at: At,
        keep: Option<Place>,
        optional: bool,
    },
    /// Show the caller's cgroup, if the kernel allows it, it has no others below, and
    /// container root cannot write to it: an init would take it for its own.
    ShowCgroup { fs: &'static NewFileSystem, at: At },
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
    /// One of the steps that give the container handlers of its own.
    Handlers(handlers::HandlerStep),
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
    /// Ask the listener about owners, now and in every program. To change who we are
    /// it has to read our memory, and so can who is in the container already.
    AskListener { readable: bool },
    /// One of the steps by which init is somebody else than root, or elsewhere
    /// than in /.
    User(user::UserStep),
    /// Make the copy in memory that is run in place of a file of the host's.
    Seal(Image),
    /// Give up what the profile does not leave to init.
    Harden(profile::ProfileStep),
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
            Action::Handlers(step) => step.op(),
            Action::Pivot { .. } => Op::Pivot,
            Action::AskListener { .. } => Op::Filter,
            Action::Harden(step) => step.op(),
            // These mount too, and fail for no reason that a setting has.
            Action::ShowCgroup { .. } | Action::Mask(_) | Action::ShowResolver => Op::Other,
            Action::AwaitGo
            | Action::BecomeRoot { .. }
            | Action::NewKeyring
            | Action::SetHostname(_)
            | Action::PrivateMounts
            | Action::AttachRoot(_)
            | Action::AttachTree { .. }
            | Action::Bind { .. }
            | Action::WriteFile { .. }
            | Action::Link { .. }
            | Action::ReadOnly(_)
            | Action::ReadOnlyBelow(..)
            | Action::LoopbackUp
            | Action::TakeConsole { .. }
            | Action::NewSession
            | Action::Ready
            | Action::User(_)
            | Action::Seal(_)
            | Action::Exec(_)
            | Action::ExecInit(_) => Op::Other,
        }
    }
}
