//! Programs that are not run by their path: by way of the shim, or from an open
//! file.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::stat::{self, SFlag};
use nix::unistd::{self, AccessFlags};

use super::arrays::array;
use super::{Failure, Program, SHELL_C, header};
use crate::sys::{Sys, path, shim};
use crate::user::Login;

impl Program {
    /// The candidate that an exec would take, as far as can be told without one,
    /// with no error number; else why there is none.
    pub(crate) fn choose<'a>(&self, room: &'a mut [u8]) -> Failure<'a> {
        self.first(room, |candidate, room| {
            let refused = runnable(candidate, room).err();
            refused.unwrap_or(Errno::UnknownErrno)
        })
    }

    /// Becomes the shim, which becomes this candidate, or tells why not.
    #[allow(unsafe_code)]
    pub(crate) fn exec_shim(
        &self,
        login: Option<&Login>,
        shim: BorrowedFd,
        chosen: &Failure,
    ) -> Failure<'static> {
        self.environment.say_who(login);
        let i = chosen.candidate;
        let shell = if chosen.is_text() { SHELL_C } else { c"" };
        self.shim[0].set(shell.as_ptr());
        self.shim[1].set(self.candidates[i].as_ptr());
        // SAFETY: both arrays end in null, and their strings live in self and in
        // the login.
        let errno = unsafe { shim::exec(shim, array(&self.shim), self.environment.as_ptr()) };
        Failure::new(errno, i)
    }

    /// Becomes the program in this open file.
    #[allow(unsafe_code)]
    pub(crate) fn exec_image(&self, image: BorrowedFd, login: Option<&Login>) -> Failure<'static> {
        self.environment.say_who(login);
        let arguments = self.arguments.pointers.as_ptr();
        // SAFETY: both arrays end in null, and their strings live in self and in
        // the login.
        let errno = unsafe { shim::exec(image, arguments, self.environment.as_ptr()) };
        Failure::new(errno, 0)
    }
}

/// What an exec would say of this file. One that cannot be read may be run.
fn runnable(program: &CStr, room: &mut [u8]) -> Sys<()> {
    let kind = SFlag::from_bits_truncate(stat::stat(program)?.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFREG {
        return Err(Errno::EACCES);
    }
    unistd::access(program, AccessFlags::X_OK)?;
    let file = Failure::new(Errno::UnknownErrno, 0).look_into(program, room);
    let Some(interpreter) = header::interpreter(&file.header) else {
        return Ok(());
    };
    let mut buffer = [0; libc::PATH_MAX as usize];
    let interpreter = path::prefix(interpreter, interpreter.len(), &mut buffer)?;
    unistd::access(interpreter, AccessFlags::F_OK)
}
