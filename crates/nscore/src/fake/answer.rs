//! From a call to its answer. Whatever is not known to be better is the kernel's to
//! do: for a file without a record, and for a call that names none that can be found,
//! the truth is the answer. The kernel then looks for itself, and may find another
//! file than was found here; but all that is lost by that is a tale, which the program
//! would have kept from itself.

use std::os::fd::AsFd as _;
use std::sync::atomic::Ordering;

use nix::errno::Errno;

use crate::fake::call::{By, Call, Known, Layout};
use crate::fake::question::{Glance, Question};
use crate::fake::{attributes, owner, stat, who};
use crate::sys::notify::Answer;
use crate::sys::{Sys, inode};

impl Question<'_, '_> {
    /// Never fails: an error is an answer.
    pub(super) fn answer(&mut self) -> Answer {
        let notice = &self.asker.notice;
        // Of who is outside of our PID namespace nothing can be reached.
        let known = self.shared.calls.get(notice.abi, notice.number);
        let Some(Known { call, narrow }) = known.filter(|_| notice.tid != 0) else {
            return Answer::Continue;
        };
        let answer = match call {
            Call::Stat(by, layout) => self.stat(by, layout),
            Call::Statx => self.statx(),
            Call::ListAttributes(by) => attributes::list(self, by),
            Call::Chown(by) => self.change_owner(by, narrow),
            Call::Chmod(by) => self.change_mode(by),
            Call::Mknod(_) | Call::Mkdir(_) | Call::Symlink(_) | Call::Open(_) | Call::Creat => {
                self.create(call)
            }
            Call::Become(change) => who::change(self, change, narrow),
            Call::Who(which) => who::tell(self, which, narrow),
            Call::SetGroups => who::set_groups(self, narrow),
            Call::GetGroups => who::get_groups(self, narrow),
            Call::KeepCapabilities => who::keep_capabilities(self),
            Call::Move => {
                self.shared.moved.store(true, Ordering::Release);
                Ok(Answer::Continue)
            }
        };
        answer.unwrap_or_else(Answer::Error)
    }

    fn stat(&mut self, by: By, layout: Layout) -> Sys<Answer> {
        let (file, record) = match self.glance(by, 3) {
            Glance::Truth => return Ok(Answer::Continue),
            Glance::Record(status, record) => (status, record),
            Glance::Look => match self.recorded(by, 3) {
                Some((file, record)) => (file.status, record),
                None => return Ok(Answer::Continue),
            },
        };
        let at = if by == By::At { 2 } else { 1 };
        self.asker
            .write(at, &stat::encode(&file, &record, layout)?)?;
        Ok(Answer::Value(0))
    }

    fn statx(&mut self) -> Sys<Answer> {
        if matches!(self.glance(By::At, 2), Glance::Truth) {
            return Ok(Answer::Continue);
        }
        let Some((file, record)) = self.recorded(By::At, 2) else {
            return Ok(Answer::Continue);
        };
        let (flags, mask) = (self.asker.number(2), self.asker.word(3));
        let sync = flags & (libc::AT_STATX_FORCE_SYNC | libc::AT_STATX_DONT_SYNC);
        let status = inode::extended_status(file.fd(), sync, mask)?;
        self.asker
            .write(4, &stat::encode_extended(&status, &record))?;
        Ok(Answer::Value(0))
    }

    fn change_owner(&mut self, by: By, narrow: bool) -> Sys<Answer> {
        let at = if by == By::At { 2 } else { 1 };
        let to = [at, at + 1].map(|index| self.id(index, narrow));
        let Some(file) = self.own(by, 4)? else {
            return Ok(Answer::Continue);
        };
        let who = self.who().filter(|who| !who::may_all(self, who));
        let fd = file.fd().try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
        match owner::change_owner(file, &self.shared.ids, who.as_ref(), to) {
            Err(Errno::EOPNOTSUPP) => self.shared.refusals.answer(&self.asker, fd.as_fd()),
            other => other,
        }
    }

    fn change_mode(&mut self, by: By) -> Sys<Answer> {
        let at = match by {
            By::At | By::AtPath => 2,
            _ => 1,
        };
        let mode = self.asker.word(at);
        match self.own(by, 3)? {
            Some(file) => owner::change_mode(file, mode),
            None => Ok(Answer::Continue),
        }
    }
}
