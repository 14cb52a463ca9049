//! From what was asked and what the machine is to what will be done. Everything here
//! may look at the host and changes nothing; what comes of it is a plan, data alone.

pub(crate) mod below;
pub(crate) mod cgroup;
pub(crate) mod files;
pub(crate) mod foreign;
pub(crate) mod helper;
pub(crate) mod maps;
pub(crate) mod mounts;
pub(crate) mod network;
pub(crate) mod overlay;
pub(crate) mod plan;
pub(crate) mod profile;
pub(crate) mod program;
pub(crate) mod restrictions;
pub(crate) mod rootfs;
pub(crate) mod steps;
pub(crate) mod systemd;
