//! What was asked to appear in the container: each in the order and by the steps
//! that make it, and what the host must open for it.

pub(crate) mod binder;
pub(crate) mod devices;
pub(crate) mod host_tools;
pub(crate) mod recipe;
