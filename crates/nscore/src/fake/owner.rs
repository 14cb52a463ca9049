//! Changes of owner and permissions, done as far as the kernel lets us and remembered
//! beyond that.

use nix::errno::Errno;

use crate::fake::file::{File, Ids};
use crate::fake::ids::{SAME, Who};
use crate::fake::record::{Kind, Record};
use crate::sys::notify::Answer;
use crate::sys::{Sys, inode};

/// chown(2) of a file that is ours.
pub(super) fn change_owner(
    mut file: File,
    ids: &Ids,
    who: Option<&Who>,
    to: [u32; 2],
) -> Sys<Answer> {
    let old = file.told();
    let or = |id, old| if id == SAME { old } else { id };
    let [user, group] = [or(to[0], old.user), or(to[1], old.group)];
    if who.is_some_and(|who| !may_change(who, &old, user, group)) {
        return Err(Errno::EPERM);
    }
    let before = (file.status.st_uid, file.status.st_gid);
    // What the kernel can do it does. Where that is nothing it is still asked for a
    // program's sake, which loses its set-id bits and capabilities with its owner.
    let real_user = ids.user.has_inside(user).then_some(user);
    let real_group = ids.group.has_inside(group).then_some(group);
    let differs = real_user.is_some_and(|user| user != before.0)
        || real_group.is_some_and(|group| group != before.1);
    let program = old.kind == Kind::File && file.status.st_mode & 0o6111 != 0;
    if differs || program {
        inode::change_owner(file.fd(), real_user, real_group)?;
        file.refresh()?;
    }
    let mode = file.status.st_mode & 0o7777;
    file.keep(Record {
        user,
        group,
        mode,
        ..old
    })?;
    Ok(Answer::Value(0))
}

/// Whether somebody who is not root may: chown(2).
fn may_change(who: &Who, old: &Record, user: u32, group: u32) -> bool {
    let groups = who.groups.as_deref().unwrap_or_default();
    let own_group = group == old.group || group == who.group.file_system || groups.contains(&group);
    who.user.file_system == old.user && user == old.user && own_group
}

/// chmod(2). Of a file without a record it is the kernel's alone.
pub(super) fn change_mode(mut file: File, mode: u32) -> Sys<Answer> {
    let Some(old) = file.record() else {
        return Ok(Answer::Continue);
    };
    inode::change_mode(file.fd(), mode & 0o7777)?;
    file.refresh()?;
    let mode = file.status.st_mode & 0o7777;
    file.keep(Record { mode, ..old })?;
    Ok(Answer::Value(0))
}
