//! Becoming root of a new user namespace in place: the same process, the same
//! terminal, the same environment.

mod handlers;

use std::ffi::OsString;

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd;

use crate::error::hint::advice::Op;
use crate::error::{Error, Result};
use crate::exec::candidate::HEADER;
use crate::exec::{self, environ};
use crate::fake::file::Ids;
use crate::fake::start;
use crate::host::caller::Caller;
use crate::plan::maps::{MapWriter, Maps};
use crate::spec::maps::MapSpec;
use crate::sys::child::Process;
use crate::sys::{clone, ids, mount, signal};

/// A command to run as root of a new user namespace.
#[derive(Debug, Clone, Default)]
pub struct Pseudo {
    /// The command; none means $SHELL, else /bin/sh.
    pub command: Vec<OsString>,
    /// User ids.
    pub uid_map: MapSpec,
    /// Group ids.
    pub gid_map: MapSpec,
    /// A mount namespace too, whose mounts are nobody else's.
    pub mount: bool,
    /// Owners that no id is mapped for are told, and kept with the files.
    pub fake_owner: bool,
}

impl Pseudo {
    /// Becomes the command. `warn` hears what the user should know although
    /// the command runs. For a process of one thread.
    ///
    /// # Errors
    /// Whatever keeps the command from running; it returns for no other reason.
    pub fn exec(&self, caller: &Caller, warn: impl Fn(&str)) -> Result<std::convert::Infallible> {
        let maps = Maps::new(&self.uid_map, &self.gid_map, caller)?;
        let environment = environ::callers_as_root();
        let path = environ::path(&environment);
        let program = exec::command_or_shell(&self.command, &environment, path)?;
        // Looked for with the caller's rights.
        let emulators = match self.mount {
            true => handlers::provide()?,
            false => None,
        };
        let ids = Ids::to_tell(&maps.user.map, &maps.group.map);
        let warning = caller.single_id_warning(&self.uid_map, &self.gid_map);
        if let Some(warning) = warning.filter(|_| !self.fake_owner) {
            warn(&warning);
        }
        // An ignored SIGCHLD would take away our helpers' statuses.
        let children = signal::Disposition::default_for(libc::SIGCHLD);
        let failed = |errno| Error::system(Op::Namespaces, "create namespaces", errno);
        let pid = unistd::getpid().as_raw();
        let own_ids = |writer: &MapWriter| !matches!(writer, MapWriter::Helper(_));
        if !caller.user.privileged && own_ids(&maps.user.writer) && own_ids(&maps.group.writer) {
            unshare(CloneFlags::CLONE_NEWUSER).map_err(failed)?;
            maps.write(pid)?;
        } else {
            // Once inside we have no right to write the maps that let us in, so
            // another process makes the namespace.
            let (holder, pidfd) = clone::hold_user_namespace().map_err(failed)?;
            let holder = Process::new(holder, pidfd);
            maps.write(holder.pid())?;
            setns(holder.pidfd(), CloneFlags::CLONE_NEWUSER).map_err(failed)?;
        }
        let drop_groups = match maps.leave_setgroups() {
            true => ids::drop_groups_if_allowed().map(drop),
            false => Ok(()),
        };
        drop_groups
            .and_then(|()| ids::become_root(false))
            .map_err(|errno| Error::errno("become root of the user namespace", errno))?;
        if self.mount {
            unshare(CloneFlags::CLONE_NEWNS).map_err(failed)?;
            mount::make_private()
                .map_err(|errno| Error::errno("separate mounts from the host's", errno))?;
            emulators.map_or(Ok(()), |emulators| emulators.perform())?;
        }
        if let (true, Some(ids)) = (self.fake_owner, ids) {
            start::answer_in_place(&ids)?;
        }
        drop(children);
        Err(program.explain(&program.exec(&mut [0; HEADER])))
    }
}
