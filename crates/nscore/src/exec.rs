//! Programs to exec: arguments and environment prepared before the clone,
//! candidates from a PATH, and what an exec that failed means.

use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use nix::errno::Errno;
use nix::sys::stat::SFlag;

use crate::environ::{self, Variables};
use crate::error::{self, Error, Result, quoted};
use crate::sys::{Sys, descriptors, path, process};
use crate::user::Login;

mod arrays;
mod candidate;
mod header;
mod indirect;

pub(crate) use arrays::LOGIN;
use arrays::{Array, Environment};
pub(crate) use candidate::{Candidate, Failure, HEADER};

/// The shell that runs helpers and is the default command.
pub(crate) const SHELL: &str = "/bin/sh";
const SHELL_C: &CStr = c"/bin/sh";

/// Where a bare name is looked up inside a container.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program, its arguments and its environment.
#[derive(Debug)]
pub(crate) struct Program {
    candidates: Vec<CString>,
    arguments: Array,
    /// For each candidate the arguments of a shell that reads it as a script.
    scripts: Vec<Vec<*const libc::c_char>>,
    /// The arguments of the shim: two of its own before the program's.
    shim: Vec<Cell<*const libc::c_char>>,
    environment: Environment,
    /// Descriptors of the caller's that it gets.
    inherited: Vec<RawFd>,
    /// What to do when it is not there.
    if_missing: Option<&'static str>,
}

impl Program {
    /// `command` as looked up in `path` unless its name has a slash.
    ///
    /// # Errors
    /// A NUL byte in any of the strings.
    pub(crate) fn new(
        command: &[OsString],
        environment: &[(OsString, OsString)],
        path: &OsStr,
    ) -> Result<Program> {
        let name = command.first().map(OsString::as_os_str).unwrap_or_default();
        if name.is_empty() {
            return Err(Error::usage("run ''", "the name is empty"));
        }
        let whole = c_string(name)?;
        let mut candidates = Vec::new();
        if name.as_bytes().contains(&b'/') {
            candidates.push(whole);
        } else {
            for dir in std::env::split_paths(path) {
                let candidate = c_string(dir.join(name).as_os_str())?;
                // What was not there the first time is not worth another.
                if !candidates.contains(&candidate) {
                    candidates.push(candidate);
                }
            }
        }
        Program::prepare(candidates, command, environment)
    }

    /// Exactly the file at `path`, whatever its arguments call it.
    pub(crate) fn at(
        path: &CStr,
        arguments: &[OsString],
        environment: &[(OsString, OsString)],
    ) -> Result<Program> {
        Program::prepare(vec![path.to_owned()], arguments, environment)
    }

    /// The first of these files that can be run. Each has its array in `scripts`.
    fn prepare(
        candidates: Vec<CString>,
        arguments: &[OsString],
        environment: &[(OsString, OsString)],
    ) -> Result<Program> {
        let arguments = arguments
            .iter()
            .map(|argument| c_string(argument))
            .collect::<Result<Vec<_>>>()?;
        let assignment = |(name, value): &(OsString, OsString)| {
            let mut text = name.clone();
            text.push("=");
            text.push(value);
            c_string(&text)
        };
        let environment = environment
            .iter()
            .map(assignment)
            .collect::<Result<Vec<_>>>()?;
        let arguments = Array::new(arguments);
        let rest = arguments.pointers.get(1..).unwrap_or_default();
        let script = |path: &CString| [&[SHELL_C.as_ptr(), path.as_ptr()], rest].concat();
        let shim = [std::ptr::null(); 2].into_iter();
        Ok(Program {
            shim: shim
                .chain(arguments.pointers.clone())
                .map(Cell::new)
                .collect(),
            scripts: candidates.iter().map(script).collect(),
            candidates,
            arguments,
            environment: Environment::new(environment),
            inherited: Vec::new(),
            if_missing: None,
        })
    }

    /// `/bin/sh -c text`, a command of the caller's own: with their environment, these
    /// additions, and these descriptors of theirs.
    pub(crate) fn shell(
        text: &OsStr,
        additions: &[(&str, String)],
        inherited: Vec<RawFd>,
    ) -> Result<Program> {
        let mut environment = environ::callers();
        for (name, value) in additions {
            environment.retain(|(known, _)| known != name);
            environment.push((name.into(), value.into()));
        }
        let command = [SHELL.into(), "-c".into(), text.to_os_string()];
        Ok(Program {
            inherited,
            ..Program::new(&command, &environment, OsStr::new(""))?
        })
    }

    /// The same with a hint for when it is not there: nobody has named it.
    pub(crate) fn or_else(self, hint: &'static str) -> Program {
        Program {
            if_missing: Some(hint),
            ..self
        }
    }

