//! Keeping the file of this program out of a container's reach.
//!
//! Between clone and exec the program of the process is still our own file, and
//! a container can make its exec run that again: by `#!/proc/self/exe`, or a link
//! to it. Whoever may look at that process then reaches the file, and if its
//! owner is among the container's ids may change it. So where that is the case,
//! the exec goes by way of a shim in sealed memory, which is all that such a
//! link leads to.

use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::poll::PollTimeout;

use crate::child::message::{Go, Report};
use crate::exec::candidate::{Candidate, Failure};
use crate::exec::login::Login;
use crate::exec::program::Program;
use crate::sys::mount::{self, NewFileSystem};
use crate::sys::shim::{self, Image};
use crate::sys::{Sys, descriptors};

/// Memory to put an image in, where the kernel wants none of it executed that
/// is not of a file system.
static MEMORY: NewFileSystem = NewFileSystem::new(c"tmpfs", c"mode=0700", RESTRICTED);

const RESTRICTED: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

/// The image, in a process that has no place of its own in the container.
pub(crate) fn seal(image: Image) -> Sys<OwnedFd> {
    shim::seal(image, || mount::new_mount(&MEMORY))
}

/// Becomes the program by way of the shim. What it is to run is told before,
/// because the shim knows but an error number.
pub(crate) fn exec<'a>(
    program: &Program,
    login: Option<&Login>,
    shim: BorrowedFd,
    socket: BorrowedFd,
    room: &'a mut [u8],
) -> Failure<'a> {
    let candidate = match program.choose(room) {
        Ok(candidate) => candidate,
        Err(failure) => return failure,
    };
    let told = Report::Trying(candidate.clone())
        .send(socket, &[])
        .and_then(|()| descriptors::make_stream(socket, shim::SOCKET));
    let errno = match told {
        Ok(()) => program.exec_shim(login, shim, &candidate),
        Err(errno) => errno,
    };
    Failure { errno, candidate }
}

/// Waits until the supervisor has heard a failure out and no longer needs this
/// process: it may still have to remove what was made for it.
pub(crate) fn await_end(socket: BorrowedFd) {
    while Go::receive(socket, &mut []).is_ok() {}
}

/// How long to wait for the next word of a process that is about to exec. Once it is
/// the shim, something in the container could keep its socket open and withhold the
/// end of file that says that all is well: so an exec has its time, and then that
/// counts as said.
pub(crate) fn patience(tried: Option<&Candidate>) -> PollTimeout {
    const EXEC: u16 = 5_000;
    tried.map_or(PollTimeout::NONE, |_| EXEC.into())
}

/// What the shim could not run, from what was told before and its own word.
pub(crate) fn refusal(tried: Option<Candidate>, errno: Errno) -> Failure {
    let candidate = tried.unwrap_or_default();
    Failure { errno, candidate }
}
