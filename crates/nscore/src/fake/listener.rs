//! The listener: a process of its own that answers calls until nobody is left who
//! could make one. Its threads take turns.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::stat::Mode;

use crate::fake::asker::Asker;
use crate::fake::call::Calls;
use crate::fake::file::Ids;
use crate::fake::find::Paths;
use crate::fake::ids::Identities;
use crate::fake::question::{Question, Shared};
use crate::fake::refusal::Refusals;
use crate::fake::turn::{Turns, Watch};
use crate::sys::{Sys, notify, process};

/// What every thread needs, open for as long as this process lives.
struct Listener {
    fd: OwnedFd,
    proc: OwnedFd,
    /// The root that programs begin with.
    home: OwnedFd,
    shared: Shared,
    turns: Turns,
    /// Wakes the watch.
    alarm: EventFd,
}

/// They walk no deeper than a path is long, which is on the heap.
const STACK: usize = 256 << 10;

/// Answers until everybody is gone. `home` is the root that programs begin with. Needs
/// rights of root of their user namespace.
///
/// # Errors
/// What keeps it from answering the first call.
pub(super) fn serve(fd: OwnedFd, home: OwnedFd, ids: &Ids, program: &'static str) -> Sys<()> {
    let find = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let proc = open(c"/proc", find, Mode::empty())?;
    notify::take_turns(fd.as_fd());
    let listener = Arc::new(Listener {
        fd,
        proc,
        home,
        shared: Shared {
            calls: Calls::new(),
            ids: ids.clone(),
            identities: Identities::default(),
            moved: AtomicBool::new(false),
            refusals: Refusals::of(program),
        },
        turns: Turns::default(),
        alarm: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
    });
    nix::sys::stat::umask(Mode::empty());
    listener.add_thread()?;
    listener.watch()
}

impl Listener {
    /// One more, unless there are many.
    fn add_thread(self: &Arc<Self>) -> Sys<()> {
        if !self.turns.join() {
            return Ok(());
        }
        let this = Arc::clone(self);
        let thread = std::thread::Builder::new().stack_size(STACK);
        let started = thread.spawn(move || {
            if this.answer_all().is_err() {
                // Who asks would wait for ever.
                process::exit(1);
            }
        });
        started.map(drop).map_err(|_| {
            self.turns.leave();
            Errno::EAGAIN
        })
    }

    fn answer_all(self: &Arc<Self>) -> Sys<()> {
        notify::be_quick();
        let mut paths = Paths::new(self.proc.as_fd(), self.home.as_fd())?;
        loop {
            let turn = self.turns.take();
            while self.answer_one(&mut paths, turn)? {}
        }
    }

    /// Hears a call and answers it; says whether this turn goes on.
    fn answer_one(&self, paths: &mut Paths, turn: u64) -> Sys<bool> {
        let listener = self.fd.as_fd();
        let notice = match notify::receive(listener) {
            Ok(notice) => notice,
            // Whoever asked was killed meanwhile, or everybody is gone.
            Err(Errno::ENOENT | Errno::EINTR) => {
                end_if_alone(listener);
                return Ok(true);
            }
            Err(errno) => return Err(errno),
        };
        if self.turns.begin() {
            let _ = self.alarm.write(1);
        }
        let asker = Asker {
            listener,
            proc: self.proc.as_fd(),
            notice,
        };
        let answer = Question {
            asker,
            shared: &self.shared,
            paths,
        }
        .answer();
        notify::answer(listener, notice.id, answer);
        Ok(self.turns.end(turn))
    }

    /// Looks after who takes long, until everybody is gone: where the kernel wakes no
    /// other thread then, it does this one.
    fn watch(self: &Arc<Self>) -> Sys<()> {
        // Milliseconds; twice as long is long.
        let tick = PollTimeout::from(5_u8);
        let (mut seen, mut patience) = ((0, 0), tick);
        loop {
            let mut fds = [
                PollFd::new(self.fd.as_fd(), PollFlags::empty()),
                PollFd::new(self.alarm.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, patience) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
            let is = |fd: &PollFd| fd.any() == Some(true);
            if is(&fds[0]) {
                return Ok(());
            }
            if is(&fds[1]) {
                let _ = self.alarm.read();
            }
            patience = match self.turns.watch(&mut seen) {
                Watch::Sleep => PollTimeout::NONE,
                Watch::Look => tick,
                Watch::AddThread => {
                    // Where there can be no more it takes longer.
                    let _ = self.add_thread();
                    tick
                }
            };
        }
    }
}

/// From Linux 6.11 on the kernel wakes who waits for a call when nobody is left.
fn end_if_alone(listener: BorrowedFd) {
    let mut end = [PollFd::new(listener, PollFlags::empty())];
    if poll(&mut end, PollTimeout::ZERO).is_ok_and(|count| count > 0) {
        process::exit(0);
    }
}
