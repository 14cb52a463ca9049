//! The supervisor's side of a console: the caller's terminal in raw mode, and
//! bytes copied between it and the pseudo-terminal inside, in both directions
//! and without ever blocking on one of them.

pub(crate) mod buffer;
pub(crate) mod screen;

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::error::{Error, Result};
use crate::supervise::console::buffer::Buffer;
use crate::supervise::console::screen::Screen;
use crate::supervise::signals::Signals;
use crate::supervise::terminal::remember;
use crate::sys::socket::is_readable;
use crate::sys::tty::{self, Termios};
use crate::sys::{Sys, descriptors};

/// The key `^]`.
const ESCAPE: u8 = 0x1d;

/// So many of them within `WITHIN` kill.
const ESCAPES: usize = 3;

const WITHIN: Duration = Duration::from_secs(1);

/// Output still on its way when the container has ended may take this long
/// between two bytes to be accepted.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What the console asks its supervisor to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Nothing,
    /// The escape key was struck three times.
    Kill,
    /// Nobody takes the output any more, said once: it is lost from now on. Whoever
    /// writes to it without us sees that as well.
    Unread,
    /// The same, and some has been lost.
    Broken,
}

/// A console in use.
pub(crate) struct Console {
    /// Our end, non-blocking: nobody else has it.
    master: OwnedFd,
    /// Their end, held so that the master is never without one: it would read
    /// as an error until init opens it again.
    slave: Option<OwnedFd>,
    /// Standard input, where that is a terminal.
    keyboard: Option<BorrowedFd<'static>>,
    /// Only we write to the keyboard's terminal.
    alone: bool,
    /// Rings once for each key struck, for a job in the background: nothing else
    /// tells it that the shell has brought it to the front.
    bell: Option<Epoll>,
    /// The keyboard's settings while they are raw.
    saved: Option<Termios>,
    /// None once nobody takes the output any more.
    screen: Option<Screen>,
    typed: Buffer,
    shown: Buffer,
    escapes: [Option<Instant>; ESCAPES],
}

impl Console {
    /// A console for these standard streams.
    pub(crate) fn new(master: OwnedFd, slave: OwnedFd, streams: [bool; 3]) -> Result<Console> {
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK;
        fcntl(&master, FcntlArg::F_SETFL(flags))
            .map_err(|errno| Error::errno("use the console", errno))?;
        let [stdin, stdout, stderr] = descriptors::streams();
        let screen = match streams {
            [_, false, true] => stderr,
            [true, false, false] => stdin,
            _ => stdout,
        };
        Ok(Console {
            master,
            slave: Some(slave),
            keyboard: streams[0].then_some(stdin),
            bell: streams[0].then(|| bell(stdin)).flatten(),
            alone: streams[1],
            saved: None,
            screen: Some(Screen::new(screen)),
            typed: Buffer::new(),
            shown: Buffer::new(),
            escapes: [None; ESCAPES],
        })
    }

    /// Raw mode, if the terminal is ours to change, and the current size. A shell
    /// gives its terminal to a job, and takes it away, without telling the job.
    pub(crate) fn resume(&mut self) {
        self.resize();
        let Some(keyboard) = self.keyboard else {
            return;
        };
        if !tty::in_foreground(keyboard) {
            // It is as whoever has it now needs it.
            return self.forget();
        }
        if let Ok(settings) = Termios::of(keyboard) {
            if self.saved.is_some() && !settings.is_cooked() {
                return;
            }
            remember(Some(settings));
            self.saved = Some(settings);
            // A terminal that hung up needs no mode.
            let raw = if self.alone {
                settings.raw()
            } else {
                settings.raw_input()
            };
            let _ = raw.apply(keyboard);
        }
    }

    /// Hands on the key behind a signal of the terminal's, if it is the first to
    /// tell that we are in front. False where it is not for the container.
    pub(crate) fn take_key(&mut self, signal: libc::c_int) -> bool {
        if self.saved.is_some() || !self.alone {
            return false;
        }
        self.resume();
        let Some(key) = self.saved.and_then(|settings| settings.key_of(signal)) else {
            return false;
        };
        // Nothing was typed before it, so there is room.
        let _ = nix::unistd::write(&self.master, &[key]);
        true
    }

    /// The caller's settings again.
    pub(crate) fn suspend(&mut self) {
        if let (Some(keyboard), Some(settings)) = (self.keyboard, self.saved) {
            if tty::in_foreground(keyboard) {
                // A terminal that hung up needs no mode.
                let _ = settings.apply(keyboard);
            }
            self.forget();
        }
    }

    /// There are no settings to restore any more.
    fn forget(&mut self) {
        if self.saved.take().is_some() {
            remember(None);
        }
    }

    /// Tells the container how large the terminal is now.
    fn resize(&self) {
        let mut streams = descriptors::streams().into_iter();
        if let Some(size) = streams.find_map(|stream| tty::window_size(stream).ok()) {
            // The master is ours, so this cannot fail.
            let _ = tty::set_window_size(&self.master, size);
        }
    }

