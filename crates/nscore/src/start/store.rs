//! The directory of `--upper`, prepared: who owns it, and that it is used by one
//! container at a time.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::thread;
use std::time::Duration;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::stat::{self, Mode};
use nix::unistd::{self, Gid, Uid};

use crate::error::digits::are_digits;
use crate::error::text::{quoted, quoted_c};
use crate::error::{Error, Result};
use crate::plan::overlay::BEGUN;
use crate::plan::store::Store;
use crate::sys::{Sys, make, path};

/// The right to use one; it ends when the last descriptor of it closes.
pub(crate) struct Lock(Flock<File>);

impl Lock {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Gives a directory that we have made to its owner. Whoever has the one around it may
/// have put something else there meanwhile.
fn give(dir: &OwnedFd, name: &CStr, uid: Uid, gid: Gid) -> Sys<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    let made = path::open_below(dir.as_fd(), name, flags)?;
    if stat::fstat(&made)?.st_uid != unistd::geteuid().as_raw() {
        return Err(Errno::ESTALE);
    }
    unistd::fchown(&made, Some(uid), Some(gid))
}

/// Locks it, if that can be had soon: tried fifty times, with this pause between.
pub(super) fn lock_soon(
    mut dir: File,
    how: FlockArg,
    pause: Duration,
) -> std::result::Result<Flock<File>, (File, Errno)> {
    for _ in 1..50 {
        match Flock::lock(dir, how) {
            Err((file, Errno::EWOULDBLOCK)) => dir = file,
            other => return other,
        }
        thread::sleep(pause);
    }
    Flock::lock(dir, how)
}

/// Something in work/ that overlays have not left there. The kernel removes what is in
/// its way.
fn strange_work(work: &File) -> Sys<Option<OsString>> {
    let listed = path::open_at(work, c".", OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
    for entry in Dir::from_fd(listed)?.into_iter() {
        let entry = entry?;
        let name = entry.file_name();
        let ours = [c".", c"..", BEGUN].contains(&name);
        if !ours && !name.to_str().is_ok_and(are_digits) {
            return Ok(Some(OsStr::from_bytes(name.to_bytes()).to_owned()));
        }
    }
    Ok(None)
}

impl Store {
    /// Makes changes/ and work/ in the directory, and takes work/ for this container.
    /// Nobody but its owner can open that, so nobody else can keep it from us.
    ///
    /// # Errors
    /// When another container has it, or nothing can be made there.
    pub(crate) fn prepare(&self) -> Result<Lock> {
        let shown = quoted_c(self.known.path());
        let failed = |what: &str| {
            let what = format!("{what} upper directory {shown}");
            move |errno| match errno {
                Errno::ESTALE => Error::new(what, "something else is there by now"),
                errno => Error::errno(what, errno),
            }
        };
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let dir = self.known.open(flags).map_err(failed("open"))?;
        self.make(&dir, c"work", 0o700)
            .map_err(failed("make work in"))?;
        let work = path::open_below(dir.as_fd(), c"work", flags).map_err(failed("open work in"))?;
        // One of an earlier version may be open to others.
        match stat::fchmod(&work, Mode::S_IRWXU) {
            Err(Errno::EPERM) => {}
            other => other.map_err(failed("close work to others in"))?,
        }
        let (how, pause) = (FlockArg::LockExclusiveNonblock, Duration::from_millis(10));
        // One whose supervisor was killed has it until its guard has seen to its end.
        let lock = lock_soon(work.into(), how, pause).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => Error::new(
                format!("use upper directory {shown}"),
                "another container uses it",
            ),
            errno => failed("lock")(errno),
        })?;
        if let Some(name) = strange_work(&lock).map_err(failed("look at work in"))? {
            let reason = format!("its work/ holds {}, which is no container's", quoted(&name));
            return Err(Error::new(format!("use upper directory {shown}"), reason)
                .with_hint("give it a directory of its own"));
        }
        self.make(&dir, c"changes", 0o755)
            .map_err(failed("make changes in"))?;
        Ok(Lock(lock))
    }

    fn make(&self, dir: &OwnedFd, name: &CStr, mode: libc::mode_t) -> Sys<()> {
        // The caller's umask is not the container's.
        let umask = stat::umask(Mode::empty());
        let made = stat::mkdirat(dir, name, Mode::from_bits_retain(mode));
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
