//! What works beside the child until its program runs: the maps, the clones of trees,
//! the network, the cgroup, helpers, and the conversation with the child.

pub(crate) mod cgroup;
pub(crate) mod errand;
pub(crate) mod guard;
pub(crate) mod maps;
pub(crate) mod net;
pub(crate) mod outside;
pub(crate) mod store;
pub(crate) mod sweep;
pub(crate) mod talk;
pub(crate) mod trees;
