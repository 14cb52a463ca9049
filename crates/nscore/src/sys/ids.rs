//! Changing who a process is: all ids at once, and read back. Raw system calls,
//! because the C library's would signal threads, and there are none.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{self, getresgid, getresuid};

use crate::sys::{Sys, cvt, path};

/// Sets the supplementary groups.
fn set_groups(groups: &[u32]) -> Sys<()> {
    // SAFETY: the pointer is to that many ids for the time of the call.
    cvt(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

/// Drops the supplementary groups, unless this user namespace does not allow it,
/// user_namespaces(7); says whether it does. For before a container's own /proc
/// is there to be asked.
pub(crate) fn drop_groups_if_allowed() -> Sys<bool> {
    match set_groups(&[]) {
        Err(Errno::EPERM) if setgroups_denied() => Ok(false),
        other => other.map(|()| true),
    }
}

fn setgroups_denied() -> bool {
    let mut word = [0; 5];
    let file = path::open(c"/proc/self/setgroups", OFlag::O_RDONLY);
    let read = file.and_then(|file| unistd::read(&file, &mut word));
    read.is_ok() && word.starts_with(b"deny")
}

/// Becomes this user and group in all three kinds of id, and reads them back;
/// the supplementary groups become `groups` unless they are to stay.
pub(crate) fn become_ids(uid: u32, gid: u32, groups: Option<&[u32]>) -> Sys<()> {
    // SAFETY: integers only.
    cvt(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    groups.map_or(Ok(()), set_groups)?;
    // SAFETY: integers only.
    cvt(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })?;
    let (user, group) = (getresuid()?, getresgid()?);
    let users = [user.real, user.effective, user.saved].map(nix::unistd::Uid::as_raw);
    let groups = [group.real, group.effective, group.saved].map(nix::unistd::Gid::as_raw);
    if users != [uid; 3] || groups != [gid; 3] {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// Becomes root of the user namespace, and drops the other groups where that is
/// allowed.
pub(crate) fn become_root(drop_groups: bool) -> Sys<()> {
    become_ids(0, 0, drop_groups.then_some(&[]))
}
