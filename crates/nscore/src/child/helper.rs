//! The inside helper, a process of its own in the child's namespaces.

use nix::errno::Errno;
use nix::sys::stat;
use nix::unistd;

use crate::child::NAME;
use crate::child::failed::Failed;
use crate::child::state::Child;
use crate::exec::program::Program;
use crate::plan::place::Place;
use crate::sys::{clone, process, signal};

impl Child<'_> {
    /// Forks the helper into our namespaces, with the new root as its working
    /// directory, and waits.
    #[allow(unsafe_code)]
    pub(super) fn run_inside(
        &self,
        program: &Program,
        room: &mut [u8],
    ) -> Result<(), Failed<'static>> {
        unistd::fchdir(self.place(Place::Root)?)?;
        let life = || {
            process::rename(NAME);
            stat::umask(self.umask);
            let failure = match signal::reset_all() {
                Ok(()) => program.exec(room),
                Err(errno) => errno.into(),
            };
            // 127 is what a shell says of itself when it is missing.
            if failure.errno == Errno::ENOENT {
                127
            } else {
                126
            }
        };
        // SAFETY: this process has one thread, see clone::fork.
        let (pid, _) = unsafe { clone::fork_to(libc::SIGCHLD, life) }?;
        match process::wait(pid)? {
            0 => Ok(()),
            status => Err(Failed::Helper(status)),
        }
    }
}
