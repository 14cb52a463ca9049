//! What the supervisor keeps at work for the container's network: a pasta, and the
//! copy of the host's resolv.conf.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::poll::PollFlags;
use nix::sys::wait::WaitStatus;
use nix::unistd;

use crate::error::text::quoted;
use crate::supervise::resolv;
use crate::sys::child::Process;

/// What the supervisor keeps at work for the container's network.
#[derive(Default)]
pub(crate) struct Attached {
    pub(crate) pasta: Option<PastaProcess>,
    /// The container's copy of resolv.conf.
    pub(crate) mirror: Option<resolv::Mirror>,
}

impl Attached {
    /// The process that the guard ends together with init.
    pub(crate) fn process(&self) -> Option<BorrowedFd<'_>> {
        self.pasta.as_ref().map(PastaProcess::pidfd)
    }

    /// Lets pasta begin: the guard is there.
    pub(crate) fn begin(&mut self) {
        if let Some(pasta) = &mut self.pasta {
            pasta.begin();
        }
    }

    /// What to wait for: the end of pasta, a change of the host's resolv.conf.
    pub(crate) fn poll_fds(&self) -> [Option<BorrowedFd<'_>>; 2] {
        [
            self.process(),
            self.mirror.as_ref().and_then(resolv::Mirror::changes),
        ]
    }

    /// When something is due whatever poll finds.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.mirror.as_ref().and_then(resolv::Mirror::deadline)
    }

    /// Does what is due, given what poll found; returns what the user should
    /// know of it.
    pub(crate) fn handle(&mut self, [pasta, changed]: [PollFlags; 2]) -> Option<String> {
        if let Some(mirror) = &mut self.mirror {
            mirror.begin();
            if !changed.is_empty() {
                mirror.follow();
            }
        }
        let ended = self.pasta.take_if(|_| !pasta.is_empty())?;
        Some(format!(
            "the container has lost its network: pasta ended: {}",
            ended.reason()
        ))
    }
}

/// A pasta, from its fork to its end; dropping it kills it.
pub(crate) struct PastaProcess {
    pub(crate) process: Process,
    /// It begins when it reads a byte, and ends when it cannot.
    pub(crate) go: Option<OwnedFd>,
    /// It says here that all is configured.
    pub(crate) ready: OwnedFd,
    pub(crate) words: OwnedFd,
}

impl PastaProcess {
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.process.pidfd()
    }

    /// Lets it begin.
    pub(crate) fn begin(&mut self) {
        if let Some(go) = self.go.take() {
            // One that has ended is noticed when its word is awaited.
            let _ = unistd::write(go, &[0]);
        }
    }

    /// Why it has ended.
    pub(crate) fn reason(&self) -> String {
        if let Ok(WaitStatus::Signaled(_, signal, _)) = self.process.wait() {
            return format!("killed by {signal}");
        }
        // A pipe holds no more; what did not fit is lost.
        let mut words = vec![0; 64 * 1024];
        let len = unistd::read(&self.words, &mut words).unwrap_or(0);
        let words = String::from_utf8_lossy(&words[..len]);
        match words.lines().rfind(|line| !line.trim().is_empty()) {
            Some(line) => quoted(line.trim().trim_end_matches('.')),
            None => "it gave no reason".to_string(),
        }
    }
}
