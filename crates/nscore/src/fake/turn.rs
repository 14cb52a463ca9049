//! Whose turn it is to hear the next call. The kernel wakes every thread that waits
//! for one, so one alone does, and answers what it hears itself: most take a few
//! microseconds, and to hand them over would take longer. But a call that nobody has
//! heard yet is given up at any signal, as no such call is otherwise. So whoever takes
//! long, for a disk or for somebody who serves a file system, loses its turn.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The turn, and who waits for it.
#[derive(Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    free: Condvar,
    /// The number of the turn; a thread has it as long as that is its own.
    number: AtomicU64,
    /// Calls heard and calls answered: odd while one is at work.
    steps: AtomicU64,
    /// Nobody looks after who takes long.
    unwatched: AtomicBool,
}

#[derive(Default)]
struct State {
    taken: bool,
    waiting: usize,
    threads: usize,
}

/// What the watch does next.
pub(super) enum Watch {
    /// There is nothing to see until a call is heard.
    Sleep,
    /// It looks again soon.
    Look,
    /// It makes a thread for the turn that was taken back.
    AddThread,
}

impl Turns {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more thread, unless there are many.
    pub(super) fn join(&self) -> bool {
        /// Calls that wait for a file system at the same time; one more waits for them,
        /// and so would a file system of ours whose own calls it is.
        const MOST: usize = 4096;
        let mut state = self.state();
        let room = state.threads < MOST;
        state.threads += usize::from(room);
        room
    }

    /// It could not be made.
    pub(super) fn leave(&self) {
        self.state().threads -= 1;
    }

    /// Waits until it is this thread's turn, and says which that is.
    pub(super) fn take(&self) -> u64 {
        let mut state = self.state();
        while state.taken {
            state.waiting += 1;
            state = self
                .free
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        state.taken = true;
        self.number.load(Ordering::Relaxed)
    }

    /// A call was heard; says whether the watch is to be woken.
    pub(super) fn begin(&self) -> bool {
        self.steps.fetch_or(1, Ordering::Relaxed);
        self.unwatched.load(Ordering::Relaxed) && self.unwatched.swap(false, Ordering::AcqRel)
    }

    /// It was answered; says whether this turn goes on.
    pub(super) fn end(&self, turn: u64) -> bool {
        let goes_on = self.number.load(Ordering::Acquire) == turn;
        if goes_on {
            // Odd before, even after.
            self.steps.fetch_add(1, Ordering::Relaxed);
        }
        goes_on
    }

    /// Looks once more; `seen` is what the last look saw, and how often.
    pub(super) fn watch(&self, seen: &mut (u64, u32)) -> Watch {
        /// So many looks without a call, and the watch sleeps.
        const QUIET: u32 = 20;
        let steps = self.steps.load(Ordering::Relaxed);
        if seen.0 != steps {
            *seen = (steps, 0);
            return Watch::Look;
        }
        seen.1 += 1;
        if steps.is_multiple_of(2) {
            if seen.1 < QUIET {
                return Watch::Look;
            }
            seen.1 = 0;
            self.unwatched.store(true, Ordering::Release);
            return Watch::Sleep;
        }
        let mut state = self.state();
        self.number.fetch_add(1, Ordering::AcqRel);
        self.steps.fetch_add(1, Ordering::Relaxed);
        state.taken = false;
        match state.waiting {
            0 => Watch::AddThread,
            _ => {
                self.free.notify_one();
                Watch::Look
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_long_loses_its_turn() {
        let turns = Turns::default();
        let turn = turns.take();
        turns.begin();
        assert!(turns.end(turn), "soon done");
        turns.begin();
        let mut seen = (0, 0);
        assert!(matches!(turns.watch(&mut seen), Watch::Look));
        assert!(matches!(turns.watch(&mut seen), Watch::AddThread));
        let next = turns.take();
        assert!(next != turn && !turns.end(turn) && turns.end(next));
    }

    #[test]
    fn the_watch_sleeps_where_nothing_is_asked() {
        let turns = Turns::default();
        let turn = turns.take();
        assert!(!turns.begin(), "it is awake");
        assert!(turns.end(turn));
        let mut seen = (0, 0);
        let mut looks = 0;
        while !matches!(turns.watch(&mut seen), Watch::Sleep) {
            looks += 1;
        }
        assert!((2..100).contains(&looks), "{looks}");
        assert!(turns.begin() && !turns.begin(), "woken once");
    }
}
