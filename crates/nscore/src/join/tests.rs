//! What a command in the container can say of itself, and what only the joiner can.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::Command;

use nix::sched::CloneFlags;

use crate::child::message::{Fds, Report};
use crate::error::Result;
use crate::exec::candidate::Candidate;
use crate::exec::environ;
use crate::exec::program::Program;
use crate::join::entry::Entry;
use crate::join::find::Found;
use crate::plan::profile::Terms;
use crate::supervise::signals::Signals;
use crate::sys::child::Process;
use crate::sys::{process, socket};

/// A joiner's and a command's ends, and what was heard of them.
fn hear(say: impl FnOnce(&OwnedFd, &OwnedFd, BorrowedFd, libc::pid_t)) -> Result<Fds> {
    let environment = environ::own();
    let program = Program::new(&["true".into()], &environment, environ::PATH.as_ref())?;
    let signals = Signals::block()?;
    let mut child = Command::new("sleep").arg("100").spawn().unwrap();
    let pid = child.id().try_into().unwrap();
    let open = || process::pidfd_open(pid).unwrap();
    let entry = Entry {
        found: Found {
            init: pid,
            pidfd: open(),
            namespaces: CloneFlags::empty(),
            terms: Terms::default(),
        },
        program,
        may_set_groups: false,
        drop_own_groups: false,
        terminals: [false; 3],
        look: None,
        share_terminal: true,
        exposed: true,
        changes: Vec::new(),
        login: None,
        header: Vec::new(),
    };
    let (life, joiner) = socket::pair().unwrap();
    let (ours, command) = socket::pair().unwrap();
    say(&joiner, &command, open().as_fd(), pid);
    drop(joiner);
    // Whom it was not told of it does not end.
    let guarded = Process::new(pid, open());
    let heard = entry.await_command(&life, ours, &signals);
    drop(guarded);
    // It has been waited for.
    let _ = child.wait();
    heard.map(|(command, fds)| {
        assert_eq!(command.pid(), pid);
        fds
    })
}

fn tell(socket: &OwnedFd, report: &Report, fds: &[BorrowedFd]) {
    report.send(socket.as_fd(), fds).unwrap();
}

#[test]
fn the_joiner_alone_says_which_process_is_the_command() {
    let heard = hear(|_, command, pidfd, pid| {
        tell(command, &Report::Started(pid), &[pidfd]);
        tell(command, &Report::SetUp, &[]);
    });
    assert!(heard.is_err());
    let heard = hear(|joiner, command, pidfd, pid| {
        tell(joiner, &Report::Started(pid), &[pidfd]);
        tell(command, &Report::SetUp, &[]);
        tell(command, &Report::Started(1), &[pidfd]);
    });
    assert!(heard.is_err());
}

#[test]
fn an_end_of_file_withheld_is_not_waited_for() {
    let mut withheld = None;
    let heard = hear(|joiner, command, pidfd, pid| {
        tell(joiner, &Report::Started(pid), &[pidfd]);
        tell(command, &Report::SetUp, &[]);
        tell(command, &Report::Trying(Candidate::default()), &[]);
        withheld = command.try_clone().ok();
        process::kill(pidfd).unwrap();
    });
    assert!(heard.is_ok() && withheld.is_some());
}
