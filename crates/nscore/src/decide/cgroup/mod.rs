//! Whether a container gets a cgroup of its own, and where one may be made: below
//! our own, in one that was delegated, or in a scope of systemd.

pub(crate) mod home;
pub(crate) mod leaf;
pub(crate) mod refusal;
pub(crate) mod scope;
pub(crate) mod writes;
