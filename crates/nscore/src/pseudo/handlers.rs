//! Emulators for a mount namespace without a container: what runs there may make roots
//! of any architecture, and nobody can tell beforehand.

use std::os::fd::AsFd as _;

use nix::errno::Errno;
use nix::fcntl::open;
use nix::sys::stat::Mode;

use crate::child::binfmt;
use crate::decide::foreign;
use crate::error::{Error, Result};
use crate::host::binfmt::architecture;
use crate::host::binfmt::emulator::{Emulator, Places};
use crate::host::binfmt::handler::{self, HANDLERS};
use crate::plan::handlers::Registration;
use crate::sys::path::FIND_DIR;

/// Handlers for the emulators of this machine that nobody has registered.
pub(crate) struct Provision(Vec<Registration>);

/// Looks for them, with the caller's rights. None where there is nothing to do, as on a
/// machine without emulators.
///
/// # Errors
/// Those of strings that the kernel cannot be told.
pub(crate) fn provide() -> Result<Option<Provision>> {
    let places = Places::of_caller();
    let foreign = architecture::ALL.iter().filter(|row| !row.is_native());
    let found = foreign.filter_map(|row| places.find(row));
    let mut found: Vec<Emulator> = found.filter(|found| found.loader.is_none()).collect();
    if found.is_empty() {
        return Ok(None);
    }
    let registered = handler::registered();
    // One that the kernel has no program of yet would look for it in another root.
    let open = || registered.iter().filter(|handler| handler.is_open());
    found.retain(|found| {
        let program = found.architecture.pattern().magic;
        !open().any(|handler| handler.is_for(&program))
    });
    if found.is_empty() {
        return Ok(None);
    }
    let mut all = Vec::new();
    for handler in foreign::hosts(&found, registered) {
        all.extend(Registration::of_host(&handler)?);
    }
    for emulator in &found {
        all.push(Registration {
            optional: true,
            ..Registration::of_emulator(emulator, false)?
        });
    }
    Ok(Some(Provision(all)))
}

impl Provision {
    /// Registers them in our user namespace and shows them in our mount namespace. Where
    /// the kernel has no such thing, all is as it was.
    ///
    /// # Errors
    /// When it has and fails.
    pub(crate) fn perform(&self) -> Result<()> {
        let instance = match binfmt::instance() {
            // No module, Linux before 6.7, or before 5.2.
            Err(Errno::ENODEV | Errno::EPERM | Errno::ENOSYS) => return Ok(()),
            other => other,
        };
        let done = instance.and_then(|instance| {
            let register = binfmt::register(instance.as_fd())?;
            for registration in &self.0 {
                registration.perform(register.as_fd())?;
            }
            // With the last mount the handlers would be gone.
            binfmt::show(open(HANDLERS, FIND_DIR, Mode::empty())?.as_fd())
        });
        match done {
            // Without a call for mounts they are gone with the instance.
            Err(Errno::ENOSYS) => Ok(()),
            done => done.map_err(|errno| Error::errno("register emulators", errno)),
        }
    }
}
