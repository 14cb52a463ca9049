//! A file that may be a program, and what is seen of it.

use std::borrow::Cow;
use std::ffi::CStr;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::stat;
use nix::unistd::read;

use crate::sys::path;

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
        let candidate = Candidate::default();
        Failure { errno, candidate }
    }
}

impl<'a> Candidate<'a> {
    pub(super) fn new(index: usize) -> Candidate<'static> {
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
    pub(super) fn look_at(mut self, path: &CStr) -> Candidate<'a> {
        self.mode = stat(path).map_or(0, |status| status.st_mode);
        self
    }

    /// Looks at how its contents begin.
    pub(super) fn look_into(mut self, path: &CStr, room: &'a mut [u8]) -> Candidate<'a> {
        self.header = Cow::Borrowed(header_of(path, room));
        self
    }
}

/// How the contents of this file begin; of one that cannot be read, nothing.
pub(super) fn header_of<'a>(path: &CStr, room: &'a mut [u8]) -> &'a [u8] {
    // O_NONBLOCK: the file may be a pipe that nobody writes to.
    let file = path::open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK);
    let len = file.and_then(|file| read(&file, &mut *room));
    &room[..len.unwrap_or(0)]
}
