//! A program that is ready to be executed: the files that it may be, its arguments
//! and its environment, all prepared before the clone. execve(2).

use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;

use crate::error::text::quoted;
use crate::error::{Error, Result, c_string};
use crate::exec::arrays::{Array, Environment};
use crate::exec::candidate::Failure;
use crate::exec::environ;
use crate::exec::login::Login;
use crate::spec::SHELL;
use crate::sys::{Sys, descriptors, process};

/// The same for the kernel.
pub(super) const SHELL_C: &CStr = c"/bin/sh";

/// A program, its arguments and its environment.
#[derive(Debug)]
pub(crate) struct Program {
    pub(super) candidates: Vec<CString>,
    pub(super) arguments: Array,
    /// For each candidate the arguments of a shell that reads it as a script.
    pub(super) scripts: Vec<Vec<*const libc::c_char>>,
    /// The arguments of the shim: two of its own before the program's.
    pub(super) shim: Vec<Cell<*const libc::c_char>>,
    pub(super) environment: Environment,
    /// Descriptors of the caller's that it gets.
    inherited: Vec<RawFd>,
    /// What to do when it is not there.
    pub(super) if_missing: Option<&'static str>,
}

impl Program {
    /// Becomes the program. Returns only to say why not, and does not allocate:
    /// there is `room` for [`HEADER`](crate::exec::candidate::HEADER) bytes of the file.
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
                let candidate = c_string(dir.join(name))?;
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
        let arguments = arguments.iter().map(c_string).collect::<Result<_>>()?;
        let assignment = |(name, value): &(OsString, OsString)| {
            let mut text = name.clone();
            text.push("=");
            text.push(value);
            c_string(&text)
        };
        let environment = environment.iter().map(assignment).collect::<Result<_>>()?;
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
        let program = Program::new(&command, &environment, OsStr::new(""))?;
        Ok(Program {
            inherited,
            ..program
        })
    }

    /// The same with a hint for when it is not there: nobody has named it.
    pub(crate) fn or_else(mut self, hint: &'static str) -> Program {
        self.if_missing = Some(hint);
        self
    }

    pub(super) fn name(&self) -> String {
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
