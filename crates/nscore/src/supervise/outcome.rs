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
            Outcome::Killed(signal) => killed_by(signal),
            Outcome::Reboot => 133,
            Outcome::Halt => 0,
        }
    }
}

/// The exit status that tells of a signal, as a shell has it.
pub(crate) fn killed_by(signal: libc::c_int) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

/// The exit status that tells of a wait status, waitpid(2).
pub(crate) fn exit_status(status: libc::c_int) -> u8 {
    if libc::WIFEXITED(status) {
        u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX)
    } else {
        killed_by(libc::WTERMSIG(status))
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
    let reason = if libc::WIFEXITED(status) {
        format!("it ended with status {}", libc::WEXITSTATUS(status))
    } else {
        format!("it was killed by {}", signal_name(libc::WTERMSIG(status)))
    };
    Error::new(format!("run the {which} helper"), reason).with_status(exit_status(status))
}

/// A process of ours that ended before it had done its part.
pub(crate) fn ended_early(status: WaitStatus) -> Error {
    match status {
        WaitStatus::Signaled(_, signal, _) => Error::new(
            "start init",
            format!("it was killed by {signal} while being set up"),
        )
        .with_status(killed_by(signal as i32)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_status_tells_of_exit_and_signal() {
        // The exit status is the second byte of a wait status, the signal the first
        // with a flag for a core.
        for (status, number) in [
            (0, 0),
            (7 << 8, 7),
            (255 << 8, 255),
            (15, 143),
            (11 | 128, 139),
        ] {
            assert_eq!(exit_status(status), number, "{status}");
        }
        let error = helper_failed("outside", 15);
        assert_eq!((error.status(), Outcome::Killed(15).status()), (143, 143));
        assert!(error.to_string().ends_with("killed by SIGTERM"), "{error}");
    }
}
