//! The console: made before the pivot, and taken after it.

use std::os::fd::AsFd as _;

use nix::fcntl::OFlag;
use nix::unistd;

use crate::child::state::Child;
use crate::plan::place::Place;
use crate::sys::tty::{self, Look};
use crate::sys::{Sys, descriptors, make, mount, path};

impl Child<'_> {
    /// The first pseudo-terminal of the container's own devpts. A pseudo-
    /// terminal of the host's could neither be shown here nor be owned.
    pub(super) fn make_console(&mut self, look: &Look) -> Sys<()> {
        let pts = self.place(Place::Pts)?;
        let master = path::open_at(pts, c"ptmx", OFlag::O_RDWR | OFlag::O_NOCTTY)?;
        let slave = tty::open_slave(&master)?;
        look.apply(&slave)?;
        let dev = self.place(Place::Dev)?;
        make::make_file(dev, c"console")?;
        mount::bind(c"pts/0", dev, c"console", mount::Depth::One)?;
        self.console = Some((master, slave));
        Ok(())
    }
}

/// Opens the console, by path so that ttyname(3) finds the name /dev/console. It
/// becomes the controlling terminal of a session of our own, or that of whoever
/// asks for it first. A session leader asks by opening it, and an init that
/// starts as none, as a kernel starts it, does not expect that: so it leads but
/// a process group, and leaves the terminal of our caller's session.
pub(super) fn take_console(streams: [bool; 3], controlling: bool) -> Sys<()> {
    if controlling {
        unistd::setsid()?;
    } else {
        unistd::setpgid(unistd::Pid::from_raw(0), unistd::Pid::from_raw(0))?;
        tty::leave_controlling()?;
    }
    let console = path::open(c"/dev/console", OFlag::O_RDWR | OFlag::O_NOCTTY)?;
    if controlling {
        tty::set_controlling(&console)?;
    }
    for (stream, taken) in (0..).zip(streams) {
        if taken {
            descriptors::make_stream(console.as_fd(), stream)?;
        }
    }
    Ok(())
}
