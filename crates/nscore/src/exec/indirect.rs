//! Programs that are not run by their path: by way of the shim, or from an open
//! file.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::stat::{self, SFlag};
use nix::unistd::{self, AccessFlags};

use crate::exec::arrays::array;
use crate::exec::candidate::{Candidate, Failure, header_of};
use crate::exec::header;
use crate::exec::login::Login;
use crate::exec::program::{Program, SHELL_C};
use crate::sys::{Sys, path, shim};

impl Program {
    /// The candidate that an exec would take, as far as can be told without one.
    pub(crate) fn choose<'a>(&self, room: &'a mut [u8]) -> Result<Candidate<'a>, Failure<'a>> {
        self.first(room, runnable).map(|((), candidate)| candidate)
    }

    /// Becomes the shim, which becomes this candidate, or tells why not.
    #[allow(unsafe_code)]
    pub(crate) fn exec_shim(
        &self,
        login: Option<&Login>,
        shim: BorrowedFd,
        chosen: &Candidate,
    ) -> Errno {
        self.environment.say_who(login);
        let shell = if chosen.is_text() { SHELL_C } else { c"" };
        self.shim[0].set(shell.as_ptr());
        self.shim[1].set(self.candidates[chosen.index].as_ptr());
        // SAFETY: both arrays end in null, and their strings live in self and in
        // the login.
        unsafe { shim::exec(shim, array(&self.shim), self.environment.as_ptr()) }
    }

    /// Becomes the program in this open file.
    #[allow(unsafe_code)]
    pub(crate) fn exec_image(&self, image: BorrowedFd, login: Option<&Login>) -> Errno {
        self.environment.say_who(login);
        let arguments = self.arguments.pointers.as_ptr();
        // SAFETY: both arrays end in null, and their strings live in self and in
        // the login.
        unsafe { shim::exec(image, arguments, self.environment.as_ptr()) }
    }
}

/// What an exec would say of this file. One that cannot be read may be run.
fn runnable(program: &CStr, room: &mut [u8]) -> Sys<()> {
    if path::kind(stat::stat(program)?.st_mode) != SFlag::S_IFREG {
        return Err(Errno::EACCES);
    }
    unistd::access(program, AccessFlags::X_OK)?;
    let Some(interpreter) = header::interpreter(header_of(program, room)) else {
        return Ok(());
    };
    let mut buffer = [0; libc::PATH_MAX as usize];
    let interpreter = path::prefix(interpreter, interpreter.len(), &mut buffer)?;
    unistd::access(interpreter, AccessFlags::F_OK)
}
