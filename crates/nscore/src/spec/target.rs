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
