//! What the child holds while it works.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::stat::Mode;

use crate::exec::login::Login;
use crate::plan::place::{At, Place};
use crate::sys::Sys;

/// What the child holds while it works.
pub(super) struct Child<'a> {
    /// The conversation with the supervisor.
    pub(super) socket: BorrowedFd<'a>,
    pub(super) places: [Option<OwnedFd>; Place::COUNT],
    /// What the step at hand has added to the root file system, each thing the end of
    /// a path of this length. Never more than there is room for.
    pub(super) made: Made<'a>,
    /// The supervisor knows where that is.
    pub(super) told: bool,
    /// What the supervisor made for us, until it is used.
    pub(super) trees: Vec<Option<OwnedFd>>,
    /// What we have opened ourselves, until it is used.
    pub(super) opened: Vec<Option<OwnedFd>>,
    /// Master and slave of the console.
    pub(super) console: Option<(OwnedFd, OwnedFd)>,
    /// The user that the program runs as, if not container root.
    pub(super) login: Option<Box<Login>>,
    /// The text for timens_offsets.
    pub(super) clocks: String,
    /// No container has had the changes before.
    pub(super) new_changes: bool,
    /// What our copy of the host's resolv.conf is to hold, and the copy.
    pub(super) resolver: Option<&'a [u8]>,
    pub(super) copy: Option<OwnedFd>,
    /// What the exec goes by way of, or is of.
    pub(super) sealed: Option<OwnedFd>,
    /// What takes handlers in the container's own binfmt_misc.
    pub(super) handlers: Option<OwnedFd>,
    /// setgroups(2) is allowed.
    pub(super) may_set_groups: bool,
    /// Where the listener hears of us.
    pub(super) asking: Option<OwnedFd>,
    /// The caller's umask, back in force for programs.
    pub(super) umask: Mode,
}

impl<'a> Child<'a> {
    pub(super) fn place(&self, place: Place) -> Sys<BorrowedFd<'_>> {
        self.places[place as usize]
            .as_ref()
            .map(OwnedFd::as_fd)
            .ok_or(Errno::EBADF)
    }

    pub(super) fn keep(&mut self, place: Place, fd: OwnedFd) {
        self.places[place as usize] = Some(fd);
    }
}

/// Anyone may write to /dev/shm and /dev/mqueue; the rest is root's.
pub(super) fn directory_mode(at: At) -> Mode {
    let shared = at.0 == Place::Dev && (at.1 == c"shm" || at.1 == c"mqueue");
    Mode::from_bits_retain(if shared { 0o1777 } else { 0o755 })
}

/// Paths of which a step has made something, and up to where.
pub(crate) type Made<'a> = Vec<(&'a CStr, usize)>;
