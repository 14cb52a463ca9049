//! Programs to exec: arguments and environment prepared before the clone,
//! candidates from a PATH, and what an exec that failed means.

pub(crate) mod arrays;
pub(crate) mod candidate;
pub(crate) mod environ;
pub(crate) mod explain;
pub(crate) mod header;
pub(crate) mod indirect;
pub(crate) mod login;
pub(crate) mod lookup;
pub(crate) mod passwd;
pub(crate) mod program;

use std::ffi::{OsStr, OsString};

use crate::error::Result;
use crate::exec::environ::Variables;
use crate::exec::program::Program;
use crate::spec::SHELL;

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    use crate::exec::program::{Program, SHELL_C};

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
