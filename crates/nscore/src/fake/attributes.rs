//! Lists of extended attributes, without ours: who copies attributes would copy an owner.

use std::ffi::CStr;
use std::os::fd::AsFd as _;

use nix::errno::Errno;

use crate::fake::call::By;
use crate::fake::find::Wanted;
use crate::fake::mark;
use crate::fake::question::Question;
use crate::fake::record::{self, Kind};
use crate::sys::notify::Answer;
use crate::sys::{Sys, inode};

/// listxattr(2) and its like.
pub(super) fn list(question: &mut Question, by: By) -> Sys<Answer> {
    let Ok(Some(all)) = names(question, by) else {
        return Ok(Answer::Continue);
    };
    let has = |key: &CStr| {
        let mut names = all.split_inclusive(|byte| *byte == 0);
        names.any(|name| name == key.to_bytes_with_nul())
    };
    // A file with the one can have the other for what it is.
    let key = match has(record::KEY) {
        true => record::KEY,
        false if has(mark::KEY) && is_marked(question, by) => mark::KEY,
        false => return Ok(Answer::Continue),
    };
    let others = all.split_inclusive(|byte| *byte == 0);
    let others = others.filter(|name| *name != key.to_bytes_with_nul());
    let list: Vec<u8> = others.flatten().copied().collect();
    match usize::try_from(question.asker.address(2)).unwrap_or(usize::MAX) {
        0 => {}
        room if room < list.len() => return Err(Errno::ERANGE),
        _ if list.is_empty() => {}
        _ => question.asker.write(1, &list)?,
    }
    Ok(Answer::Value(list.len() as i64))
}

/// Whether the file's capabilities are none, but tell whose it is.
fn is_marked(question: &mut Question, by: By) -> bool {
    let record = question.recorded(by, 0).map(|(_, record)| record.kind);
    matches!(record, Some(Kind::Link | Kind::Pipe | Kind::Socket))
}

/// All names; None where a closer look than this thread's is due, which nobody takes.
fn names(question: &mut Question, by: By) -> Sys<Option<Vec<u8>>> {
    let (dir, path, follow) = question.words(by, 0)?;
    let Some(path) = path else {
        let file = question.paths.begin(&question.asker, dir)?;
        return inode::attributes(file.as_fd()).map(Some);
    };
    let wanted = Wanted {
        dir,
        path: &path,
        follow,
    };
    let moved = question.moved();
    let get = |path: &CStr| inode::attributes_at(path, follow);
    question
        .paths
        .with(&question.asker, &wanted, moved, get)?
        .transpose()
}
