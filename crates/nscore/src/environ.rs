//! The environment of a program: what it starts with, and what the caller adds.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use crate::error::quoted;
use crate::exec::{LOGIN, PATH};
use crate::user::UserSpec;

/// Variables in their order.
pub(crate) type Variables = Vec<(OsString, OsString)>;

/// A variable to set: `NAME=VALUE`, or `NAME` for the value that it has in the
/// caller's environment, if it has one there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    name: OsString,
    value: Option<OsString>,
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

/// What init finds by itself: nothing of the caller's but the kind of terminal.
pub(crate) fn own() -> Variables {
    let mut environment: Variables = vec![
        ("container".into(), "contain".into()),
        ("HOME".into(), "/root".into()),
        ("PATH".into(), PATH.into()),
    ];
    if let Some(term) = std::env::var_os("TERM") {
        environment.push(("TERM".into(), term));
    }
    environment
}

/// The environment of this process, for a command that keeps it.
pub(crate) fn callers() -> Variables {
    std::env::vars_os().collect()
}

fn with(mut variables: Variables, asked: &[Assignment]) -> Variables {
    for Assignment { name, value } in asked {
        let value = value.clone().or_else(|| std::env::var_os(name));
        if let Some(value) = value {
            variables.retain(|(known, _)| known != name);
            variables.push((name.clone(), value));
        }
    }
    variables
}

/// The environment of a program: `base` with what was asked for on top. What
/// says who the program runs as is left out where its `user` is to say it.
pub(crate) fn of(base: Variables, asked: &[Assignment], user: Option<&UserSpec>) -> Variables {
    let mut base = base;
    base.retain(|(name, _)| user.is_none() || !LOGIN.iter().any(|known| name == known));
    with(base, asked)
}

/// The value of `name`.
pub(crate) fn value<'a>(variables: &'a Variables, name: &str) -> Option<&'a OsStr> {
    let found = variables.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(text: &str) -> Result<Assignment, String> {
        Assignment::try_from(OsString::from(text))
    }

    #[test]
    fn the_last_word_wins() {
        let base = vec![("A".into(), "1".into()), ("B".into(), "2".into())];
        let asked = ["A=x=y", "C=", "A=3", "NO_SUCH_VARIABLE_HERE"];
        let asked: Vec<_> = asked.map(|text| assignment(text).unwrap()).into();
        let all = with(base, &asked);
        let names: Vec<_> = all.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        assert_eq!(names, ["B", "C", "A"]);
        assert_eq!(value(&all, "A"), Some(OsStr::new("3")));
        assert_eq!(value(&all, "C"), Some(OsStr::new("")));
        assert!(assignment("=x").is_err() && assignment("").is_err());
    }

    #[test]
    fn a_name_alone_takes_the_callers_value() {
        let path = std::env::var_os("PATH").unwrap();
        let all = with(Vec::new(), &[assignment("PATH").unwrap()]);
        assert_eq!(value(&all, "PATH"), Some(path.as_os_str()));
    }
}
