//! Why an action failed, on its way to the supervisor.

use nix::errno::Errno;

use crate::exec::candidate::Failure;

impl From<Errno> for Failed<'_> {
    fn from(errno: Errno) -> Self {
        Failed::Errno(errno)
    }
}

/// Why one action failed.
pub(super) enum Failed<'a> {
    /// The supervisor is gone, so nobody is left to be told.
    Orphaned,
    Errno(Errno),
    Helper(libc::c_int),
    Exec(Failure<'a>),
}

impl Failed<'_> {
    /// Of a conversation: without a supervisor there is nobody to tell.
    pub(super) fn talk(errno: Errno) -> Failed<'static> {
        match errno {
            Errno::EPIPE | Errno::ECONNRESET => Failed::Orphaned,
            errno => Failed::Errno(errno),
        }
    }
}
