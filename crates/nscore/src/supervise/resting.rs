//! The capabilities that the supervisor lays down while it waits, and takes up again
//! for what it does afterwards. capabilities(7).

use crate::error::{Error, Result};
use crate::sys::Sys;
use crate::sys::caps::Set;
use crate::sys::harden::Held;

/// Our own capabilities while a container runs: out of force, so that no
/// mistake in what is then done for it is made with them. They are not dropped,
/// because a reboot starts over from the clone and the leaf of the cgroup is
/// still to be removed; what was forked meanwhile has them back by `resume`.
pub(crate) struct Resting(Held);

impl Resting {
    /// # Errors
    /// When the kernel refuses: that is nothing to go on from.
    pub(crate) fn begin() -> Result<Resting> {
        let rest = || {
            let held = Held::now()?;
            // A container of another user's is signalled by root's inject.
            let effective = held.effective & Set::KILL;
            Held { effective, ..held }.set().map(|()| Resting(held))
        };
        rest().map_err(|errno| Error::errno("put our capabilities out of force", errno))
    }
}

impl Drop for Resting {
    fn drop(&mut self) {
        // The permitted set holds them, so this cannot fail.
        let _ = self.0.set();
    }
}

/// All that is permitted is in force again.
pub(crate) fn resume() -> Sys<()> {
    let held = Held::now()?;
    Held {
        effective: held.permitted,
        ..held
    }
    .set()
}
