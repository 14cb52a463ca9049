//! The environment of a program: what it starts with, and what the caller adds.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::exec::arrays::LOGIN;
use crate::spec::environ::Assignment;
use crate::spec::user::UserSpec;

/// Where a bare name is looked up inside a container.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where root is at home in a container.
pub(crate) const HOME: &str = "/root";

/// Variables in their order.
pub(crate) type Variables = Vec<(OsString, OsString)>;

/// What init finds by itself: nothing of the caller's but the kind of terminal.
pub(crate) fn own() -> Variables {
    let mut environment: Variables = vec![
        ("container".into(), "contain".into()),
        ("HOME".into(), HOME.into()),
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

/// The caller's, where commands of root's are found as well, which an ordinary user's
/// PATH may lack.
pub(crate) fn callers_as_root() -> Variables {
    let mut variables = callers();
    let mut dirs: Vec<_> = std::env::split_paths(path(&variables)).collect();
    for dir in ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from) {
        if !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    if let Ok(joined) = std::env::join_paths(dirs) {
        variables.retain(|(name, _)| name != "PATH");
        variables.push(("PATH".into(), joined));
    }
    variables
}

/// Where these variables make a bare name be looked up.
pub(crate) fn path(environment: &Variables) -> &OsStr {
    value(environment, "PATH").unwrap_or(OsStr::new(PATH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::environ::Assignment;

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
