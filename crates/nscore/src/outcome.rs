//! What an end means: that of a container, of a helper, of a process of ours that
//! had not done its part; for our exit status and in words.

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;

use crate::error::{Error, Result};

/// How a container or a command in it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It exited with this status.
    Exited(u8),
    /// This signal killed it, or asked us to end it.
    Killed(i32),
    /// The kernel killed a process of it, because all together met their limit
    /// of memory; this is the exit status it then ended with.
    OutOfMemory(u8),
    /// It called reboot(2) to restart.
    Reboot,
    /// It called reboot(2) to halt or power off.
    Halt,
}

impl Outcome {
    /// The exit status that says so: 128+n for a signal, 0 for a halt, 133 for
    /// a reboot that is not followed.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Outcome::Exited(status) | Outcome::OutOfMemory(status) => status,
            Outcome::Killed(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            Outcome::Reboot => 133,
            Outcome::Halt => 0,
        }
    }
}

/// The end, or the failed start, of a container that met its memory limit.
pub(crate) fn out_of_memory(ended: Result<Outcome>) -> Result<Outcome> {
    match ended {
        // It goes on.
        Ok(Outcome::Reboot) => Ok(Outcome::Reboot),
        Ok(outcome) => Ok(Outcome::OutOfMemory(outcome.status())),
        // The killed process was ours; that of a helper has a status to tell.
        Err(error) if [1, 128 + 9].contains(&error.status()) => {
            let reason = "the memory limit is too small for that";
            Err(Error::new("start init", reason).with_status(128 + 9))
        }
        Err(error) => Err(error),
    }
}

/// A helper's wait status that is not 0, as the error that ends the start: its
/// exit status becomes ours.
pub(crate) fn helper_failed(which: &str, status: libc::c_int) -> Error {
    let what = format!("run the {which} helper");
    if libc::WIFEXITED(status) {
        let number = libc::WEXITSTATUS(status);
        let status = u8::try_from(number).unwrap_or(1);
        return Error::new(what, format!("it ended with status {number}")).with_status(status);
    }
    let signal = libc::WTERMSIG(status);
    let status = u8::try_from(128 + signal).unwrap_or(1);
    Error::new(what, format!("it was killed by {}", signal_name(signal))).with_status(status)
}

/// A process of ours that ended before it had done its part.
pub(crate) fn ended_early(status: WaitStatus) -> Error {
    match status {
        WaitStatus::Signaled(_, signal, _) => Error::new(
            "start init",
            format!("it was killed by {signal} while being set up"),
        )
        .with_status(u8::try_from(128 + signal as i32).unwrap_or(1)),
        _ => Error::new("start init", "it ended while being set up"),
    }
}

/// SIGTERM for 15; the number where there is no name.
pub(crate) fn signal_name(number: libc::c_int) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.to_string(),
        Err(_) => format!("signal {number}"),
    }
}
