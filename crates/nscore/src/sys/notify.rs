//! Answering system calls of other processes, seccomp_unotify(2): the listener's
//! descriptor, and what there is to reach of who asks.

use std::io::{IoSlice, IoSliceMut};
use std::mem::zeroed;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use libc::{c_int, c_long, pid_t, sock_filter};
use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

use crate::sys::{Sys, cvt, cvt_fd};

/// Puts a filter on this process and its children; what comes back hears what it
/// asks. Once heard, a call waits for its answer, and only a kill ends that: Linux
/// 5.19, before which any signal does.
pub(crate) fn listen(program: &[sock_filter]) -> Sys<OwnedFd> {
    let program = libc::sock_fprog {
        len: libc::c_ushort::try_from(program.len()).map_err(|_| Errno::E2BIG)?,
        filter: program.as_ptr().cast_mut(),
    };
    let install = |flags: libc::c_ulong| {
        // SAFETY: program and its instructions live for the time of the call, and the
        // kernel only reads them; with this flag the result is a new descriptor.
        unsafe {
            cvt_fd(libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | flags,
                &raw const program,
            ))
        }
    };
    match install(libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(Errno::EINVAL) => install(0),
        other => other,
    }
}

/// Who asks and who answers take turns, so that they do so on one processor is
/// quickest: Linux 6.6.
pub(crate) fn take_turns(listener: BorrowedFd) {
    const SYNC_WAKE_UP: u64 = 1;
    // A comfort: without it each turn takes longer.
    // SAFETY: this request takes its flags by value.
    let _ = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
            SYNC_WAKE_UP,
        )
    };
}

/// A call that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notice {
    pub(crate) id: u64,
    /// The thread that asks, in our PID namespace; 0 if it is not there.
    pub(crate) tid: pid_t,
    /// AUDIT_ARCH_*.
    pub(crate) abi: u32,
    pub(crate) number: u32,
    pub(crate) arguments: [u64; 6],
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The kernel does what it would have done.
    Continue,
    /// It is done.
    Value(i64),
    /// It is refused.
    Error(Errno),
}

/// Waits for a call. ENOENT: whoever asked is gone, or from Linux 6.11 on everybody.
pub(crate) fn receive(listener: BorrowedFd) -> Sys<Notice> {
    // SAFETY: plain data, and the kernel wants it zeroed.
    let mut notice: libc::seccomp_notif = unsafe { zeroed() };
    let fd = listener.as_raw_fd();
    // SAFETY: the pointer is to what this request fills in.
    let result = unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notice) };
    cvt(result.into())?;
    Ok(Notice {
        id: notice.id,
        tid: notice.pid.cast_signed(),
        abi: notice.data.arch,
        number: notice.data.nr.cast_unsigned(),
        arguments: notice.data.args,
    })
}

/// Whether the call still waits, so that its thread is still who it was.
pub(crate) fn still_waits(listener: BorrowedFd, id: u64) -> bool {
    let fd = listener.as_raw_fd();
    // SAFETY: this request reads a u64.
    unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) == 0 }
}

/// Answers a call. Where whoever asked is gone, nobody is told.
pub(crate) fn answer(listener: BorrowedFd, id: u64, answer: Answer) {
    // SAFETY: plain data, of which zeros say "0".
    let mut response: libc::seccomp_notif_resp = unsafe { zeroed() };
    response.id = id;
    match answer {
        Answer::Continue => response.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        Answer::Value(value) => response.val = value,
        Answer::Error(errno) => response.error = -(errno as i32),
    }
    let fd = listener.as_raw_fd();
    // SAFETY: the pointer is to what this request reads.
    let _ = unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) };
}

/// Gives whoever asks a copy of a descriptor, and says by which number. The answer is
/// still to be given: whoever has it first closes its own, because a program that is
/// open for writing anywhere cannot be run.
pub(crate) fn give(listener: BorrowedFd, id: u64, file: BorrowedFd, flags: c_int) -> Sys<i64> {
    let request = libc::seccomp_notif_addfd {
        id,
        flags: 0,
        srcfd: file.as_raw_fd().cast_unsigned(),
        newfd: 0,
        newfd_flags: (flags & libc::O_CLOEXEC).cast_unsigned(),
    };
    let fd = listener.as_raw_fd();
    // SAFETY: the pointer is to what this request reads.
    cvt(unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw const request) }.into())
}

/// Reads memory of another process, as far as there is some.
pub(crate) fn read_memory(tid: pid_t, address: u64, bytes: &mut [u8]) -> Sys<usize> {
    let theirs = remote(address, bytes.len())?;
    process_vm_readv(Pid::from_raw(tid), &mut [IoSliceMut::new(bytes)], &[theirs])
}

/// Writes to memory of another process.
pub(crate) fn write_memory(tid: pid_t, address: u64, bytes: &[u8]) -> Sys<()> {
    let theirs = remote(address, bytes.len())?;
    let written = process_vm_writev(Pid::from_raw(tid), &[IoSlice::new(bytes)], &[theirs])?;
    if written == bytes.len() {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

fn remote(address: u64, len: usize) -> Sys<RemoteIoVec> {
    let base = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
    Ok(RemoteIoVec { base, len })
}

/// The limit of file locks, which no kernel since 2.4.25 enforces and every child
/// inherits. With `new`, sets its soft value too.
pub(crate) fn lock_limit(tid: pid_t, new: Option<u64>) -> Sys<u64> {
    /// struct rlimit64 of linux/resource.h: the soft and the hard value.
    type Limit = [u64; 2];
    let mut old: Limit = [0; 2];
    let prlimit = |new: *const Limit, old: *mut Limit| {
        let which = libc::RLIMIT_LOCKS as c_long;
        // SAFETY: each pointer is null or to a Limit of the callers below.
        cvt(unsafe { libc::syscall(libc::SYS_prlimit64, tid, which, new, old) })
    };
    prlimit(std::ptr::null(), &raw mut old)?;
    if let Some(new) = new {
        let limit: Limit = [new, old[1]];
        prlimit(&raw const limit, std::ptr::null_mut())?;
    }
    Ok(old[0])
}

/// A copy of a descriptor of another process, pidfd_getfd(2).
pub(crate) fn copy_descriptor(pidfd: BorrowedFd, fd: c_int) -> Sys<OwnedFd> {
    // SAFETY: integers only; the call returns a new descriptor.
    unsafe {
        cvt_fd(libc::syscall(
            libc::SYS_pidfd_getfd,
            pidfd.as_raw_fd(),
            fd,
            0,
        ))
    }
}

/// Lets this thread run soon after it is woken, ahead of who wants to run for longer:
/// Linux 6.12, sched(7).
pub(crate) fn be_quick() {
    /// struct sched_attr of linux/sched/types.h, as far as it is needed.
    #[repr(C)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    // SAFETY: integers only.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: 0,
        flags: 0,
        nice,
        priority: 0,
        // The shortest slice there is, in nanoseconds.
        runtime: 100_000,
        deadline: 0,
        period: 0,
    };
    // A comfort: without it a busy machine answers later.
    // SAFETY: the pointer is to a structure of the size that it says.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}
