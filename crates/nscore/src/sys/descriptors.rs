//! Descriptors of this process: which close at exec, the standard streams, and
//! what was inherited.

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd, IntoRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::fcntl::{self, OFlag, SealFlag};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd;

use crate::sys::{Sys, cvt, cvt_fd, path};

/// Reads once, into the room that `bytes` has left: nobody writes zeros there
/// first. Says how much it was.
pub(crate) fn read_more(from: BorrowedFd, bytes: &mut Vec<u8>) -> Sys<usize> {
    let room = bytes.spare_capacity_mut();
    // SAFETY: the kernel writes at most so many bytes, to room that is ours.
    let count = unsafe { libc::read(from.as_raw_fd(), room.as_mut_ptr().cast(), room.len()) };
    let count = Errno::result(count)?.cast_unsigned();
    // SAFETY: so many more are there, and the kernel has written them.
    unsafe { bytes.set_len(bytes.len() + count) };
    Ok(count)
}

/// Writes what can be written without waiting, and says how much that was; EAGAIN for
/// nothing. Who shares the descriptor with us goes on waiting or not, as it likes.
pub(crate) fn write_now(to: BorrowedFd, bytes: &[u8]) -> Sys<usize> {
    let mut fds = [PollFd::new(to, PollFlags::POLLOUT)];
    if poll(&mut fds, PollTimeout::ZERO)? == 0 {
        return Err(Errno::EAGAIN);
    }
    // Somebody else may fill a pipe or a socket meanwhile. A file never waits, and may
    // not know of the flag.
    let queues = [SFlag::S_IFIFO, SFlag::S_IFSOCK];
    let flags = match queues.contains(&path::kind(fstat(to)?.st_mode)) {
        true => libc::RWF_NOWAIT,
        false => 0,
    };
    let part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: the kernel reads the bytes that the one part names; they are ours for
    // the call.
    let count = unsafe { libc::pwritev2(to.as_raw_fd(), &raw const part, 1, -1, flags) };
    match Errno::result(count) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => unistd::write(to, bytes),
        other => other.map(isize::cast_unsigned),
    }
}

/// Opens /dev/null as each standard stream that is closed: else a file of ours
/// would get its number, and what is meant for the stream.
pub(crate) fn complete_streams() -> Sys<()> {
    let closed = |stream: RawFd| {
        // SAFETY: F_GETFD takes and changes nothing.
        cvt(unsafe { libc::fcntl(stream, libc::F_GETFD) }.into()) == Err(Errno::EBADF)
    };
    for stream in (0..3).filter(|stream| closed(*stream)) {
        let null = fcntl::open(c"/dev/null", OFlag::O_RDWR, Mode::empty())?;
        // The least number that is free is what open gives, open(2).
        debug_assert_eq!(null.as_raw_fd(), stream);
        let _ = null.into_raw_fd();
    }
    Ok(())
}

/// Descriptors above standard error that the caller of this program left open for
/// programs: before [`close_at_exec`], for all of ours close at exec.
pub(crate) fn inherited() -> Sys<Vec<RawFd>> {
    // SAFETY: F_GETFD takes and changes nothing.
    let flags = |fd: &RawFd| unsafe { libc::fcntl(*fd, libc::F_GETFD) };
    let open = listed().map_err(io_errno)?.into_iter();
    Ok(open.filter(|fd| *fd > 2 && flags(fd) == 0).collect())
}

/// Leaves these of them open at an exec of this process.
pub(crate) fn hand_on(inherited: &[RawFd]) {
    for fd in inherited {
        // SAFETY: F_SETFD takes an int and frees nothing. One that is closed by now
        // is none to hand on.
        unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) };
    }
}

/// The highest descriptor that was open when [`close_at_exec`] looked at each.
static HIGHEST: AtomicI32 = AtomicI32::new(0);

