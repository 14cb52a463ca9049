//! Who a process is told to be. It stays root of its user namespace in truth, with all
//! of its rights: what it is told is a value that the kernel keeps for it and hands on
//! to its children and over an exec, so that no fork has to be watched. That is the
//! limit of file locks, which no kernel since 2.4.25 enforces: a number near
//! [`FIRST`] is one of the identities that are known here.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;

use crate::sys::{Sys, notify};

/// credentials(7), of one process: the threads of a program change together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) user: Kinds,
    pub(super) group: Kinds,
    /// None: those that it has in truth.
    pub(super) groups: Option<Vec<u32>>,
    /// It has asked to keep its capabilities when its ids change: which program has,
    /// for the next that it becomes keeps none.
    pub(super) keeper: Option<Program>,
}

/// A program in the memory of its process, by where its stack begins, which each exec
/// chooses at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Program(pub(super) u64);

/// The four kinds of an id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    pub(super) real: u32,
    pub(super) effective: u32,
    pub(super) saved: u32,
    pub(super) file_system: u32,
}

/// A call that changes ids, of users or else of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) user: bool,
    pub(super) how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Set,
    SetRe,
    SetRes,
    SetFs,
}

impl Change {
    pub(super) fn named(name: &str) -> Option<Change> {
        let (user, how) = match name.strip_suffix("uid") {
            Some(how) => (true, how),
            None => (false, name.strip_suffix("gid")?),
        };
        let how = match how {
            "set" => How::Set,
            "setre" => How::SetRe,
            "setres" => How::SetRes,
            "setfs" => How::SetFs,
            _ => return None,
        };
        Some(Change { user, how })
    }
}

/// A call that asks for ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    User,
    Group,
    EffectiveUser,
    EffectiveGroup,
    AllUsers,
    AllGroups,
}

impl Which {
    pub(super) fn named(name: &str) -> Option<Which> {
        Some(match name {
            "getuid" => Which::User,
            "getgid" => Which::Group,
            "geteuid" => Which::EffectiveUser,
            "getegid" => Which::EffectiveGroup,
            "getresuid" => Which::AllUsers,
            "getresgid" => Which::AllGroups,
            _ => return None,
        })
    }
}

/// "Leave it as it is", credentials(7).
pub(super) const SAME: u32 = u32::MAX;

/// An id of 16 bits, of which -1 is one of 32: linux/highuid.h.
pub(super) fn widen(id: u16) -> u32 {
    match id {
        u16::MAX => SAME,
        id => id.into(),
    }
}

/// An id in 16 bits, likewise.
pub(super) fn shorten(id: u32) -> u16 {
    u16::try_from(id).unwrap_or(65534)
}

impl Kinds {
    /// By the rules of setresuid(2) and its like, with CAP_SETUID or without. SetFs
    /// fails for no caller: it changes nothing then.
    fn change(self, how: How, to: [u32; 3], privileged: bool) -> Sys<Kinds> {
        let Kinds {
            real,
            effective,
            saved,
            file_system,
        } = self;
        let has = |id, own: &[u32]| id == SAME || privileged || own.contains(&id);
        let or = |id, old| if id == SAME { old } else { id };
        let all = [real, effective, saved];
        let [first, second, third] = to;
        let new = match how {
            How::Set if first == SAME => return Err(Errno::EINVAL),
            How::Set if privileged => [first; 3],
            How::Set if [real, saved].contains(&first) => [real, first, saved],
            How::Set => return Err(Errno::EPERM),
            How::SetRe if has(first, &[real, effective]) && has(second, &all) => {
                let changed = first != SAME || second != SAME && second != real;
                let now = or(second, effective);
                [or(first, real), now, if changed { now } else { saved }]
            }
            How::SetRes if to.iter().all(|id| has(*id, &all)) => {
                [or(first, real), or(second, effective), or(third, saved)]
            }
            How::SetRe | How::SetRes => return Err(Errno::EPERM),
            How::SetFs => {
                let may = first != SAME && (has(first, &all) || first == file_system);
                let file_system = if may { first } else { file_system };
                return Ok(Kinds {
                    file_system,
                    ..self
                });
            }
        };
        let [real, effective, saved] = new;
        // It follows the effective one.
        Ok(Kinds {
            real,
            effective,
            saved,
            file_system: effective,
        })
    }
}

impl Who {
    /// After the change by who may become anybody, or may not, and what the call
    /// returns.
    pub(super) fn changed(&self, change: Change, to: [u32; 3], may: bool) -> Sys<(Who, i64)> {
        let mut who = self.clone();
        let kinds = match change.user {
            true => &mut who.user,
            false => &mut who.group,
        };
        let before = kinds.file_system;
        *kinds = kinds.change(change.how, to, may)?;
        let value = match change.how {
            How::SetFs => i64::from(before),
            _ => 0,
        };
        Ok((who, value))
    }

