//! What the child says to the supervisor, and that it gives up.

use std::os::fd::AsFd as _;

use crate::child::failed::Failed;
use crate::child::message::{Go, Report};
use crate::child::sealed;
use crate::child::state::Child;
use crate::sys::process;

impl Child<'_> {
    /// Says why this step cannot be had, after what it has made all the same.
    #[cold]
    #[inline(never)]
    pub(super) fn give_up(mut self, action: usize, failed: Failed) -> ! {
        // What fails here comes after a failure that is worth telling.
        let _ = self.tell_made();
        let report = match failed {
            Failed::Orphaned => process::exit(1),
            Failed::Errno(errno) => Report::Failed(action, errno),
            Failed::Helper(status) => Report::Helper(status),
            Failed::Exec(failure) => Report::Exec(action, failure),
        };
        // Without a supervisor there is nobody to tell.
        let _ = report.send(self.socket, &[]);
        sealed::await_end(self.socket);
        process::exit(1)
    }

    /// Hands the supervisor console and copy, and waits until it is ready.
    pub(super) fn be_ready(&self) -> Result<(), Failed<'static>> {
        let console = self.console.as_ref().map(|(master, slave)| [master, slave]);
        let mut fds = [self.socket; 3];
        let mut count = 0;
        for fd in console.into_iter().flatten().chain(&self.copy) {
            fds[count] = fd.as_fd();
            count += 1;
        }
        Report::SetUp
            .send(self.socket, &fds[..count])
            .and_then(|()| Go::receive(self.socket, &mut []))
            .map_err(Failed::talk)
            .map(drop)
    }
}
