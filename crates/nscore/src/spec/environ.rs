//! A variable of the environment, as a user asks for it: `NAME=VALUE` or `NAME`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use crate::error::text::quoted;

/// A variable to set: `NAME=VALUE`, or `NAME` for the value that it has in the
/// caller's environment, if it has one there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub(crate) name: OsString,
    pub(crate) value: Option<OsString>,
}

impl TryFrom<OsString> for Assignment {
    type Error = String;

    fn try_from(text: OsString) -> Result<Assignment, String> {
        let bytes = text.as_bytes();
        let (name, value) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
            None => (bytes, None),
        };
        if name.is_empty() {
            return Err(format!("{} has no name", quoted(&text)));
        }
        let owned = |bytes| OsStr::from_bytes(bytes).to_os_string();
        Ok(Assignment {
            name: owned(name),
            value: value.map(owned),
        })
    }
}
