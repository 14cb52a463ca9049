//! pasta as a process. It runs as root of the container, without any privilege
//! outside, in the user namespace of the container and else in ours. It has three
//! descriptors: the network namespace as standard input, so that it need not find
//! it by a path; a pipe that it writes its process id to once all is configured;
//! and one for its complaints, which nobody reads before its end and which
//! therefore must not block. When it has to end it is killed: by us, or by the
//! guard when that is too late.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd;

use crate::child::NAME;
use crate::error::{Error, Result};
use crate::exec::candidate::HEADER;
use crate::exec::program::Program;
use crate::proc::kernel::{self, UNPRIVILEGED, low_ports};
use crate::proc::namespaces;
use crate::spec::net::pasta::{Pasta, TUN, WHAT};
use crate::supervise::network::PastaProcess;
use crate::supervise::signals::Signals;
use crate::sys::child::Process;
use crate::sys::clone::{self, Fork};
use crate::sys::{Sys, descriptors, ids, process, signal};

impl Pasta {
    /// What of this machine explains that pasta ended with these words.
    fn hint(&self, words: &str) -> Option<String> {
        if words.contains("interface") && !kernel::has_default_route() {
            let ways = "a container can have no network (the default), or -n the host's";
            return Some(format!(
                "the host has no default route, which pasta goes by: {ways}"
            ));
        }
        if !words.contains("tun") {
            let first = low_ports()?;
            let lowest = self.forwards.iter().map(|one| one.outside).min()?;
            return (lowest < first).then(|| {
                format!("{UNPRIVILEGED} is {first}: sysctl -w {UNPRIVILEGED}={lowest} as root")
            });
        }
        match fs::metadata(TUN) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Some(format!("{TUN} is missing: modprobe tun as root"))
            }
            Ok(status) if status.mode() & 0o006 != 0o006 => {
                Some(format!("{TUN} is not open to all: chmod 666 {TUN} as root"))
            }
            _ => None,
        }
    }
}

/// What the forked process needs to become pasta.
struct Start<'a> {
    program: &'a Program,
    user_namespace: OwnedFd,
    network: OwnedFd,
    may_set_groups: bool,
    go: OwnedFd,
    ready: OwnedFd,
    words: OwnedFd,
}

impl Start<'_> {
    /// Becomes pasta; returns only to say why not.
    fn run(&self) -> Errno {
        process::rename(NAME);
        match self.enter() {
            Ok(()) => self.program.exec(&mut [0; HEADER]).errno,
            Err(errno) => errno,
        }
    }

    fn enter(&self) -> Sys<()> {
        process::die_with_parent()?;
        if unistd::read(&self.go, &mut [0])? == 0 {
            return Err(Errno::EPIPE);
        }
        // The keys of the caller's terminal are not for it.
        unistd::setsid()?;
        setns(&self.user_namespace, CloneFlags::CLONE_NEWUSER)?;
        ids::become_root(self.may_set_groups)?;
        for (fd, stream) in [self.network.as_fd(), self.ready.as_fd(), self.words.as_fd()]
            .into_iter()
            .zip(0..)
        {
            descriptors::make_stream(fd, stream)?;
        }
        signal::reset_all()
    }
}

impl PastaProcess {
    /// Forks the process, which waits: before it can begin somebody must be
    /// there who ends it when we are killed. The namespaces of `init` are opened
    /// now, while that still has the caller's ids.
    #[allow(unsafe_code)]
    pub(crate) fn prepare(
        program: &Program,
        init: libc::pid_t,
        may_set_groups: bool,
    ) -> Result<PastaProcess> {
        let failed = |errno| Error::errno(WHAT, errno);
        let (go, begin) = unistd::pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
        let (ready, tell_ready) = unistd::pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
        // It is opened anew, by a process that may have other ids than ours.
        fchmod(&tell_ready, Mode::from_bits_retain(0o622)).map_err(failed)?;
        let (words, complain) =
            unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(failed)?;
        let start = Start {
            program,
            user_namespace: namespaces::open(init, "user")?,
            network: namespaces::open(init, "net")?,
            may_set_groups,
            go,
            ready: tell_ready,
            words: complain,
        };
        // SAFETY: this process has one thread, see clone::fork.
        match unsafe { clone::fork(CloneFlags::empty(), libc::SIGCHLD) }.map_err(failed)? {
            Fork::Child => {
                drop(begin);
                let errno = start.run();
                // Who would read it is gone, or sees us end.
                let _ = unistd::write(&start.words, errno.desc().as_bytes());
                process::exit(1)
            }
            Fork::Parent { pid, pidfd } => Ok(PastaProcess {
                process: Process::new(pid, pidfd),
                go: Some(begin),
                ready,
                words,
            }),
        }
    }

    /// Waits until the interface inside is configured.
    ///
    /// # Errors
    /// What it said of its failure; a signal that asks us to end.
    pub(crate) fn await_ready(&self, pasta: &Pasta, signals: &Signals) -> Result<()> {
        signals.wait_for(self.ready.as_fd(), WHAT)?;
        match unistd::read(&self.ready, &mut [0; 16]) {
            Ok(1..) => Ok(()),
            _ => {
                // It ends already, or has given up its word for good.
                self.process.signal(libc::SIGKILL);
                let words = self.reason();
                Err(Error::new(WHAT, &words).with_any_hint(pasta.hint(&words)))
            }
        }
    }
}
