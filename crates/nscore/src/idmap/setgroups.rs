//! Whether a user namespace allows setgroups(2), user_namespaces(7).

use crate::error::{Error, Result};
use crate::procfs;

/// Whether the maps of this process left setgroups(2) to it.
///
/// # Errors
/// When there is no such process.
pub(crate) fn setgroups_allowed(pid: libc::pid_t) -> Result<bool> {
    let path = format!("/proc/{pid}/setgroups");
    match procfs::read(&path) {
        Ok(word) => Ok(word.trim() == "allow"),
        Err(error) => Err(Error::io(format!("read {path}"), &error)),
    }
}
