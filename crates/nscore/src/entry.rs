//! The first and the last thing that a program does which comes without Rust's
//! runtime.

use crate::caller;
use crate::error::{Error, Result};
use crate::sys::{descriptors, process, signal};

/// Ends the program at once, which has written what it had to write: no handler
/// of the C library's or of Rust's follows.
pub fn end(status: u8) -> ! {
    process::exit(status.into())
}

/// Does for a program what Rust's runtime would, as far as this crate needs it:
/// standard streams that are closed become /dev/null, so that no file of ours is
/// taken for one. And SIGPIPE ends the program, as it does any other. For the
/// first line of a program that the C library starts directly; harmless in others.
/// A program that runs setuid or setgid goes no further: nothing is read or shown
/// with rights that its caller has not.
///
/// The rest of the runtime, a stack for a handler of SIGSEGV, costs as much as
/// ten of the mounts of a container, and that handler outlives the first SIGSEGV
/// that somebody sends.
///
/// # Errors
/// A /dev/null that cannot be opened, or a setuid or setgid bit.
pub fn begin() -> Result<()> {
    descriptors::complete_streams().map_err(|errno| Error::errno("open /dev/null", errno))?;
    signal::default_pipe();
    caller::refuse_setuid()
}
