//! Becoming root of a new user namespace in place: the same process, the same
//! terminal, the same environment.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::unistd;

use crate::child::NAME;
use crate::error::{Error, Result};
use crate::exec::{self, Program};
use crate::hint::Op;
use crate::host::Host;
use crate::idmap::{MapSpec, MapWriter};
use crate::launch::setgroups_allowed;
use crate::plan::{self, Maps};
use crate::process::Process;
use crate::sys::clone::{self, Fork};
use crate::sys::{mount, process};

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
}

impl Pseudo {
    /// Becomes the command. `warn` hears what the user should know although
    /// the command runs. For a process of one thread.
    ///
    /// # Errors
    /// Whatever keeps the command from running; it returns for no other reason.
    pub fn exec(&self, host: &Host, warn: impl Fn(&str)) -> Result<std::convert::Infallible> {
        let maps = Maps::new(&self.uid_map, &self.gid_map, host)?;
        let command = exec::command_or_shell(&self.command);
        let path = std::env::var_os("PATH").unwrap_or_else(|| exec::PATH.into());
        let program = Program::new(&command, &exec::callers_environment(), &path)?;
        if let Some(warning) = plan::single_id(&self.uid_map, &self.gid_map, host) {
            warn(&warning);
        }
        let mut namespaces = CloneFlags::CLONE_NEWUSER;
        if self.mount {
            namespaces |= CloneFlags::CLONE_NEWNS;
        }
        let create = || {
            unshare(namespaces)
                .map_err(|errno| Error::system(Op::Namespaces, "create namespaces", errno))
        };
        let own_ids = |writer: &MapWriter| !matches!(writer, MapWriter::Helper(_));
        if !host.user.privileged && own_ids(&maps.user.writer) && own_ids(&maps.group.writer) {
            create()?;
            maps.write(unistd::getpid().as_raw())?;
        } else {
            let writer = Writer::start(&maps)?;
            create()?;
            writer.finish()?;
        }
        let drop_groups = setgroups_allowed(unistd::getpid().as_raw())?;
        process::become_root(drop_groups)
            .map_err(|errno| Error::errno("become root of the user namespace", errno))?;
        if self.mount {
            mount::make_private()
                .map_err(|errno| Error::errno("separate mounts from the host's", errno))?;
        }
        process::default_sigpipe();
        Err(program.explain(&program.exec()))
    }
}

/// A process that stays in the old user namespace, where it has the right to
/// write our maps once we are in the new one.
struct Writer {
    process: Process,
    go: OwnedFd,
    answer: OwnedFd,
}

impl Writer {
    #[allow(unsafe_code)]
    fn start(maps: &Maps) -> Result<Writer> {
        let failed = |errno| Error::errno("start the map writer", errno);
        let (go, ours) = unistd::pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
        let (answer, theirs) = unistd::pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
        let target = unistd::getpid().as_raw();
        // SAFETY: user namespaces are for processes of one thread alone, so
        // there is no lock that another thread could hold, and the child may
        // allocate.
        match unsafe { clone::fork(CloneFlags::empty(), libc::SIGCHLD) }.map_err(failed)? {
            Fork::Child => {
                process::rename(NAME);
                drop(ours);
                // End of file: the other end died, and needs no maps.
                if unistd::read(go.as_fd(), &mut [0]) == Ok(1)
                    && let Err(error) = maps.write(target)
                {
                    // A reader that died needs no answer.
                    let _ = std::fs::File::from(theirs).write_all(&error.to_bytes());
                }
                process::exit(0)
            }
            Fork::Parent { pid, pidfd } => Ok(Writer {
                process: Process::new(pid, pidfd),
                go: ours,
                answer,
            }),
        }
    }

    /// Says that the namespace exists and waits for its maps.
    fn finish(self) -> Result<()> {
        let failed = |errno| Error::errno("write the maps", errno);
        unistd::write(&self.go, &[0]).map_err(failed)?;
        self.process.wait().map_err(failed)?;
        let mut answer = Vec::new();
        std::fs::File::from(self.answer)
            .read_to_end(&mut answer)
            .map_err(|error| Error::io("write the maps", &error))?;
        if answer.is_empty() {
            Ok(())
        } else {
            Err(Error::from_bytes(&answer))
        }
    }
}
