//! The container that is meant, as a user names it: a process id, a directory or a
//! name, and for root USER/NAME.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::error::digits::{are_digits, digits};
use crate::error::text::quoted;
use crate::error::{Error, Result};
use crate::spec::name::Name;

/// What a caller names as a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The supervisor's process id, or that of any process inside.
    Pid(i32),
    /// The name that its starter, the caller, gave it.
    Name(Name),
    /// The directory that a container of the caller's runs from. Root may also
    /// mean USER/NAME by it.
    Dir(PathBuf),
}

impl TryFrom<OsString> for Target {
    type Error = Error;

    fn try_from(word: OsString) -> Result<Target> {
        let what = format!("enter container {}", quoted(&word));
        // The two directories that need no slash to be told.
        if word.as_bytes().contains(&b'/') || word == "." || word == ".." {
            return Ok(Target::Dir(word.into()));
        }
        let text = word.to_str().unwrap_or("\n");
        if are_digits(text) {
            return match digits(text) {
                Some(pid @ 1..) => Ok(Target::Pid(pid)),
                _ => Err(Error::usage(what, "there is no such process id")),
            };
        }
        let name = text.parse().map_err(|reason: String| {
            Error::usage(what, format!("it is no process id, and no name: {reason}"))
        })?;
        Ok(Target::Name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(word: &str) -> Result<Target> {
        Target::try_from(OsString::from(word))
    }

    #[test]
    fn a_process_id_a_name_or_a_directory() {
        assert_eq!(target("12").unwrap(), Target::Pid(12));
        assert_eq!(target("1x").unwrap(), Target::Name("1x".parse().unwrap()));
        for dir in ["/", "./web", "ann/web", "web/", ".", ".."] {
            assert_eq!(target(dir).unwrap(), Target::Dir(dir.into()));
        }
        for word in ["0", "-1", "4294967297", "", "+1", " 1", "a b", "a\n"] {
            assert_eq!(target(word).unwrap_err().status(), 64, "{word:?}");
        }
    }
}
