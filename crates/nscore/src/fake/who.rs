//! The calls about who a process is. Of root, who is that in truth, they are the
//! kernel's.

use nix::errno::Errno;

use crate::fake::ids::{Change, How, Program, SAME, Which, Who, shorten, widen};
use crate::fake::question::Question;
use crate::sys::Sys;
use crate::sys::notify::Answer;

/// setuid(2) and its like.
pub(super) fn change(question: &Question, change: Change, narrow: bool) -> Sys<Answer> {
    let count = match change.how {
        How::Set | How::SetFs => 1,
        How::SetRe => 2,
        How::SetRes => 3,
    };
    let mut to = [SAME; 3];
    for (index, id) in to.iter_mut().enumerate().take(count) {
        *id = question.id(index, narrow);
    }
    let who = question.who();
    // Root stays root.
    if who.is_none() && to[..count].iter().all(|id| [0, SAME].contains(id)) {
        return Ok(Answer::Continue);
    }
    let who = who.unwrap_or_default();
    let may = may_all(question, &who);
    let (who, value) = who.changed(change, to, may)?;
    become_who(question, who)?;
    Ok(Answer::Value(value))
}

/// prctl(PR_SET_KEEPCAPS), which the kernel does as well. What relies on it:
/// findings/setpriv-groups-after-the-user.sh.
pub(super) fn keep_capabilities(question: &Question) -> Sys<Answer> {
    let who = question.who().unwrap_or_default();
    // Who has none keeps none.
    let keeps = question.asker.word(1) != 0 && may_all(question, &who);
    let keeper = keeps.then(|| program(question)).flatten();
    if who.keeper != keeper {
        become_who(question, Who { keeper, ..who })?;
    }
    Ok(Answer::Continue)
}

/// Whether it has the rights of root still.
pub(super) fn may_all(question: &Question, who: &Who) -> bool {
    let keeps = || who.keeper.is_some() && who.keeper == program(question);
    who.user.effective == 0 || keeps()
}

/// Field 28 of proc_pid_stat(5).
fn program(question: &Question) -> Option<Program> {
    let text = question.asker.text("stat")?;
    // Behind the name, which is of the program's choice.
    let (_, fields) = text.rsplit_once(") ")?;
    Some(Program(fields.split(' ').nth(25)?.parse().ok()?))
}

/// getuid(2) and its like.
pub(super) fn tell(question: &Question, which: Which, narrow: bool) -> Sys<Answer> {
    let Some(who) = question.who() else {
        return Ok(Answer::Continue);
    };
    match (which, who.ids(which).as_slice()) {
        (Which::AllUsers | Which::AllGroups, ids) => {
            for (index, id) in ids.iter().enumerate() {
                question.asker.write(index, &bytes(&[*id], narrow))?;
            }
            Ok(Answer::Value(0))
        }
        (_, ids) if narrow => Ok(Answer::Value(shorten(ids[0]).into())),
        (_, ids) => Ok(Answer::Value(ids[0].into())),
    }
}

/// setgroups(2).
pub(super) fn set_groups(question: &Question, narrow: bool) -> Sys<Answer> {
    /// NGROUPS_MAX of linux/limits.h.
    const MOST: u32 = 65536;
    let who = question.who().unwrap_or_default();
    if !may_all(question, &who) {
        return Err(Errno::EPERM);
    }
    let count = question.asker.word(0);
    if count > MOST {
        return Err(Errno::EINVAL);
    }
    let size = if narrow { 2 } else { 4 };
    let bytes = question.asker.bytes(1, count as usize * size)?;
    let mut groups: Vec<u32> = match narrow {
        true => bytes
            .chunks_exact(2)
            .map(|id| widen(u16::from_ne_bytes([id[0], id[1]])))
            .collect(),
        false => bytes
            .chunks_exact(4)
            .map(|id| u32::from_ne_bytes([id[0], id[1], id[2], id[3]]))
            .collect(),
    };
    if groups.contains(&SAME) {
        return Err(Errno::EINVAL);
    }
    groups.sort_unstable();
    let groups = Some(groups);
    become_who(question, Who { groups, ..who })?;
    Ok(Answer::Value(0))
}

/// getgroups(2).
pub(super) fn get_groups(question: &Question, narrow: bool) -> Sys<Answer> {
    let Some(groups) = question.who().and_then(|who| who.groups) else {
        return Ok(Answer::Continue);
    };
    let room = question.asker.number(0);
    match usize::try_from(room) {
        Ok(0) => {}
        Ok(room) if room >= groups.len() => {
            if !groups.is_empty() {
                question.asker.write(1, &bytes(&groups, narrow))?;
            }
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(Answer::Value(groups.len() as i64))
}

fn become_who(question: &Question, who: Who) -> Sys<()> {
    question.asker.verify()?;
    let tid = question.asker.notice.tid;
    question.shared.identities.give(tid, who)
}

/// Ids as they lie in memory.
fn bytes(ids: &[u32], narrow: bool) -> Vec<u8> {
    match narrow {
        true => ids
            .iter()
            .flat_map(|id| shorten(*id).to_ne_bytes())
            .collect(),
        false => ids.iter().flat_map(|id| id.to_ne_bytes()).collect(),
    }
}
