//! Terminals and pseudo-terminals: ioctl_tty(2), termios(3).

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::sys::{Sys, cvt, cvt_fd, path};

/// A terminal's settings, `struct termios`.
#[derive(Clone, Copy)]
pub(crate) struct Termios(libc::termios);

/// A terminal's size, `struct winsize`.
#[derive(Clone, Copy)]
pub(crate) struct WindowSize(libc::winsize);

impl WindowSize {
    /// Characters in a line; 0 where nobody has said so.
    pub(crate) fn columns(self) -> usize {
        self.0.ws_col.into()
    }
}

impl std::fmt::Debug for Termios {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Termios")
    }
}

impl std::fmt::Debug for WindowSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.0.ws_col, self.0.ws_row)
    }
}

impl Termios {
    /// The settings of this terminal.
    pub(crate) fn of(fd: impl AsFd) -> Sys<Termios> {
        // SAFETY: termios is plain data that tcgetattr fills in.
        let mut termios: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a termios for the time of the call.
        cvt(unsafe { libc::tcgetattr(fd.as_fd().as_raw_fd(), &raw mut termios) }.into())?;
        Ok(Termios(termios))
    }

    /// Whether the terminal puts lines together, for a shell or whom it starts.
    pub(crate) fn is_cooked(&self) -> bool {
        self.0.c_lflag & libc::ICANON != 0
    }

    /// The key that sends this signal, termios(3).
    pub(crate) fn key_of(&self, signal: libc::c_int) -> Option<u8> {
        match signal {
            libc::SIGINT => Some(self.0.c_cc[libc::VINTR]),
            libc::SIGQUIT => Some(self.0.c_cc[libc::VQUIT]),
            _ => None,
        }
    }

    /// Applies the settings at once.
    pub(crate) fn apply(&self, fd: impl AsFd) -> Sys<()> {
        // SAFETY: the pointer is to a termios for the time of the call.
        cvt(
            unsafe { libc::tcsetattr(fd.as_fd().as_raw_fd(), libc::TCSANOW, &raw const self.0) }
                .into(),
        )
        .map(drop)
    }

    /// Every key passes through untouched, cfmakeraw(3).
    #[must_use]
    pub(crate) fn raw(mut self) -> Termios {
        // SAFETY: the pointer is to a termios for the time of the call.
        unsafe { libc::cfmakeraw(&raw mut self.0) };
        self
    }

    /// The same, but what is written is still processed as it was.
    #[must_use]
    pub(crate) fn raw_input(self) -> Termios {
        let output = self.0.c_oflag;
        let mut raw = self.raw();
        raw.0.c_oflag = output;
        raw
    }
}

/// How a new pseudo-terminal starts out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// The settings of the caller's terminal, to begin with; else the kernel's.
    pub(crate) settings: Option<Termios>,
    /// The size of the caller's terminal.
    pub(crate) size: Option<WindowSize>,
    /// Somebody types here and wants to see it.
    pub(crate) echo: bool,
    /// Line ends become the terminal's; not for a log, nor for a terminal that
    /// does that itself.
    pub(crate) process_output: bool,
}

impl Look {
    /// Makes the new terminal look so.
    pub(crate) fn apply(&self, slave: impl AsFd) -> Sys<()> {
        let mut termios = match self.settings {
            Some(settings) => settings,
            None => Termios::of(&slave)?,
        };
        // UTF-8, and no signal from a line break.
        termios.0.c_iflag |= libc::IGNBRK | libc::IUTF8;
        if !self.echo {
            termios.0.c_lflag &= !(libc::ECHO | libc::ECHONL);
        }
        if !self.process_output {
            termios.0.c_oflag &= !libc::OPOST;
        }
        termios.apply(&slave)?;
        match self.size {
            Some(size) => set_window_size(&slave, size),
            None => Ok(()),
        }
    }
}

/// Whether the descriptor is a terminal.
pub(crate) fn is_terminal(fd: BorrowedFd) -> bool {
    Termios::of(fd).is_ok()
}

/// The size of the terminal, as it was last set.
pub(crate) fn window_size(fd: impl AsFd) -> Sys<WindowSize> {
    // SAFETY: winsize is plain data that the ioctl fills in.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a winsize for the time of the call.
    cvt(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) }.into())?;
    Ok(WindowSize(size))
}

/// Sets the size of the terminal, of which its foreground hears by SIGWINCH.
pub(crate) fn set_window_size(fd: impl AsFd, size: WindowSize) -> Sys<()> {
    // SAFETY: the pointer is to a winsize for the time of the call.
    cvt(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size.0) }.into())
        .map(drop)
}

/// Unlocks the other end of a pseudo-terminal's master and opens it.
pub(crate) fn open_slave(master: impl AsFd) -> Sys<OwnedFd> {
    let master = master.as_fd().as_raw_fd();
    let unlock: libc::c_int = 0;
    // SAFETY: the pointer is to an int for the time of the call.
    cvt(unsafe { libc::ioctl(master, libc::TIOCSPTLCK, &raw const unlock) }.into())?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the argument is an int; the call returns a new descriptor.
    unsafe { cvt_fd(libc::ioctl(master, libc::TIOCGPTPEER, flags).into()) }
}

/// Makes the terminal the controlling one of this session, whose leader we are.
pub(crate) fn set_controlling(fd: impl AsFd) -> Sys<()> {
    // SAFETY: the argument is an int.
    cvt(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) }.into()).map(drop)
}

/// Leaves the session's controlling terminal, if there is one, to the others of
/// the session: ours is the process that does not lead it.
pub(crate) fn leave_controlling() -> Sys<()> {
    let terminal = match path::open(c"/dev/tty", OFlag::O_RDWR | OFlag::O_NOCTTY) {
        Err(Errno::ENXIO) => return Ok(()),
        other => other?,
    };
    // SAFETY: the request takes no argument.
    cvt(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCNOTTY) }.into()).map(drop)
}

/// Whether nobody's job control keeps us from the terminal: we are its foreground
/// process group, or it is not that of our session, as under `su -c`. See tcgetpgrp(3).
pub(crate) fn in_foreground(fd: impl AsFd) -> bool {
    match nix::unistd::tcgetpgrp(fd) {
        Ok(group) => group == nix::unistd::getpgrp(),
        Err(errno) => errno == Errno::ENOTTY,
    }
}