    /// The ids that a call asks for.
    pub(super) fn ids(&self, which: Which) -> Vec<u32> {
        let all = |kinds: Kinds| vec![kinds.real, kinds.effective, kinds.saved];
        match which {
            Which::User => vec![self.user.real],
            Which::Group => vec![self.group.real],
            Which::EffectiveUser => vec![self.user.effective],
            Which::EffectiveGroup => vec![self.group.effective],
            Which::AllUsers => all(self.user),
            Which::AllGroups => all(self.group),
        }
    }
}

/// The number of the first identity: no limit that anybody sets.
const FIRST: u64 = 0x006e_736f_776e_0000;

/// The identities that processes have been given.
#[derive(Default)]
pub(super) struct Identities {
    known: Mutex<Vec<Who>>,
    /// Somebody has one.
    any: AtomicBool,
}

impl Identities {
    /// Who this process is told to be; None: root, as in truth.
    pub(super) fn of(&self, tid: libc::pid_t) -> Option<Who> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let value = notify::lock_limit(tid, None).ok()?;
        let index = usize::try_from(value.checked_sub(FIRST)?).ok()?;
        self.lock().get(index).cloned()
    }

    /// Makes the process so.
    pub(super) fn give(&self, tid: libc::pid_t, who: Who) -> Sys<()> {
        /// As many as a machine has processes is more than enough.
        const MOST: usize = 1 << 16;
        /// Of all lists of groups together.
        const MOST_GROUPS: usize = 1 << 18;
        let count = |who: &Who| who.groups.as_ref().map_or(0, Vec::len);
        let index = {
            let mut known = self.lock();
            match known.iter().position(|other| *other == who) {
                Some(index) => index,
                None if known.len() == MOST => return Err(Errno::EAGAIN),
                None if known.iter().map(count).sum::<usize>() + count(&who) > MOST_GROUPS => {
                    return Err(Errno::ENOMEM);
                }
                None => {
                    known.push(who);
                    known.len() - 1
                }
            }
        };
        self.any.store(true, Ordering::Release);
        notify::lock_limit(tid, Some(FIRST + index as u64)).map(drop)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Who>> {
        self.known
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(how: How) -> Change {
        Change { user: true, how }
    }

    fn all(who: &Who) -> [u32; 4] {
        let kinds = who.user;
        [kinds.real, kinds.effective, kinds.saved, kinds.file_system]
    }

    #[test]
    fn who_has_left_root_does_not_come_back() {
        let root = Who::default();
        for (how, to) in [
            (How::Set, [100, 0, 0]),
            (How::SetRe, [100, 100, 0]),
            (How::SetRes, [100, 100, 100]),
        ] {
            let (who, _) = root.changed(user(how), to, true).unwrap();
            assert_eq!(all(&who), [100; 4]);
            for (back, ids) in [
                (How::Set, [0; 3]),
                (How::SetRe, [SAME, 0, SAME]),
                (How::SetRes, [SAME, 0, SAME]),
                (How::SetRes, [100, 100, 0]),
            ] {
                assert_eq!(
                    who.changed(user(back), ids, false),
                    Err(Errno::EPERM),
                    "{back:?}"
                );
            }
            let group = Change {
                user: false,
                how: How::Set,
            };
            assert_eq!(who.changed(group, [5, 0, 0], false), Err(Errno::EPERM));
        }
    }

    #[test]
    fn who_has_kept_it_does() {
        let root = Who::default();
        let (who, _) = root
            .changed(user(How::SetRes), [SAME, 100, SAME], true)
            .unwrap();
        assert_eq!(all(&who), [0, 100, 0, 100]);
        let (who, _) = who.changed(user(How::Set), [0; 3], false).unwrap();
        assert_eq!(all(&who), [0; 4]);
    }

    #[test]
    fn the_file_system_s_id_tells_what_it_was() {
        let root = Who::default();
        let (who, before) = root.changed(user(How::SetFs), [7, 0, 0], true).unwrap();
        assert_eq!((all(&who), before), ([0, 0, 0, 7], 0));
        let (who, before) = who.changed(user(How::SetFs), [SAME, 0, 0], true).unwrap();
        assert_eq!((all(&who), before), ([0, 0, 0, 7], 7));
        let no = Change {
            user: true,
            how: How::Set,
        };
        assert_eq!(who.changed(no, [SAME, 0, 0], true), Err(Errno::EINVAL));
    }
}
