//! Becoming the user that a program runs as, by the container's own files.

use std::os::fd::BorrowedFd;

use nix::fcntl::OFlag;
use nix::unistd;

use crate::exec::login::{Login, NOT_LISTED};
use crate::plan::user::UserStep;
use crate::sys::{Sys, path};

/// Room for the user that these steps find, if they find one.
pub(crate) fn room<'a>(mut steps: impl Iterator<Item = &'a UserStep>) -> Option<Box<Login>> {
    let finds = steps.any(|step| matches!(step, UserStep::FindUser(_)));
    finds.then(Login::room)
}

impl UserStep {
    /// Takes the step. `may_set_groups` says that setgroups(2) is allowed.
    pub(crate) fn perform(
        &self,
        login: Option<&mut Login>,
        may_set_groups: bool,
        terminal: Option<BorrowedFd>,
    ) -> Sys<()> {
        match (self, login) {
            (UserStep::FindUser(spec), Some(login)) => login.find(spec)?,
            (UserStep::FindGroups(spec), Some(login)) => login.find_groups(spec)?,
            (UserStep::Become(_), Some(login)) => login.become_user(may_set_groups, terminal)?,
            (UserStep::EnterDirectory(path), _) => {
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
                unistd::fchdir(path::open_inside(path, flags)?)?;
            }
            (UserStep::FindUser(_) | UserStep::FindGroups(_) | UserStep::Become(_), None) => {
                return Err(NOT_LISTED);
            }
        }
        Ok(())
    }
}