/// Descriptors above standard error close at exec, close_range(2); where that
/// call is missing, each one that /proc lists.
pub(crate) fn close_at_exec() -> Sys<()> {
    const CLOEXEC: libc::c_uint = 4;
    const LAST: libc::c_uint = libc::c_uint::MAX;
    // SAFETY: integers only.
    match cvt(unsafe { libc::syscall(libc::SYS_close_range, 3, LAST, CLOEXEC) }) {
        Err(Errno::ENOSYS | Errno::EINVAL) => {}
        other => return other.map(drop),
    }
    for fd in listed().map_err(io_errno)? {
        HIGHEST.fetch_max(fd, Ordering::Relaxed);
        if fd > 2 {
            // SAFETY: F_SETFD takes an int and frees nothing.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

/// The descriptors that /proc lists. The one for that is closed by now.
fn listed() -> std::io::Result<Vec<RawFd>> {
    let mut fds = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        fds.extend(name.to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    Ok(fds)
}

fn io_errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

/// Standard input, output and error. Those that were closed were opened at the
/// start of the program, so they are always there.
pub(crate) fn streams() -> [BorrowedFd<'static>; 3] {
    // SAFETY: nothing in this program closes a standard stream.
    [0, 1, 2].map(|stream| unsafe { BorrowedFd::borrow_raw(stream) })
}

/// Gives this user and group the standard streams that are pipes without a name, but for those
/// of an owner to `keep`: opened once more, as /dev/stdin or /dev/stdout, a pipe asks
/// for its owner. What is not ours to give stays.
pub(crate) fn give_pipes((user, group): (u32, u32), keep: impl Fn(u32) -> bool) {
    for stream in streams() {
        let is_given = |status: &FileStat| {
            path::kind(status.st_mode) == SFlag::S_IFIFO && !keep(status.st_uid)
        };
        let nameless = || fstatfs(stream).is_ok_and(|on| on.filesystem_type() == PIPEFS_MAGIC);
        if fstat(stream).is_ok_and(|status| is_given(&status)) && nameless() {
            let _ = unistd::fchown(stream, Some(user.into()), Some(group.into()));
        }
    }
}

/// `<linux/magic.h>`.
const PIPEFS_MAGIC: FsType = FsType(0x5049_5045);

/// Makes `fd` the descriptor `stream`, open across exec: one of the standard
/// streams, or one that a program of ours expects.
pub(crate) fn make_stream(fd: BorrowedFd, stream: RawFd) -> Sys<()> {
    if fd.as_raw_fd() == stream {
        // SAFETY: F_SETFD takes an int and frees nothing.
        return cvt(unsafe { libc::fcntl(stream, libc::F_SETFD, 0) }.into()).map(drop);
    }
    // SAFETY: the streams belong to the program that follows; nothing of ours
    // owns one.
    cvt(unsafe { libc::dup2(fd.as_raw_fd(), stream) }.into()).map(drop)
}

/// Closes every descriptor but these, some of which may be the same. Where
/// close_range(2) is missing, one by one: up to the highest of the caller's, which
/// [`close_at_exec`] has met. The limit may be 2^30, and the /proc of where this
/// runs not ours to ask.
pub(crate) fn close_all_but<const N: usize>(mut kept: [RawFd; N]) {
    kept.sort_unstable();
    let mut first: libc::c_uint = 0;
    for fd in kept.map(RawFd::cast_unsigned) {
        close_range(first, fd);
        first = fd + 1;
    }
    close_range(first, libc::c_uint::MAX);
}

/// Closes the descriptors from `first` to the one before `end`.
fn close_range(first: libc::c_uint, end: libc::c_uint) {
    if first >= end {
        return;
    }
    /// More than this program opens, which gets the least that are free.
    const OURS: libc::c_uint = 4096;
    let last = end - 1;
    // SAFETY: the process that calls this is a copy that runs no destructor and
    // uses no descriptor but those kept.
    if cvt(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).is_err() {
        let highest = HIGHEST.load(Ordering::Relaxed).cast_unsigned();
        for fd in first..=last.min(highest.max(OURS)) {
            // SAFETY: as above.
            unsafe { libc::close(fd.cast_signed()) };
        }
    }
}

/// After these nothing of an anonymous file changes any more.
pub(crate) const SEALS: SealFlag = SealFlag::F_SEAL_SEAL
    .union(SealFlag::F_SEAL_SHRINK)
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_WRITE);

/// An anonymous file that can be sealed, memfd_create(2). Whether it may be
/// executed is said where the kernel knows that (Linux 6.3) and may insist on it
/// (vm.memfd_noexec).
pub(crate) fn memfd(name: &CStr, executable: bool) -> Sys<OwnedFd> {
    const NOEXEC_SEAL: libc::c_uint = 0x8;
    const EXEC: libc::c_uint = 0x10;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let create = |flags: libc::c_uint| {
        // SAFETY: the name is NUL-terminated; the call returns a new descriptor.
        unsafe { cvt_fd(libc::syscall(libc::SYS_memfd_create, name.as_ptr(), flags)) }
    };
    match create(flags | if executable { EXEC } else { NOEXEC_SEAL }) {
        Err(Errno::EINVAL) => create(flags),
        other => other,
    }
}

/// Takes over a descriptor that the caller of this program left open; of a
/// standard stream, a copy. EBADF for one that is not open, or one of ours.
pub(crate) fn take_inherited(fd: RawFd) -> Sys<OwnedFd> {
    use std::os::fd::FromRawFd as _;
    if let 0..=2 = fd {
        // SAFETY: the call returns a new descriptor.
        return unsafe { cvt_fd(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3).into()) };
    }
    // SAFETY: F_GETFD takes and changes nothing.
    let flags = cvt(unsafe { libc::fcntl(fd, libc::F_GETFD) }.into())?;
    if flags != 0 {
        return Err(Errno::EBADF);
    }
    // SAFETY: F_SETFD takes an int and frees nothing.
    cvt(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }.into())?;
    // SAFETY: it is open, and nobody else in this program owns it: what we have opened
    // closes at exec from birth, and so does this one from now on, so that nobody takes
    // it again.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
