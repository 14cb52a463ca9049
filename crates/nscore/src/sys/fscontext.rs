//! A file system being configured, fsopen(2), fsconfig(2) and fsmount(2). No
//! allocation.

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;

use crate::sys::{Sys, cvt, cvt_fd};

/// A file system that does not exist yet.
pub(super) struct Context(OwnedFd);

impl Context {
    /// Begins one of this kind.
    pub(super) fn open(kind: &CStr) -> Sys<Context> {
        const FSOPEN_CLOEXEC: libc::c_uint = 1;
        let kind = kind.as_ptr();
        // SAFETY: the name is NUL-terminated; the call returns a new descriptor.
        unsafe { cvt_fd(libc::syscall(libc::SYS_fsopen, kind, FSOPEN_CLOEXEC)) }.map(Context)
    }

    /// Sets an option with a value, or a flag without one.
    pub(super) fn set(&self, key: &CStr, value: Option<&CStr>) -> Sys<()> {
        const SET_FLAG: libc::c_uint = 0;
        const SET_STRING: libc::c_uint = 1;
        match value {
            Some(value) => self.config(SET_STRING, key.as_ptr(), value.as_ptr()),
            None => self.config(SET_FLAG, key.as_ptr(), std::ptr::null()),
        }
    }

    /// Sets what stands between the commas of mount(2)'s data: `KEY=VALUE`, `FLAG`, or
    /// nothing.
    pub(super) fn set_as(&self, option: &[u8]) -> Sys<()> {
        let mut buffer = [0; 32];
        // A NUL behind it, and one in place of the sign.
        let room = buffer[..31].get_mut(..option.len());
        room.ok_or(Errno::ENAMETOOLONG)?.copy_from_slice(option);
        let sign = option.iter().position(|byte| *byte == b'=');
        if let Some(sign) = sign {
            buffer[sign] = 0;
        }
        let word = |bytes| CStr::from_bytes_until_nul(bytes).map_err(|_| Errno::EINVAL);
        match sign {
            Some(sign) => self.set(word(&buffer)?, Some(word(&buffer[sign + 1..])?)),
            None if option.is_empty() => Ok(()),
            None => self.set(word(&buffer)?, None),
        }
    }

    /// Makes the file system, and a mount of it that is attached nowhere yet.
    /// `attributes` are MOUNT_ATTR_ flags.
    pub(super) fn mount(&self, attributes: libc::c_ulong) -> Sys<OwnedFd> {
        const CMD_CREATE: libc::c_uint = 6;
        const FSMOUNT_CLOEXEC: libc::c_uint = 1;
        self.config(CMD_CREATE, std::ptr::null(), std::ptr::null())?;
        let fd = self.0.as_raw_fd();
        // SAFETY: integers only; the call returns a new descriptor.
        unsafe {
            cvt_fd(libc::syscall(
                libc::SYS_fsmount,
                fd,
                FSMOUNT_CLOEXEC,
                attributes,
            ))
        }
    }

    fn config(
        &self,
        command: libc::c_uint,
        key: *const libc::c_char,
        value: *const libc::c_char,
    ) -> Sys<()> {
        let fd = self.0.as_raw_fd();
        // SAFETY: the callers above pass null or NUL-terminated strings, as
        // their command wants, which outlive the call.
        cvt(unsafe { libc::syscall(libc::SYS_fsconfig, fd, command, key, value, 0) }).map(drop)
    }
}
