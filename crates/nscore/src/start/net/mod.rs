//! The container's network, attached while the child waits.

pub(crate) mod attach;
pub(crate) mod bridge;
pub(crate) mod netlink;
pub(crate) mod pasta;
