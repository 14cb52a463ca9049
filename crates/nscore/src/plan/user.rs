//! Whom a program runs as and where: `USER[:GROUP]` and a directory as they were
//! asked for, and the steps that lead there. The names are those of the
//! container's own files, which the last process before the program reads.

use std::ffi::CString;
use std::fmt;
use std::path::{Component, Path};

use nix::errno::Errno;

use crate::error::text::{quoted, quoted_c};
use crate::error::{Error, Result, c_string};
use crate::exec::login::{NO_GROUP, NOT_LISTED};
use crate::exec::passwd::NOT_A_FILE;
use crate::spec::user::UserSpec;

/// The way to be somebody somewhere.
#[derive(Debug)]
pub(crate) enum UserStep {
    /// Look the user up.
    FindUser(UserSpec),
    /// Look the groups up.
    FindGroups(UserSpec),
    /// Change all ids; the terminal, if there is a fresh one, is the user's then.
    Become(UserSpec),
    /// Change to a directory of the container, with the rights of that user.
    EnterDirectory(CString),
}

/// The steps for a program that runs as `user` and starts in `directory`, an
/// absolute path inside. The directory comes last: it must be the user's to
/// enter.
pub(crate) fn steps(user: Option<&UserSpec>, directory: Option<&Path>) -> Result<Vec<UserStep>> {
    let mut steps = Vec::new();
    if let Some(user) = user {
        steps.push(UserStep::FindUser(user.clone()));
        steps.push(UserStep::FindGroups(user.clone()));
        steps.push(UserStep::Become(user.clone()));
    }
    if let Some(directory) = directory {
        steps.push(UserStep::EnterDirectory(c_string(plain(directory)?)?));
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

impl UserStep {
    /// What an error number of this step means, where its own word would
    /// mislead.
    pub(crate) fn reason(&self, errno: Errno) -> Option<&'static str> {
        Some(match (self, errno) {
            (UserStep::FindUser(_), NOT_LISTED) => "there is no such user",
            (UserStep::FindUser(_), NO_GROUP) => "it is not there, and no group is given",
            (UserStep::FindGroups(_), NOT_LISTED) => "there is no such group",
            (UserStep::FindUser(_) | UserStep::FindGroups(_), NOT_A_FILE) => {
                "it is not a regular file"
            }
            (UserStep::Become(_), Errno::EINVAL) => "the container has no such id",
            _ => return None,
        })
    }
}

/// Reads as "VERB OBJECT".
impl fmt::Display for UserStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserStep::FindUser(spec) => {
                write!(f, "find user {} in the container's /etc/passwd", spec.user)
            }
            UserStep::FindGroups(UserSpec {
                group: Some(group), ..
            }) => {
                write!(f, "find group {group} in the container's /etc/group")
            }
            UserStep::FindGroups(_) => f.write_str("read the container's /etc/group"),
            UserStep::Become(spec) => write!(f, "become user {spec}"),
            UserStep::EnterDirectory(path) => {
                write!(f, "enter working directory {}", quoted_c(path))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::user::UserSpec;

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
