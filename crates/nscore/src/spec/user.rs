//! Whom a program runs as, as a user asks for it: `USER[:GROUP]`, names or numbers.

use std::fmt;
use std::str::FromStr;

use crate::error::digits::{are_digits, digits};
use crate::error::text::quoted;

/// Longer than any name in passwd(5), useradd(8).
pub(crate) const MAX_NAME: usize = 255;

/// A user or group, by name or by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Id {
    Number(u32),
    Name(String),
}

/// `USER[:GROUP]`: names of the container's /etc/passwd and /etc/group, or ids.
/// Without GROUP it is the user's own. The user's other groups are those that
/// /etc/group says, as initgroups(3) does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSpec {
    pub(crate) user: Id,
    pub(crate) group: Option<Id>,
}

impl FromStr for UserSpec {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<UserSpec, String> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        Ok(UserSpec {
            user: id(user, "user")?,
            group: group.map(|group| id(group, "group")).transpose()?,
        })
    }
}

fn id(text: &str, kind: &str) -> std::result::Result<Id, String> {
    if text.is_empty() {
        return Err(format!("the {kind} is empty"));
    }
    if are_digits(text) {
        // The last one means "unchanged" to the kernel.
        let id = digits(text).filter(|id| *id < u32::MAX);
        return id
            .map(Id::Number)
            .ok_or_else(|| format!("there is no {kind} id {text}"));
    }
    // useradd(8): none begins with a dash; a plus is no name but an instruction.
    let bad = text.starts_with(['-', '+'])
        || text.contains([':', ',', '/'])
        || text.contains(char::is_control);
    if bad || text.len() > MAX_NAME {
        return Err(format!("{} is no name of a {kind}", quoted(text)));
    }
    Ok(Id::Name(text.to_string()))
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(id) => id.fmt(f),
            Id::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for UserSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.user.fmt(f)?;
        match &self.group {
            Some(group) => write!(f, ":{group}"),
            None => Ok(()),
        }
    }
}
