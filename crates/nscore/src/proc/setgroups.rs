//! Whether a user namespace allows setgroups(2), user_namespaces(7).

use crate::proc::{self, Untold};

/// Whether the maps of this process left setgroups(2) to it.
///
/// # Errors
/// When there is no such process.
pub(crate) fn setgroups_allowed(pid: libc::pid_t) -> Result<bool, Untold> {
    let path = format!("/proc/{pid}/setgroups");
    let word = proc::read(&path).map_err(|error| Untold::reading(&path, error))?;
    Ok(word.trim() == "allow")
}