    /// What to wait for: the master, the keyboard, the screen.
    pub(crate) fn poll_fds(&self) -> [Option<PollFd<'_>>; 3] {
        let want = |flag, wanted: bool| if wanted { flag } else { PollFlags::empty() };
        let master = want(PollFlags::POLLIN, self.shown.has_room())
            | want(PollFlags::POLLOUT, !self.typed.is_empty());
        // Keys are read only in raw mode: a background job leaves them alone.
        let keyboard = match (self.saved, self.keyboard, &self.bell) {
            (Some(_), keyboard, _) => keyboard.filter(|_| self.typed.has_room()),
            (None, Some(_), Some(bell)) => Some(bell.0.as_fd()),
            _ => None,
        };
        let output = want(PollFlags::POLLOUT, !self.shown.is_empty());
        let screen = self.screen.as_ref();
        [
            Some(PollFd::new(self.master.as_fd(), master)),
            keyboard.map(|keyboard| PollFd::new(keyboard, PollFlags::POLLIN)),
            screen.map(|screen| PollFd::new(screen.as_fd(), output)),
        ]
    }

    /// Copies what can be copied, given what poll found.
    pub(crate) fn handle(&mut self, [_, keyboard, screen]: [PollFlags; 3]) -> Event {
        let mut event = Event::Nothing;
        let readable = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
        let struck = self.keyboard.filter(|_| keyboard.intersects(readable));
        if let Some(fd) = struck {
            if let (None, Some(bell)) = (self.saved, &self.bell) {
                // Taken, it rings again only for another key.
                let _ = bell.wait(&mut [EpollEvent::empty()], EpollTimeout::ZERO);
            }
            self.resume();
            // The bell may have rung for what a key that signals has flushed since:
            // a read would wait.
            if self.saved.is_some() && is_readable(fd) {
                match self.typed.fill(fd) {
                    Ok(0) | Err(Errno::EIO) => self.keyboard = None,
                    Ok(count) if self.escaped(count) => event = Event::Kill,
                    _ => {}
                }
            }
        }
        // Errors of the master have no reader: while we hold a slave it has
        // none but EAGAIN.
        let _ = self
            .typed
            .drain(|bytes| nix::unistd::write(&self.master, bytes));
        while let Ok(1..) = self.shown.fill(self.master.as_fd()) {}
        if self.alone && !self.shown.is_empty() {
            self.resume();
        }
        // A hangup is all that poll says of a socket whose other end is closed.
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
        let broken = self.show().is_err();
        if broken || screen.intersects(gone) {
            // It would say so at every poll from now on.
            self.screen = None;
            self.shown = Buffer::new();
        }
        match event {
            Event::Nothing if broken => Event::Broken,
            Event::Nothing if screen.intersects(gone) => Event::Unread,
            event => event,
        }
    }

    /// Shows what came out, as far as it is taken now.
    fn show(&mut self) -> Sys<()> {
        let screen = self.screen.as_ref();
        let write = |bytes: &[u8]| screen.map_or(Ok(bytes.len()), |screen| screen.write(bytes));
        self.shown.drain(write)
    }

    /// Whether the last `count` typed bytes complete the escape.
    fn escaped(&mut self, count: usize) -> bool {
        let now = Instant::now();
        let mut complete = false;
        for byte in self.typed.last(count) {
            if *byte != ESCAPE {
                self.escapes = [None; ESCAPES];
                continue;
            }
            self.escapes.rotate_left(1);
            self.escapes[ESCAPES - 1] = Some(now);
            complete |= self.escapes[0].is_some_and(|first| now - first <= WITHIN);
        }
        complete
    }

    /// Shows what was written before the end. A signal that asks us to end, or
    /// a reader that takes nothing (for long, if we are `patient`), cuts it short.
    pub(crate) fn finish(&mut self, signals: &Signals, patient: bool) {
        let limit = if patient { LAST_WORDS } else { Duration::ZERO };
        // Without a slave the master reads as an error once it is empty.
        self.slave = None;
        loop {
            let more = self.shown.fill(self.master.as_fd());
            if self.shown.is_empty() && !matches!(more, Ok(1..)) {
                return;
            }
            if self.show().is_err() {
                return;
            }
            let Some(screen) = &self.screen else {
                return;
            };
            if self.shown.is_empty() {
                continue;
            }
            let screen = PollFd::new(screen.as_fd(), PollFlags::POLLOUT);
            let asked = PollFd::new(signals.as_fd(), PollFlags::POLLIN);
            let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO);
            let ready = poll(&mut [screen, asked], timeout);
            let ends = std::iter::from_fn(|| signals.next()).any(|signal| signal.ends());
            if ends || matches!(ready, Ok(0)) {
                return;
            }
        }
    }
}

fn bell(keyboard: BorrowedFd) -> Option<Epoll> {
    let bell = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).ok()?;
    let rings = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0);
    bell.add(keyboard, rings).ok().map(|()| bell)
}

impl Drop for Console {
    fn drop(&mut self) {
        self.suspend();
    }
}
