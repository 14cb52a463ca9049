//! A call that waits for its answer: what it asks of which file, in its asker's own
//! words, and what is known of that file.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;

use crate::fake::asker::Asker;
use crate::fake::call::{By, Calls};
use crate::fake::file::{self, File, Ids};
use crate::fake::find::{Paths, Wanted};
use crate::fake::ids::{Identities, Who, widen};
use crate::fake::record::Record;
use crate::fake::refusal::Refusals;
use crate::sys::{Sys, inode};

/// What all threads of the listener know.
pub(super) struct Shared {
    pub(super) calls: Calls,
    pub(super) ids: Ids,
    pub(super) identities: Identities,
    /// Some program may have another root than the first.
    pub(super) moved: AtomicBool,
    pub(super) refusals: Refusals,
}

/// A call, and what its answer is made with.
pub(super) struct Question<'a, 'p> {
    pub(super) asker: Asker<'a>,
    pub(super) shared: &'a Shared,
    pub(super) paths: &'a mut Paths<'p>,
}

/// What a look by path alone has found.
pub(super) enum Glance {
    /// Nothing but the truth is told.
    Truth,
    Record(libc::stat, Record),
    /// A closer look is due.
    Look,
}

impl Question<'_, '_> {
    /// What is told of a file, without a descriptor of it where it has a path: nine of
    /// ten have no record, and this is soon known.
    pub(super) fn glance(&mut self, by: By, flags: usize) -> Glance {
        let (dir, path, follow) = match self.words(by, flags) {
            Ok(words) => words,
            Err(_) => return Glance::Truth,
        };
        let ids = &self.shared.ids;
        let Some(path) = path else {
            let file = self.paths.begin(&self.asker, dir).and_then(File::new);
            let found = file.ok().filter(|file| file.is_ours(ids));
            return match found.and_then(|file| Some((file.record()?, file.status))) {
                Some((record, status)) => Glance::Record(status, record),
                None => Glance::Truth,
            };
        };
        let wanted = Wanted {
            dir,
            path: &path,
            follow,
        };
        let moved = self.moved();
        let look = |path: &CStr| glance(path, follow, ids);
        match self.paths.with(&self.asker, &wanted, moved, look) {
            Ok(Some(glance)) => glance,
            Ok(None) => Glance::Look,
            Err(_) => Glance::Truth,
        }
    }

    /// How the call names its file: where a path begins, the path, none for what that
    /// is itself, and whether its last link is followed.
    pub(super) fn words(&self, by: By, flags: usize) -> Sys<(i32, Option<CString>, bool)> {
        let asker = &self.asker;
        Ok(match by {
            By::Descriptor => match asker.number(0) {
                fd @ 0.. => (fd, None, true),
                _ => return Err(Errno::EBADF),
            },
            By::Path | By::Link => (libc::AT_FDCWD, Some(asker.path(0)?), by == By::Path),
            By::AtPath => (asker.number(0), Some(asker.path(1)?), true),
            By::At => {
                let (dir, flags) = (asker.number(0), asker.number(flags));
                let empty = flags & libc::AT_EMPTY_PATH != 0;
                let path = match asker.address(1) {
                    // As good as an empty one there, Linux 6.11.
                    0 if empty => CString::default(),
                    _ => asker.path(1)?,
                };
                let path = Some(path).filter(|path| !(empty && path.is_empty()));
                (dir, path, flags & libc::AT_SYMLINK_NOFOLLOW == 0)
            }
        })
    }

    /// The file that the call names, if it has a record.
    pub(super) fn recorded(&mut self, by: By, flags: usize) -> Option<(File, Record)> {
        let file = self.file(by, flags).ok()?;
        let record = file.is_ours(&self.shared.ids).then(|| file.record())??;
        Some((file, record))
    }

    /// The file that the call names, if it is ours to change.
    pub(super) fn own(&mut self, by: By, flags: usize) -> Sys<Option<File>> {
        let Ok(file) = self.file(by, flags) else {
            return Ok(None);
        };
        self.asker.verify()?;
        Ok(file.is_ours(&self.shared.ids).then_some(file))
    }

    /// The file that the call names; `flags` is where it has flags, if it has.
    fn file(&mut self, by: By, flags: usize) -> Sys<File> {
        let (dir, path, follow) = self.words(by, flags)?;
        File::new(match path {
            None => self.paths.begin(&self.asker, dir)?,
            Some(path) => self.find(dir, &path, follow)?,
        })
    }

    pub(super) fn find(&mut self, dir: i32, path: &CStr, follow: bool) -> Sys<OwnedFd> {
        let moved = self.moved();
        let wanted = Wanted { dir, path, follow };
        self.paths.find(&self.asker, &wanted, moved)
    }

    /// Whether some program has another root than the first, or may have.
    pub(super) fn moved(&self) -> bool {
        self.shared.moved.load(Ordering::Acquire)
    }

    /// Who the asker is told to be, if not who it is.
    pub(super) fn who(&self) -> Option<Who> {
        self.shared.identities.of(self.asker.notice.tid)
    }

    /// An id among the arguments.
    pub(super) fn id(&self, index: usize, narrow: bool) -> u32 {
        match (self.asker.word(index), narrow) {
            (word, false) => word,
            (word, true) => widen(word as u16),
        }
    }
}

/// A record counts when the file is the same after it was read as before.
fn glance(path: &CStr, follow: bool, ids: &Ids) -> Glance {
    let status = match inode::status_at(path, follow) {
        Ok(status) => status,
        // A link that leads to what is the asker's own.
        Err(Errno::ELOOP) => return Glance::Look,
        Err(_) => return Glance::Truth,
    };
    if !file::is_ours(&status, ids) {
        return Glance::Truth;
    }
    let get = |key: &_, value: &mut [u8]| inode::attribute_at(path, follow, key, value);
    let Some(record) = file::record(&status, get) else {
        return Glance::Truth;
    };
    let known = |status: &libc::stat| {
        let changed = (status.st_ctime, status.st_ctime_nsec);
        (status.st_dev, status.st_ino, changed)
    };
    match inode::status_at(path, follow) {
        Ok(again) if known(&again) == known(&status) => Glance::Record(again, record),
        _ => Glance::Look,
    }
}
