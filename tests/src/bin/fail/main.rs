//! Runs a program and makes one system call of it fail, or lists its calls.
//!
//! ```text
//! fail LOG NAME - PROGRAM [ARG]...
//! fail LOG NAME ROLE:CALL:COUNT:ERRNO PROGRAM [ARG]...
//! ```
//!
//! Calls count from where a process called NAME first asks for its user id: what
//! comes before is the C library's and the language's. LOG gets a line for each,
//! ROLE CALL COUNT ARGUMENTS, or for the one that has failed.
//!
//! ROLE tells the processes of a start apart:
//!
//! ```text
//! supervisor    the program itself
//! mounter       in a user namespace of its own; pseudo calls that a holder
//! init          PID 1 of a PID namespace
//! inside        another process there
//! guard         in its maker's namespaces, under another name
//! helper        there, under its maker's name
//! ```
//!
//! Each but the supervisor counts up to the program that it executes.
#![allow(unsafe_code)]

mod watch;

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt as _;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, execvp, fork};
use tests::Filter;

use watch::Watch;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let mut word = || arguments.next().expect("LOG NAME WHICH");
    let (log, name, which) = (word(), word(), word());
    let program: Vec<_> = arguments
        .map(|word| CString::new(word.into_vec()).expect("no NUL"))
        .collect();
    // SAFETY: this process has one thread.
    let child = match unsafe { fork() }.expect("fork") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            Filter::asking().install(true).expect("a filter");
            let Err(errno) = execvp(&program[0], &program);
            panic!("{:?}: {errno}", program[0]);
        }
    };
    let mut watch = Watch::new(&name.to_string_lossy(), &which.to_string_lossy());
    answer(&listener(child), &mut watch);
    fs::write(log, watch.log).expect("cannot write the log");
    let status = match waitpid(child, None).expect("wait") {
        WaitStatus::Exited(_, status) => status,
        WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
        other => panic!("{other:?}"),
    };
    ExitCode::from(u8::try_from(status).expect("a status"))
}

/// What the child hears answers on. It has nobody to hand it over, because all
/// that it does waits for an answer.
fn listener(child: Pid) -> OwnedFd {
    let fd = loop {
        match fds(child).find(|fd| is_listener(child, *fd)) {
            Some(fd) => break fd,
            None => std::thread::yield_now(),
        }
    };
    // SAFETY: integers only; the calls return new descriptors.
    unsafe {
        let pidfd = libc::syscall(libc::SYS_pidfd_open, child.as_raw(), 0);
        let pidfd = owned(Errno::result(pidfd).expect("pidfd_open"));
        let fd = libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0);
        owned(Errno::result(fd).expect("pidfd_getfd"))
    }
}

/// # Safety
/// The number must be a new descriptor's.
unsafe fn owned(fd: libc::c_long) -> OwnedFd {
    let fd = RawFd::try_from(fd).expect("a descriptor");
    // SAFETY: the caller vouches for it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn fds(child: Pid) -> impl Iterator<Item = RawFd> {
    let entries = fs::read_dir(format!("/proc/{child}/fd"));
    let entries = entries.into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn is_listener(child: Pid, fd: RawFd) -> bool {
    let link = fs::read_link(format!("/proc/{child}/fd/{fd}"));
    link.is_ok_and(|link| link.as_os_str() == "anon_inode:seccomp notify")
}

/// Answers until nobody is left to ask: each call is to go on, or to fail.
fn answer(listener: &OwnedFd, watch: &mut Watch) {
    let fd = listener.as_raw_fd();
    loop {
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::NONE).expect("poll");
        let events = fds[0].revents().expect("events that poll knows");
        if !events.contains(PollFlags::POLLIN) {
            return;
        }
        // SAFETY: zeros are one, and the kernel wants it in zeros.
        let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes a structure of its own layout, which lives
        // until the call returns.
        if unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut asked) } < 0 {
            // Who asked has been killed meanwhile.
            continue;
        }
        let errno = watch.errno(asked.pid, &asked.data);
        let go_on = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        let mut answer = libc::seccomp_notif_resp {
            id: asked.id,
            val: 0,
            error: -errno,
            flags: if errno == 0 { go_on } else { 0 },
        };
        // SAFETY: as above, but that it only reads. It fails for who has been killed.
        unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
    }
}
