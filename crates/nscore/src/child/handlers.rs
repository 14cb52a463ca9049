//! The steps that give the container handlers of its own.

use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;

use crate::child::binfmt;
use crate::child::failed::Failed;
use crate::child::message::Report;
use crate::child::state::Child;
use crate::plan::handlers::HandlerStep;
use crate::plan::place::Place;
use crate::sys::path;

impl Child<'_> {
    pub(super) fn handlers(&mut self, step: &HandlerStep) -> Result<(), Failed<'static>> {
        match step {
            HandlerStep::Instance => {
                let instance = binfmt::instance()?;
                Report::Kept
                    .send(self.socket, &[instance.as_fd()])
                    .map_err(Failed::talk)?;
                self.handlers = Some(binfmt::register(instance.as_fd())?);
            }
            HandlerStep::Register(registration) => {
                let register = self.handlers.as_ref().map(OwnedFd::as_fd);
                registration.perform(register.ok_or(Errno::EBADF)?)?;
            }
            HandlerStep::Show => {
                let at = path::open_below(
                    self.place(Place::Proc)?,
                    c"sys/fs/binfmt_misc",
                    path::FIND_DIR,
                )?;
                binfmt::show(at.as_fd())?;
            }
        }
        Ok(())
    }
}
