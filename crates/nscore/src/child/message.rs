//! The conversation of supervisor and child over their socket pair: a go, a
//! report, another go, then end of file when the child execs. What the child
//! sends it neither allocates nor copies.

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::exec::candidate::{Candidate, Failure, HEADER};
use crate::sys::socket::{self, MAX_FDS};
use crate::sys::{Sys, shim};

/// The supervisor's word: first that maps and helpers are done, then that
/// guard and record are, so that init may run.
pub(crate) struct Go;

/// What the child has to say. Each is its last word but for `Made` and `Kept`, for
/// `Started`, after which the other process has the word, and for `SetUp` and `Trying`, which
/// end of file follows when the exec succeeds.
pub(crate) enum Report<'a> {
    /// Set-up is done, exec comes next, after one more go from a supervisor.
    SetUp,
    /// A step failed: its number, and why.
    Failed(usize, Errno),
    /// Something that was added to the root file system, for the supervisor to
    /// remove if the start fails. That root comes along with the first, and the user
    /// namespace of its owner.
    Made(Cow<'a, [u8]>),
    /// A mount that the supervisor keeps for as long as the container lives comes along.
    Kept,
    /// The shim is about to run this.
    Trying(Candidate<'a>),
    /// It could not.
    Refused(Errno),
    /// Another process has been made, which is to be the command in a container,
    /// or init; its pidfd comes along.
    Started(libc::pid_t),
    /// The inside helper ended with this wait status, which is not 0.
    Helper(libc::c_int),
    /// A program could not be run by this step.
    Exec(usize, Failure<'a>),
}

/// A report as received, and the descriptors with it.
pub(crate) type Received = (Report<'static>, Fds);

/// With `SetUp` the console's master and slave, where there is a console, then the
/// copy of resolv.conf; with `Started` a pidfd; with `Kept` that mount; with the first
/// `Made` a root and a user namespace.
pub(crate) type Fds = [Option<OwnedFd>; 3];

const SET_UP: u32 = 1;

const FAILED: u32 = 2;

const HELPER: u32 = 3;

const EXEC: u32 = 4;

const STARTED: u32 = 5;

const MADE: u32 = 6;

const TRYING: u32 = 7;

const REFUSED: u32 = shim::REFUSED;

const KEPT: u32 = 9;

/// Five numbers, then a path or the beginning of a file, the shorter of the two.
const NUMBERS: usize = 5;

const SIZE: usize = NUMBERS * 4 + libc::PATH_MAX as usize;

const _: () = assert!(HEADER <= libc::PATH_MAX as usize);

impl Go {
    /// Sends it, with these trees: as many messages as it takes, of which all but the
    /// last say that there are more.
    pub(crate) fn send(socket: BorrowedFd, trees: &[BorrowedFd]) -> Sys<()> {
        let mut rest = trees;
        loop {
            let (now, later) = rest.split_at(rest.len().min(MAX_FDS));
            socket::send(socket, [&[u8::from(!later.is_empty())], &[]], now)?;
            if later.is_empty() {
                return Ok(());
            }
            rest = later;
        }
    }

    /// Waits for the go, and puts the trees that come with it where they belong;
    /// EPIPE when the supervisor is gone.
    pub(crate) fn receive(socket: BorrowedFd, trees: &mut [Option<OwnedFd>]) -> Sys<()> {
        let mut slots = trees.iter_mut();
        loop {
            let mut more = [0];
            let received = socket::receive(socket, &mut more)?;
            if received.len == 0 {
                return Err(Errno::EPIPE);
            }
            for tree in received.fds.into_iter().flatten() {
                *slots.next().ok_or(Errno::EBADMSG)? = Some(tree);
            }
            if more == [0] {
                return Ok(());
            }
        }
    }
}

impl Report<'_> {
    pub(crate) fn send(&self, socket: BorrowedFd, fds: &[BorrowedFd]) -> Sys<()> {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut follows: &[u8] = &[];
        let numbers = match self {
            Report::SetUp => [SET_UP, 0, 0, 0, 0],
            Report::Failed(action, errno) => [FAILED, number(*action), *errno as u32, 0, 0],
            Report::Started(pid) => [STARTED, pid.cast_unsigned(), 0, 0, 0],
            Report::Helper(status) => [HELPER, status.cast_unsigned(), 0, 0, 0],
            Report::Exec(action, failure) => {
                let Failure { errno, candidate } = failure;
                follows = &candidate.header;
                let index = number(candidate.index);
                [EXEC, number(*action), *errno as u32, index, candidate.mode]
            }
            Report::Trying(candidate) => {
                follows = &candidate.header;
                [TRYING, 0, 0, number(candidate.index), candidate.mode]
            }
            Report::Made(path) => {
                follows = path;
                [MADE, 0, 0, 0, 0]
            }
            Report::Kept => [KEPT, 0, 0, 0, 0],
            Report::Refused(errno) => [REFUSED, *errno as u32, 0, 0, 0],
        };
        let mut bytes = [0; NUMBERS * 4];
        for (to, from) in bytes.chunks_exact_mut(4).zip(numbers) {
            to.copy_from_slice(&from.to_ne_bytes());
        }
        socket::send(socket, [&bytes, follows], fds)
    }

    /// Receives a report; None at end of file.
    pub(crate) fn receive(socket: &OwnedFd) -> Sys<Option<Received>> {
        let mut bytes = vec![0; SIZE];
        let received = match socket::receive(socket.as_fd(), &mut bytes) {
            // It ended with a word of ours unread; what it said still waits.
            Err(Errno::ECONNRESET) => socket::receive(socket.as_fd(), &mut bytes)?,
            other => other?,
        };
        if received.len == 0 {
            return Ok(None);
        }
        let mut numbers = [0; NUMBERS];
        for (to, from) in numbers.iter_mut().zip(bytes.chunks_exact(4)) {
            *to = u32::from_ne_bytes([from[0], from[1], from[2], from[3]]);
        }
        let [kind, one, two, three, four] = numbers;
        let errno = Errno::from_raw(two.cast_signed());
        let follows = bytes.get(NUMBERS * 4..received.len).unwrap_or_default();
        let follows = follows.to_vec();
        let candidate = |header| Candidate {
            index: three as usize,
            mode: four,
            header: Cow::Owned(header),
        };
        let report = match kind {
            SET_UP => Report::SetUp,
            FAILED => Report::Failed(one as usize, errno),
            STARTED => Report::Started(one.cast_signed()),
            HELPER => Report::Helper(one.cast_signed()),
            EXEC => {
                let candidate = candidate(follows);
                Report::Exec(one as usize, Failure { errno, candidate })
            }
            KEPT => Report::Kept,
            TRYING => Report::Trying(candidate(follows)),
            MADE => Report::Made(Cow::Owned(follows)),
            REFUSED => Report::Refused(Errno::from_raw(one.cast_signed())),
            _ => return Err(Errno::EBADMSG),
        };
        let [one, two, three, ..] = received.fds;
        Ok(Some((report, [one, two, three])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::candidate::{Candidate, Failure};
    use crate::sys::socket;

    #[test]
    fn reports_arrive_as_sent() {
        let (ours, theirs) = socket::pair().unwrap();
        let candidate = Candidate {
            index: 3,
            mode: 0o100_755,
            header: Cow::Borrowed(b"#!"),
        };
        let failure = Failure {
            errno: Errno::ENOEXEC,
            candidate,
        };
        let report = Report::Exec(40, failure);
        report.send(theirs.as_fd(), &[]).unwrap();
        Report::SetUp
            .send(theirs.as_fd(), &[ours.as_fd(), theirs.as_fd()])
            .unwrap();
        drop(theirs);
        let Report::Exec(action, failure) = Report::receive(&ours).unwrap().unwrap().0 else {
            panic!("another report")
        };
        let Failure { errno, candidate } = failure;
        assert_eq!((action, errno), (40, Errno::ENOEXEC));
        assert_eq!((candidate.index, candidate.mode), (3, 0o100_755));
        assert_eq!(&*candidate.header, b"#!");
        let (report, fds) = Report::receive(&ours).unwrap().unwrap();
        assert!(matches!(report, Report::SetUp) && fds[..2].iter().all(Option::is_some));
        drop(fds);
        assert!(Report::receive(&ours).unwrap().is_none());
    }
}
