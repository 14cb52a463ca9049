//! Whom a program runs as and where: USER[:GROUP] and a directory as they were
//! asked for, and the steps that lead there. The names are those of the
//! container's own files, which the last process before the program reads.

use std::ffi::CString;
use std::fmt;
use std::path::{Component, Path};
use std::str::FromStr;

use nix::errno::Errno;

use crate::digits::{are_digits, digits};
use crate::error::{Error, Result, quoted, quoted_c};
use crate::exec;

mod login;
mod words;

pub(crate) use login::Login;

/// Longer than any name in passwd(5), useradd(8).
const MAX_NAME: usize = 255;

/// A user or group, by name or by number.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Id {
    Number(u32),
    Name(String),
}

/// `USER[:GROUP]`: names of the container's /etc/passwd and /etc/group, or ids.
/// Without GROUP it is the user's own. The user's other groups are those that
/// /etc/group says, as initgroups(3) does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSpec {
    user: Id,
    group: Option<Id>,
}

/// The way to be somebody somewhere.
#[derive(Debug)]
pub(crate) enum Step {
    /// Look the user up.
    FindUser(UserSpec),
    /// Look the groups up.
    FindGroups(UserSpec),
    /// Change all ids; the terminal, if there is a fresh one, is the user's then.
    Become(UserSpec),
    /// Change to a directory of the container, with the rights of that user.
    EnterDirectory(CString),
}

/// What `Step::perform` fails with where no system call has.
const NOT_LISTED: Errno = Errno::ESRCH;
const NO_GROUP: Errno = Errno::ENODATA;
const NOT_A_FILE: Errno = Errno::EMEDIUMTYPE;

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

/// The steps for a program that runs as `user` and starts in `directory`, an
/// absolute path inside. The directory comes last: it must be the user's to
/// enter.
pub(crate) fn steps(user: Option<&UserSpec>, directory: Option<&Path>) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if let Some(user) = user {
        steps.push(Step::FindUser(user.clone()));
        steps.push(Step::FindGroups(user.clone()));
        steps.push(Step::Become(user.clone()));
    }
    if let Some(directory) = directory {
        steps.push(Step::EnterDirectory(exec::c_string(
            plain(directory)?.as_os_str(),
        )?));
    }
    Ok(steps)
}

/// The path without what means nothing in it.
fn plain(directory: &Path) -> Result<std::path::PathBuf> {
    if !directory.is_absolute() {
        let what = format!("use {} as working directory", quoted(directory));
        return Err(Error::usage(what, "it must be an absolute path inside"));
    }
    let meant = |part: &Component| !matches!(part, Component::CurDir);
    Ok(directory.components().filter(meant).collect())
}

impl Step {
    /// What an error number of this step means, where its own word would
    /// mislead.
    pub(crate) fn reason(&self, errno: Errno) -> Option<&'static str> {
        Some(match (self, errno) {
            (Step::FindUser(_), NOT_LISTED) => "there is no such user",
            (Step::FindUser(_), NO_GROUP) => "it is not there, and no group is given",
            (Step::FindGroups(_), NOT_LISTED) => "there is no such group",
            (Step::FindUser(_) | Step::FindGroups(_), NOT_A_FILE) => "it is not a regular file",
            (Step::Become(_), Errno::EINVAL) => "the container has no such id",
            _ => return None,
        })
    }
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

/// Reads as "VERB OBJECT".
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::FindUser(spec) => {
                write!(f, "find user {} in the container's /etc/passwd", spec.user)
            }
            Step::FindGroups(UserSpec {
                group: Some(group), ..
            }) => {
                write!(f, "find group {group} in the container's /etc/group")
            }
            Step::FindGroups(_) => f.write_str("read the container's /etc/group"),
            Step::Become(spec) => write!(f, "become user {spec}"),
            Step::EnterDirectory(path) => write!(f, "enter working directory {}", quoted_c(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for text in [
            "bob",
            "bob:staff",
            "0",
            "1000:100",
            "4294967294",
            "bob:0",
            "a.b-c_d$",
        ] {
            assert_eq!(text.parse::<UserSpec>().unwrap().to_string(), text);
        }
        for text in [
            "",
            ":",
            "bob:",
            ":staff",
            "4294967295",
            "99999999999",
            "a:b:c",
            "a\nb",
            "a/b",
        ] {
            assert!(text.parse::<UserSpec>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_directory_is_absolute() {
        let path = |text: &str| plain(Path::new(text)).map(|path| path.display().to_string());
        assert_eq!(path("/srv//./x/").unwrap(), "/srv/x");
        assert_eq!(path("/").unwrap(), "/");
        assert_eq!(path("srv").unwrap_err().status(), 64);
    }
}
