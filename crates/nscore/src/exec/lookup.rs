//! Which of the files that may be a program is taken, as execvp(3) takes one.

use std::ffi::CStr;

use nix::errno::Errno;

use crate::exec::candidate::{Candidate, Failure};
use crate::exec::program::Program;
use crate::sys::Sys;

impl Program {
    /// The first candidate of which an attempt says anything but that it is not
    /// there or forbidden, with what it says.
    pub(super) fn first<'a, T>(
        &self,
        room: &'a mut [u8],
        attempt: impl Fn(&CStr, &mut [u8]) -> Sys<T>,
    ) -> Result<(T, Candidate<'a>), Failure<'a>> {
        let mut forbidden = None;
        for (i, path) in self.candidates.iter().enumerate() {
            let seen = Candidate::new(i);
            match attempt(path, room) {
                Ok(made) => return Ok((made, seen.look_at(path).look_into(path, room))),
                // As execvp(3): what is not there, or in a directory that we
                // may not search, may be further on. What is there and
                // forbidden is remembered.
                Err(Errno::ENOENT | Errno::ENOTDIR) if self.candidates.len() > 1 => {}
                Err(errno @ Errno::EACCES) => {
                    let candidate = seen.look_at(path);
                    if candidate.mode != 0 || self.candidates.len() == 1 {
                        forbidden.get_or_insert(Failure { errno, candidate });
                    }
                }
                Err(errno) => {
                    let candidate = seen.look_at(path).look_into(path, room);
                    return Err(Failure { errno, candidate });
                }
            }
        }
        Err(forbidden.unwrap_or_else(|| self.look_for(room)))
    }

    /// Why none of several candidates could be run, though none is forbidden: what
    /// is there all the same lacks its interpreter.
    fn look_for<'a>(&self, room: &'a mut [u8]) -> Failure<'a> {
        let mut candidates = self.candidates.iter().enumerate();
        let there = candidates.find_map(|(i, path)| {
            let candidate = Candidate::new(i).look_at(path);
            (candidate.mode != 0).then_some((candidate, path))
        });
        let candidate = there.map(|(candidate, path)| candidate.look_into(path, room));
        let (errno, candidate) = (Errno::ENOENT, candidate.unwrap_or_default());
        Failure { errno, candidate }
    }
}
