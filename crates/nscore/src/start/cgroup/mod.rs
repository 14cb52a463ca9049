//! The container's cgroup, made before the child and removed after it, by whoever
//! remains.

pub(crate) mod cgroups;
pub(crate) mod scope;
pub(crate) mod traces;