    /// Becomes the program. Returns only to say why not, and does not allocate:
    /// there is `room` for [`HEADER`] bytes of the file.
    pub(crate) fn exec<'a>(&self, room: &'a mut [u8]) -> Failure<'a> {
        self.exec_as_user(None, room)
    }

    /// The same with the environment of this user.
    pub(crate) fn exec_as_user<'a>(
        &self,
        login: Option<&Login>,
        room: &'a mut [u8],
    ) -> Failure<'a> {
        self.environment.say_who(login);
        descriptors::hand_on(&self.inherited);
        let arguments = &self.arguments.pointers;
        let Err(failure) = self.first(room, |path, _| self.exec_as(path, arguments));
        let candidate = &failure.candidate;
        // As execvp(3), a text without "#!" is a script of the shell's.
        if failure.errno == Errno::ENOEXEC && candidate.is_text() {
            let Err(_) = self.exec_as(SHELL_C, &self.scripts[candidate.index]);
        }
        failure
    }

    #[allow(unsafe_code)]
    fn exec_as(&self, path: &CStr, arguments: &[*const libc::c_char]) -> Sys<Infallible> {
        // SAFETY: both arrays end in null. Their strings live in self and, for
        // the time of exec_as_user, in its login.
        Err(unsafe { process::exec(path, arguments.as_ptr(), self.environment.as_ptr()) })
    }

    /// The failure as a message: 127 when something is not there, else 126.
    pub(crate) fn explain(&self, failure: &Failure) -> Error {
        let Failure { errno, candidate } = failure;
        let shown = match self.candidates.get(candidate.index) {
            Some(path) if candidate.mode != 0 => quoted(OsStr::from_bytes(path.to_bytes())),
            _ => self.name(),
        };
        let what = format!("run {shown}");
        let header = &*candidate.header;
        match *errno {
            Errno::ENOENT if candidate.mode == 0 && !shown.contains('/') => {
                Error::new(what, "command not found").with_status(127)
            }
            Errno::ENOENT if candidate.mode != 0 => match header::interpreter(header) {
                Some(loader) => {
                    let shown = quoted(OsStr::from_bytes(loader));
                    let hint = if loader.ends_with(b"\r") {
                        "its lines end in a carriage return, which is part of that name".to_string()
                    } else {
                        format!(
                            "the file itself exists: add {shown} to the root, or use a static program"
                        )
                    };
                    Error::new(what, format!("its interpreter {shown} is missing"))
                        .with_hint(hint)
                        .with_status(127)
                }
                None => Error::new(what, "its interpreter is missing").with_status(127),
            },
            errno @ (Errno::ENOENT | Errno::ENOTDIR) => {
                let error = Error::errno(what, errno).with_status(127);
                match self.if_missing {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
            }
            Errno::EACCES if path::kind(candidate.mode) == SFlag::S_IFDIR => {
                Error::new(what, "is a directory").with_status(126)
            }
            Errno::ENOEXEC => match header::foreign_machine(header) {
                Some(machine) => Error::new(what, format!("it is a program for {machine}")),
                None => Error::errno(what, Errno::ENOEXEC),
            }
            .with_status(126),
            errno => Error::errno(what, errno).with_status(126),
        }
    }

    fn name(&self) -> String {
        let name = self
            .arguments
            .strings
            .first()
            .map(|name| name.to_bytes())
            .unwrap_or_default();
        quoted(OsStr::from_bytes(name))
    }
}

/// The command line, words with blanks in quotes.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, argument) in self.arguments.strings.iter().enumerate() {
            let word = quoted(OsStr::from_bytes(argument.to_bytes()));
            let blank = word.contains(char::is_whitespace);
            let space = if i == 0 { "" } else { " " };
            if blank {
                write!(f, "{space}'{word}'")?
            } else {
                write!(f, "{space}{word}")?
            }
        }
        Ok(())
    }
}

/// Where these variables make a bare name be looked up.
pub(crate) fn path(environment: &Variables) -> &OsStr {
    environ::value(environment, "PATH").unwrap_or(OsStr::new(PATH))
}

/// The command, else $SHELL, else /bin/sh: what pseudo and inject run.
///
/// # Errors
/// A NUL byte in any of the strings.
pub(crate) fn command_or_shell(
    command: &[OsString],
    environment: &Variables,
    path: &OsStr,
) -> Result<Program> {
    if !command.is_empty() {
        return Program::new(command, environment, path);
    }
    match std::env::var_os("SHELL").filter(|shell| !shell.is_empty()) {
        Some(shell) => Program::new(&[shell], environment, path)
            .map(|program| program.or_else("it is what $SHELL says: name a command, like /bin/sh")),
        None => Program::new(&[SHELL.into()], environment, path),
    }
}

/// A string for the kernel.
pub(crate) fn c_string(text: &OsStr) -> Result<CString> {
    CString::new(text.to_os_string().into_vec()).map_err(|_| {
        Error::usage(
            format!("use {}", error::quoted(text)),
            "it holds a NUL byte",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text that is none of the kernel's programs is run by an array of its own.
    #[test]
    fn every_candidate_can_be_a_script() {
        let command = ["tool", "--flag"].map(OsString::from);
        let looked_up = Program::new(&command, &[], OsStr::new("/a:/b:/a")).unwrap();
        assert_eq!(
            looked_up.candidates,
            [c"/a/tool", c"/b/tool"].map(CStr::to_owned)
        );
        let known = Program::at(c"/c/other", &command, &[]).unwrap();
        assert_eq!(known.candidates, [c"/c/other".to_owned()]);
        for program in [looked_up, known] {
            assert_eq!(program.scripts.len(), program.candidates.len());
            for (path, script) in program.candidates.iter().zip(&program.scripts) {
                assert_eq!(script[..2], [SHELL_C.as_ptr(), path.as_ptr()]);
                assert_eq!(script[2..], program.arguments.pointers[1..]);
                assert!(script.last().is_some_and(|end| end.is_null()));
            }
        }
    }
}
