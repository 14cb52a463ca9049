//! What will be done, data alone: every decision and every allocation of a start lies
//! behind it, and whoever acts sees nothing else. Printing a plan and running it are the
//! same list of steps.

pub(crate) mod action;
pub(crate) mod cgroup;
pub(crate) mod explain;
pub(crate) mod filter;
pub(crate) mod handlers;
pub(crate) mod helper;
pub(crate) mod init;
pub(crate) mod maps;
pub(crate) mod mask;
pub(crate) mod mounts;
pub(crate) mod network;
pub(crate) mod overlay;
pub(crate) mod place;
pub(crate) mod profile;
pub(crate) mod store;
pub(crate) mod tree;
pub(crate) mod user;
pub(crate) mod words;

use std::cell::RefCell;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use nix::sched::CloneFlags;

use crate::exec::program::Program;
use crate::fake::file;
use crate::host::binfmt::emulated;
use crate::plan::action::Action;
use crate::plan::cgroup::CgroupPlan;
use crate::plan::maps::Maps;
use crate::plan::network::Network;
use crate::plan::profile::Terms;
use crate::plan::store::Store;
use crate::plan::tree::Tree;
use crate::spec::name::Name;
use crate::spec::stop::StopSignal;
use crate::sys::path::Known;

/// A start, decided. Displays as one step a line, in their order.
#[derive(Debug)]
pub struct Plan {
    /// What the user should know although the start goes on. Printing it is the
    /// caller's part.
    pub warnings: Vec<String>,
    pub(crate) root: Known,
    /// What of it is shown empty or not at all, from it on.
    pub(crate) missing: Vec<PathBuf>,
    /// The directory of `--upper`.
    pub(crate) store: Option<Store>,
    /// What the supervisor clones for the child, sent with the go.
    pub(crate) trees: Vec<Tree>,
    pub(crate) maps: Maps,
    /// Those of init.
    pub(crate) namespaces: CloneFlags,
    /// Those of the first child, which makes mounts that are to be locked to
    /// init, and then init; None when it becomes init itself.
    pub(crate) mounter: Option<CloneFlags>,
    /// A cgroup of its own, if one is due.
    pub(crate) leaf: Option<CgroupPlan>,
    pub(crate) actions: Vec<Action>,
    pub(crate) outside: Option<helper::Helper>,
    /// Which standard streams are the console's, None without a console.
    pub(crate) console: Option<[bool; 3]>,
    pub(crate) life: Life,
    /// For the record: its name, and what runs.
    pub(crate) name: Option<Name>,
    pub(crate) command: Vec<OsString>,
    pub(crate) network: Network,
    /// The ids that owners have in truth, where others are told.
    pub(crate) told: Option<file::Ids>,
}

/// How init lives and ends.
#[derive(Debug)]
pub(crate) struct Life {
    /// What runs under our own init, for the words on its failure.
    pub(crate) under_init: Option<Program>,
    /// What it is where an emulator runs it.
    pub(crate) foreign: Option<emulated::Emulated>,
    /// It stays in the session of the caller's terminal.
    pub(crate) shares_terminal: bool,
    /// On what terms it is joined.
    pub(crate) terms: Terms,
    pub(crate) reboot: bool,
    pub(crate) stop_signal: Option<StopSignal>,
    pub(crate) stop_timeout: Duration,
    /// Told once that init runs.
    pub(crate) ready: RefCell<Option<OwnedFd>>,
}

/// The namespaces that mounts are locked in, and all others hang below.
pub(crate) const MOUNTER: CloneFlags = CloneFlags::CLONE_NEWUSER.union(CloneFlags::CLONE_NEWNS);
