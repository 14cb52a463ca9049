//! The files that may be a program, what is seen of each, and which is taken.

use std::borrow::Cow;
use std::ffi::CStr;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, stat};
use nix::unistd::read;

use super::Program;
use crate::sys::Sys;

/// Enough room for the program headers of a file and the name of its loader.
pub(crate) const HEADER: usize = 2048;

/// What is seen of a file that may be the program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Candidate<'a> {
    /// Which of the program's files.
    pub(crate) index: usize,
    /// The file's type and mode, 0 when there is no file.
    pub(crate) mode: u32,
    /// How its contents begin, where that matters.
    pub(crate) header: Cow<'a, [u8]>,
}

/// Why an exec failed: enough for the parent to say so.
#[derive(Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) errno: Errno,
    pub(crate) candidate: Candidate<'a>,
}

impl From<Errno> for Failure<'_> {
    fn from(errno: Errno) -> Self {
        Failure {
            errno,
            candidate: Candidate::default(),
        }
    }
}

impl<'a> Candidate<'a> {
    fn new(index: usize) -> Candidate<'static> {
        Candidate {
            index,
            ..Candidate::default()
        }
    }

    /// Whether the file is text, and so a script of the shell's if of nothing.
    pub(super) fn is_text(&self) -> bool {
        !self.header.is_empty() && !self.header.contains(&0)
    }

    /// Looks at the file.
    fn look_at(mut self, path: &CStr) -> Candidate<'a> {
        self.mode = stat(path).map_or(0, |status| status.st_mode);
        self
    }

    /// Looks at how its contents begin.
    fn look_into(mut self, path: &CStr, room: &'a mut [u8]) -> Candidate<'a> {
        self.header = Cow::Borrowed(header_of(path, room));
        self
    }
}

/// How the contents of this file begin; of one that cannot be read, nothing.
pub(super) fn header_of<'a>(path: &CStr, room: &'a mut [u8]) -> &'a [u8] {
    // O_NONBLOCK: the file may be a pipe that nobody writes to.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let len = open(path, flags, Mode::empty()).and_then(|file| read(&file, &mut *room));
    &room[..len.unwrap_or(0)]
}

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
        Failure {
            errno: Errno::ENOENT,
            candidate: candidate.unwrap_or_default(),
        }
    }
}
