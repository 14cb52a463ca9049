//! The one error type: what could not be done, why, what to do about it, and
//! the exit status that says so to a script.

pub(crate) mod digits;
pub(crate) mod hint;
pub(crate) mod text;

use std::ffi::{CString, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;

use crate::error::hint::advice::Op;
use crate::error::hint::facts::Facts;
use crate::error::hint::table;
use crate::error::text::word;
use crate::proc::Untold;

/// Exit status of a usage error, `EX_USAGE` of sysexits(3).
const USAGE: u8 = 64;

/// A start, an entry or an exec that did not happen.
///
/// Displays as `cannot VERB OBJECT: REASON`; the reason is the kernel's own
/// word unless that word misleads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    what: String,
    reason: String,
    list: Option<String>,
    hint: Option<String>,
    status: u8,
}

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// `what` is "VERB OBJECT", `reason` says why not. Exit status 1.
    #[must_use]
    pub fn new(what: impl Into<String>, reason: impl fmt::Display) -> Error {
        Error {
            what: what.into(),
            reason: reason.to_string(),
            list: None,
            hint: None,
            status: 1,
        }
    }

    /// A request that makes no sense: exit status 64.
    #[must_use]
    pub fn usage(what: impl Into<String>, reason: impl fmt::Display) -> Error {
        Error::new(what, reason).with_status(USAGE)
    }

    /// A system call that failed, with advice when this machine's settings
    /// explain the failure.
    pub(crate) fn system(op: Op, what: impl Into<String>, errno: Errno) -> Error {
        let advice = table::advise(op, errno, &Facts::probe());
        let reason = advice.reason.unwrap_or_else(|| word(errno));
        Error::new(what, reason).with_any_hint(advice.hint)
    }

    /// A system call that failed for a reason that its number tells well, but
    /// for which call it is that is not there.
    pub(crate) fn errno(what: impl Into<String>, errno: Errno) -> Error {
        match errno {
            Errno::ENOSYS => Error::system(Op::Other, what, errno),
            _ => Error::new(what, word(errno)),
        }
    }

    /// What failed, and how an error of the standard library calls the reason: by
    /// the kernel's own word, where it has one.
    pub fn io(what: impl Into<String>, error: &std::io::Error) -> Error {
        match error.raw_os_error() {
            Some(number) => Error::errno(what, Errno::from_raw(number)),
            None => Error::new(what, error),
        }
    }

    /// A program of the host's that could not be started.
    pub(crate) fn spawn(what: impl Into<String>, error: &std::io::Error) -> Error {
        match error.raw_os_error() {
            Some(number) => Error::system(Op::Process, what, Errno::from_raw(number)),
            None => Error::new(what, error),
        }
    }

    /// The same error with this advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with this advice, if there is any.
    #[must_use]
    pub(crate) fn with_any_hint(self, hint: Option<impl Into<String>>) -> Error {
        let hint = hint.map(Into::into).or(self.hint);
        Error { hint, ..self }
    }

    /// The same error with these lines, each ended by a newline.
    #[must_use]
    pub(crate) fn with_list(mut self, lines: String) -> Error {
        self.list = Some(lines);
        self
    }

    /// The same error with this exit status.
    #[must_use]
    pub fn with_status(mut self, status: u8) -> Error {
        self.status = status;
        self
    }

    /// What there is to choose from, in lines.
    #[must_use]
    pub fn list(&self) -> Option<&str> {
        self.list.as_deref()
    }

    /// One line of advice; present only when a checked fact supports it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The exit status: 64 usage, 126 and 127 exec, 128+n a signal that ended
    /// the start, 1 the rest.
    #[must_use]
    pub fn status(&self) -> u8 {
        self.status
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.what, self.reason)
    }
}

impl std::error::Error for Error {}

impl From<Untold> for Error {
    fn from(Untold { what, errno }: Untold) -> Error {
        Error::system(Op::Proc, what, errno)
    }
}

/// A string for the kernel.
pub(crate) fn c_string(text: impl AsRef<OsStr>) -> Result<CString> {
    let text = text.as_ref();
    CString::new(text.as_bytes())
        .map_err(|_| Error::usage(format!("use {}", text::quoted(text)), "it holds a NUL byte"))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::error::text::{quoted, quoted_c};

    #[test]
    fn reads_as_one_lower_case_line() {
        let error = Error::errno(format!("open {}", quoted("/a\nb")), Errno::ENOENT);
        assert_eq!(
            error.to_string(),
            "cannot open /a\\nb: no such file or directory"
        );
        assert_eq!(error.status(), 1);
        assert_eq!(Error::usage("read map", "it is empty").status(), 64);
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(quoted("\u{1b}[2J\tü\u{9b}"), "\\u{1b}[2J\\tü\\u{9b}");
        assert_eq!(quoted(OsStr::from_bytes(b"a\xffb\xc3")), "a\\xffb\\xc3");
        assert_eq!((quoted(""), quoted_c(c"")), ("''".into(), String::new()));
    }
}
