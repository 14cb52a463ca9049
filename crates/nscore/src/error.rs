//! The one error type: what could not be done, why, what to do about it, and
//! the exit status that says so to a script.

use std::ffi::{CStr, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;

use crate::hint::{self, Facts, Op};

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
        Error {
            status: USAGE,
            ..Error::new(what, reason)
        }
    }

    /// A system call that failed, with advice when this machine's settings
    /// explain the failure.
    pub(crate) fn system(op: Op, what: impl Into<String>, errno: Errno) -> Error {
        let advice = hint::advise(op, errno, &Facts::probe());
        let reason = advice.reason.unwrap_or_else(|| word(errno));
        Error {
            hint: advice.hint,
            ..Error::new(what, reason)
        }
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

/// The kernel's word for an error number, as the middle of a sentence.
pub(crate) fn word(errno: Errno) -> String {
    if errno == Errno::UnknownErrno {
        return "unknown error".to_string();
    }
    let text = errno.desc();
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_string(),
    }
}

/// A path or word of the user's as it stands in a message: control characters
/// and bytes outside UTF-8 are escaped, so that a message stays one line and a
/// terminal shows it as it is. Nothing at all is `''`.
pub fn quoted(text: impl AsRef<OsStr>) -> String {
    match text.as_ref().as_bytes() {
        [] => "''".to_string(),
        bytes => escaped(bytes),
    }
}

/// The same of a path of the plan's, which is nothing where it is that of the
/// directory itself.
pub(crate) fn quoted_c(path: &CStr) -> String {
    escaped(path.to_bytes())
}

fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        out.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

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
