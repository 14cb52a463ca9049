//! What an exec that failed means, as a message with the status of a shell: 127
//! for what is not there, 126 for what cannot be run.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::sys::stat::SFlag;

use crate::error::Error;
use crate::error::text::quoted;
use crate::exec::candidate::Failure;
use crate::exec::header;
use crate::exec::program::Program;
use crate::sys::path;

impl Program {
    /// The failure as a message: 127 when something is not there, else 126.
    pub(crate) fn explain(&self, failure: &Failure) -> Error {
        let Failure { errno, candidate } = failure;
        let shown = match self.candidates.get(candidate.index) {
            Some(path) if candidate.mode != 0 => quoted(OsStr::from_bytes(path.to_bytes())),
            _ => self.name(),
        };
        let what = format!("run {shown}");
        let header = &*candidate.header;
        match *errno {
            Errno::ENOENT if candidate.mode == 0 && !shown.contains('/') => {
                Error::new(what, "command not found")
                    .with_status(127)
                    .with_any_hint(misplaced(&shown))
            }
            Errno::ENOENT if candidate.mode != 0 => match header::interpreter(header) {
                Some(loader) => {
                    let shown = quoted(OsStr::from_bytes(loader));
                    let hint = if loader.ends_with(b"\r") {
                        "its lines end in a carriage return, which is part of that name".to_string()
                    } else {
                        format!(
                            "the file itself exists: add {shown} to the root, or use a static program"
                        )
                    };
                    Error::new(what, format!("its interpreter {shown} is missing"))
                        .with_hint(hint)
                        .with_status(127)
                }
                None => Error::new(what, "its interpreter is missing").with_status(127),
            },
            errno @ (Errno::ENOENT | Errno::ENOTDIR) => {
                let error = Error::errno(what, errno).with_any_hint(misplaced(&shown));
                error.with_any_hint(self.if_missing).with_status(127)
            }
            Errno::EACCES if path::kind(candidate.mode) == SFlag::S_IFDIR => {
                Error::new(what, "is a directory").with_status(126)
            }
            Errno::ENOEXEC => match header::foreign_machine(header) {
                Some(machine) => Error::new(what, format!("it is a program for {machine}")),
                None => Error::errno(what, Errno::ENOEXEC),
            }
            .with_status(126),
            errno => Error::errno(what, errno).with_status(126),
        }
    }
}

/// What a word that is no command may have been meant for.
fn misplaced(word: &str) -> Option<String> {
    if word.starts_with('-') {
        return Some("options come before the first word that is none".to_string());
    }
    let blank = word.contains(char::is_whitespace);
    blank.then(|| format!("that is one word: leave out the quotes, or say sh -c '{word}'"))
}
