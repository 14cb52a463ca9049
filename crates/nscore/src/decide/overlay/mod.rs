//! A root whose changes go elsewhere, to memory or to a directory of the caller's:
//! which overlays that takes, and what an ordinary user needs before them.

pub(crate) mod cover;
pub(crate) mod mounts;
pub(crate) mod root;
pub(crate) mod seed;
