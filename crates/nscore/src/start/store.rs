//! The directory of `--upper`, prepared: who owns it, and that it is used by one
//! container at a time.

use std::ffi::{CStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::stat::{self, Mode};
use nix::unistd::{self, Gid, Uid};

use crate::error::digits::are_digits;
use crate::error::text::{quoted, quoted_c};
use crate::error::{Error, Result};
use crate::plan::store::{Store, begun};
use crate::sys::{make, path};

/// The right to use one; it ends when the last descriptor of it closes.
pub(crate) struct Lock(Flock<File>);

impl Lock {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Gives a directory that we have made to its owner. Whoever has the one around it may
/// have put something else there meanwhile.
fn give(dir: &File, name: &CStr, uid: Uid, gid: Gid) -> std::result::Result<(), Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    let made = path::open_below(dir.as_fd(), name, flags)?;
    if stat::fstat(&made)?.st_uid != unistd::geteuid().as_raw() {
        return Err(Errno::ESTALE);
    }
    unistd::fchown(&made, Some(uid), Some(gid))
}

/// One whose supervisor was killed has it until its guard has seen to the end of it.
fn lock(dir: File) -> std::result::Result<Flock<File>, Errno> {
    const TRIES: usize = 50;
    const PAUSE: Duration = Duration::from_millis(10);
    let mut dir = dir;
    for _ in 1..TRIES {
        match Flock::lock(dir, FlockArg::LockExclusiveNonblock) {
            Err((file, Errno::EWOULDBLOCK)) => dir = file,
            other => return other.map_err(|(_, errno)| errno),
        }
        thread::sleep(PAUSE);
    }
    Flock::lock(dir, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)
}

impl Store {
    /// Locks the directory and makes changes/ and work/ in it.
    ///
    /// # Errors
    /// When another container has it, or nothing can be made there.
    pub(crate) fn prepare(&self) -> Result<Lock> {
        let shown = quoted_c(&self.path);
        let dir = path::open_known_dir(&self.path, OFlag::O_RDONLY)
            .map_err(|errno| Error::errno(format!("open upper directory {shown}"), errno))?;
        let lock = lock(File::from(dir)).map_err(|errno| match errno {
            Errno::EWOULDBLOCK => Error::new(
                format!("use upper directory {shown}"),
                "another container uses it",
            ),
            errno => Error::errno(format!("lock upper directory {shown}"), errno),
        })?;
        let looked = |error| Error::io(format!("look at work in upper directory {shown}"), &error);
        if let Some(name) = self.strange_work().map_err(looked)? {
            let reason = format!("its work/ holds {}, which is no container's", quoted(&name));
            return Err(Error::new(format!("use upper directory {shown}"), reason)
                .with_hint("give it a directory of its own"));
        }
        for name in [c"changes", c"work"] {
            self.make(&lock, name).map_err(|errno| {
                let name = quoted_c(name);
                Error::errno(format!("make {name} in upper directory {shown}"), errno)
            })?;
        }
        Ok(Lock(lock))
    }

    /// Something in work/ that overlays have not left there. The kernel removes what
    /// is in its way.
    fn strange_work(&self) -> io::Result<Option<OsString>> {
        let entries = match fs::read_dir(self.work()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        for entry in entries {
            let name = entry?.file_name();
            if name != begun() && !name.to_str().is_some_and(are_digits) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    fn make(&self, dir: &File, name: &CStr) -> std::result::Result<(), Errno> {
        // The caller's umask is not the container's.
        let umask = stat::umask(Mode::empty());
        let made = stat::mkdirat(dir, name, Mode::from_bits_retain(0o755));
        stat::umask(umask);
        match made {
            // What is there already is a container's, and is looked at by the
            // container alone.
            Err(Errno::EEXIST) => return Ok(()),
            other => other?,
        }
        let (uid, gid) = self.owner;
        if (uid, gid) == (unistd::geteuid().as_raw(), unistd::getegid().as_raw()) {
            return Ok(());
        }
        let given = give(dir, name, Uid::from_raw(uid), Gid::from_raw(gid));
        if given.is_err() {
            let _ = make::remove_dir(dir.as_fd(), name);
        }
        given
    }
}
