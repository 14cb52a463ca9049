//! The cgroup of a container, decided.

pub(crate) mod home;
pub(crate) mod plan;
pub(crate) mod refusal;
pub(crate) mod scope;
pub(crate) mod writes;
