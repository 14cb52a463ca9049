//! Who asks: a thread that waits for the answer to a system call. Its memory and its
//! descriptors are reached by its id, which may be another's a moment after it is
//! killed: what was reached counts only when the call still waits afterwards.

use std::ffi::CString;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;

use crate::sys::notify::{self, Notice};
use crate::sys::{Sys, descriptors, process};

/// PATH_MAX of linux/limits.h, its NUL included.
const PATH_MAX: usize = 4096;

/// A call and who made it.
pub(super) struct Asker<'a> {
    pub(super) listener: BorrowedFd<'a>,
    /// /proc of our PID namespace.
    pub(super) proc: BorrowedFd<'a>,
    pub(super) notice: Notice,
}

impl Asker<'_> {
    /// An argument, as the kernel takes one of 32 bits.
    pub(super) fn word(&self, index: usize) -> u32 {
        self.notice.arguments[index] as u32
    }

    pub(super) fn number(&self, index: usize) -> i32 {
        self.word(index).cast_signed()
    }

    pub(super) fn address(&self, index: usize) -> u64 {
        self.notice.arguments[index]
    }

    /// Nothing counts of what was reached of a thread that is gone.
    pub(super) fn verify(&self) -> Sys<()> {
        match notify::still_waits(self.listener, self.notice.id) {
            true => Ok(()),
            false => Err(Errno::ESRCH),
        }
    }

    /// A copy of the path at this argument.
    pub(super) fn path(&self, index: usize) -> Sys<CString> {
        let address = self.address(index);
        if address == 0 {
            return Err(Errno::EFAULT);
        }
        let mut bytes = Vec::with_capacity(256);
        // Most are short. None is read beyond its page before it is known to go on
        // there, for nothing may be mapped.
        let mut want: u64 = 256;
        while bytes.len() < PATH_MAX {
            let at = address + bytes.len() as u64;
            let part = usize::try_from(want.min(4096 - at % 4096)).map_err(|_| Errno::EFAULT)?;
            let start = bytes.len();
            bytes.resize(start + part, 0);
            let read = notify::read_memory(self.notice.tid, at, &mut bytes[start..])?;
            if let Some(end) = bytes[start..start + read]
                .iter()
                .position(|byte| *byte == 0)
            {
                bytes.truncate(start + end);
                return CString::new(bytes).map_err(|_| Errno::EINVAL);
            }
            if read < part {
                return Err(Errno::EFAULT);
            }
            want = 4096;
        }
        Err(Errno::ENAMETOOLONG)
    }

    /// A copy of this many bytes.
    pub(super) fn bytes(&self, index: usize, len: usize) -> Sys<Vec<u8>> {
        let mut bytes = vec![0; len];
        match notify::read_memory(self.notice.tid, self.address(index), &mut bytes)? {
            read if read == len => Ok(bytes),
            _ => Err(Errno::EFAULT),
        }
    }

    /// Writes to its memory. Who gets its id a moment after it was verified is, where
    /// this process may write to it at all, a process of the same user namespace.
    pub(super) fn write(&self, index: usize, bytes: &[u8]) -> Sys<()> {
        self.verify()?;
        notify::write_memory(self.notice.tid, self.address(index), bytes)
    }

    /// A line of its status, proc_pid_status(5).
    pub(super) fn status_line(&self, key: &str) -> Option<String> {
        let text = self.text("status")?;
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim().to_owned())
    }

    /// What /proc says of it, as far as it is worth reading: it holds names of the
    /// program's choice.
    pub(super) fn text(&self, file: &str) -> Option<String> {
        const MOST: u64 = 1 << 20;
        let path = format!("{}/{file}", self.notice.tid);
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = openat(self.proc, path.as_str(), flags, Mode::empty()).ok()?;
        let mut bytes = Vec::with_capacity(4096);
        File::from(file).take(MOST).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Says on its standard error what it could not be told by an error number.
    pub(super) fn complain(&self, what: &str) {
        let process = self.status_line("Tgid:").and_then(|tgid| tgid.parse().ok());
        let stream = process
            .and_then(|tgid| process::pidfd_open(tgid).ok())
            .and_then(|pidfd| notify::copy_descriptor(pidfd.as_fd(), 2).ok());
        if let Some(stream) = stream.filter(|_| self.verify().is_ok()) {
            say(stream.as_fd(), what);
        }
    }
}

/// Writes a line to a stream of somebody else's, who may not read it for ever.
pub(super) fn say(stream: BorrowedFd, what: &str) {
    let mut ready = [PollFd::new(stream, PollFlags::POLLOUT)];
    if poll(&mut ready, PollTimeout::from(1000_u16)).is_ok_and(|count| count > 0) {
        let _ = descriptors::write_now(stream, format!("{what}\n").as_bytes());
    }
}
