//! The child between clone and exec: performs the plan's actions in order. It
//! allocates nothing and never panics, because it is a copy of a process whose
//! locks it does not own; whatever fails goes back as numbers.

pub(crate) mod binfmt;
pub(crate) mod console;
pub(crate) mod failed;
pub(crate) mod handlers;
pub(crate) mod helper;
pub(crate) mod made;
pub(crate) mod mask;
pub(crate) mod message;
pub(crate) mod mounts;
pub(crate) mod nested;
pub(crate) mod overlay;
pub(crate) mod own;
pub(crate) mod profile;
pub(crate) mod resolv;
pub(crate) mod run;
pub(crate) mod sealed;
pub(crate) mod state;
pub(crate) mod talk;
pub(crate) mod user;

use std::ffi::CStr;

/// The name of processes of ours that are not the supervisor.
pub(crate) const NAME: &CStr = c"nscore";
