//! The init of `--init`: PID 1 that reaps orphans, passes signals to the one
//! command it runs, and ends as that ends. It is this same program, executed
//! afresh inside so that nothing of the caller's memory comes along.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::unistd;

use crate::child::message::Report;
use crate::child::sealed;
use crate::exec::program::Program;
use crate::exec::{candidate, environ};
use crate::plan::init::NAME;
use crate::supervise::outcome::exit_status;
use crate::sys::shim::SOCKET;
use crate::sys::{clone, descriptors, path, process, signal, tty};

/// Does the work of init, and never returns, if this process was started as
/// one by [`run`](fn@crate::run). A program that uses [`Spec::init`](crate::Spec)
/// calls this first thing in its main function.
pub fn init_if_asked() {
    let mut arguments = std::env::args_os();
    if arguments.next().as_deref() != Some(OsStr::new(NAME)) {
        return;
    }
    let console = arguments.next().is_some_and(|word| word == "console");
    let command: Vec<OsString> = arguments.collect();
    match descriptors::take_inherited(SOCKET) {
        Ok(socket) if !command.is_empty() => process::exit(serve(socket, console, &command)),
        _ => process::exit(64),
    }
}

/// Runs the command and serves until it has ended; returns our exit status.
/// It stays dumpable, as its exec has left it: the user who started it could not
/// enter by a pidfd of one that is not.
#[allow(unsafe_code)]
fn serve(socket: OwnedFd, console: bool, command: &[OsString]) -> libc::c_int {
    process::rename(c"init");
    let environment = environ::callers();
    let dirs = environ::path(&environment);
    let Ok(program) = Program::new(command, &environment, dirs) else {
        return 126;
    };
    // All signals wait until we take them.
    let all = SigSet::all();
    if pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&all), None).is_err() {
        return 126;
    }
    let life = || become_command(&program, &socket, console);
    // SAFETY: this process has one thread, see clone::fork.
    match unsafe { clone::fork_to(libc::SIGCHLD, life) } {
        Ok((pid, pidfd)) => {
            drop((socket, pidfd));
            reap(pid, &all)
        }
        Err(_) => 126,
    }
}

/// Becomes the command; returns only what its status is when it cannot.
fn become_command(program: &Program, socket: &OwnedFd, console: bool) -> libc::c_int {
    let prepared = || {
        descriptors::close_at_exec()?;
        if console {
            // A session of its own: keys that signal reach the command, and not
            // us to be passed on again. The key that stops is lost on it, as on
            // any whose parent is in another session, setpgid(2): there is no
            // shell to let it go on.
            unistd::setsid()?;
            let terminal = path::open(c"/dev/console", OFlag::O_RDWR | OFlag::O_NOCTTY)?;
            tty::set_controlling(&terminal)?;
        }
        signal::reset_all()
    };
    let mut room = [0; candidate::HEADER];
    let failure = match prepared() {
        Ok(()) => program.exec(&mut room),
        Err(errno) => errno.into(),
    };
    let missing = failure.errno == Errno::ENOENT;
    // The supervisor's end is our end, so somebody reads this.
    let _ = Report::Exec(usize::MAX, failure).send(socket.as_fd(), &[]);
    sealed::await_end(socket.as_fd());
    if missing { 127 } else { 126 }
}

/// Waits for signals and passes them on, and for children, until `command` has
/// ended.
fn reap(command: libc::pid_t, all: &SigSet) -> libc::c_int {
    loop {
        let Some((signal, from_kernel)) = signal::take(all) else {
            continue;
        };
        if signal != libc::SIGCHLD {
            // The kernel's own are keys, which the command's group has had.
            if !from_kernel {
                process::send(command, signal);
            }
            continue;
        }
        while let Some((pid, status)) = process::reap_any() {
            if pid == command {
                return exit_status(status).into();
            }
        }
    }
}
