//! Programs of other architectures: how they are known, and how a container gets an
//! emulator for them. Since Linux 6.7 a user namespace has a binfmt_misc of its own, in
//! which its root registers what the kernel is to run them with; nothing of the host's
//! changes.
//!
//! A namespace that has one has nothing of its parents' any more, so what the host had
//! registered is registered there again. Where the host's handlers do already what is
//! needed, nothing is done.

pub(crate) mod architecture;
pub(crate) mod emulated;
pub(crate) mod emulator;
pub(crate) mod handler;
