//! From what was asked and what the machine is to what will be done: every
//! decision and every allocation of a start happens here.

mod explain;
mod steps;

use std::cell::RefCell;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::CloneFlags;

use crate::action::{Action, Nested};
use crate::cgroup::LeafPlan;
use crate::environ::{self, Variables};
use crate::error::{Error, Result, quoted};
use crate::exec::{self, Program, c_string};
use crate::harden::Profile;
use crate::host::Host;
use crate::idmap::Maps;
use crate::mounts::Mounts;
use crate::name::Name;
use crate::net::Network;
use crate::outside;
use crate::overlay;
use crate::record::Terms;
use crate::spec::Spec;
use crate::stop::StopSignal;
use crate::store::Store;
use crate::sys::descriptors;
use crate::systemd;
use crate::tree::Tree;
use steps::{Steps, Surroundings};

/// A start, decided. Displays as one step a line, in their order.
#[derive(Debug)]
pub struct Plan {
    /// What the user should know although the start goes on. Printing it is the
    /// caller's part.
    pub warnings: Vec<String>,
    pub(crate) root: PathBuf,
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
    pub(crate) leaf: Option<LeafPlan>,
    pub(crate) actions: Vec<Action>,
    pub(crate) outside: Option<outside::Helper>,
    /// Which standard streams are the console's, None without a console.
    pub(crate) console: Option<[bool; 3]>,
    pub(crate) life: Life,
    /// For the record: its name, and what runs.
    pub(crate) name: Option<Name>,
    pub(crate) command: Vec<OsString>,
    pub(crate) network: Network,
}

/// How init lives and ends.
#[derive(Debug)]
pub(crate) struct Life {
    /// What runs under our own init, for the words on its failure.
    pub(crate) under_init: Option<Program>,
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

impl Plan {
    /// Decides how `spec` is started on `host`.
    ///
    /// # Errors
    /// What cannot be had here, or makes no sense.
    pub fn new(spec: &Spec, host: &Host) -> Result<Plan> {
        spec.check()?;
        let root = find_root(&spec.root)?;
        let maps = Maps::new(&spec.uid_map, &spec.gid_map, &host.caller)?;
        let systemd = systemd::is_init(spec, &spec.init_command());
        let leaf = LeafPlan::new(spec, systemd, &maps)?;
        let run = systemd && !systemd::has_run(spec);
        let with_run = run.then(|| systemd::with_run(spec));
        let spec = with_run.as_ref().unwrap_or(spec);
        let mut trees = Vec::new();
        let mut mounts = Mounts::new(spec, &root, host, &mut trees)?;
        let mut shown = overlay::Root::new(spec, &root, host, &maps, trees)?;
        // The console is a part of our own /dev.
        let own = spec.console && !mounts.replaces("/dev");
        let around = Surroundings {
            profile: Profile::new(spec)?,
            systemd,
            run,
            leaf: leaf.is_some(),
            console: own.then_some(host.terminals.streams),
        };
        let namespaces = namespaces(spec);
        let nested = nested(&maps, &root, namespaces, mounts.locked, &shown)?;
        let mounter = nested.is_some().then_some(MOUNTER);
        let steps = Steps {
            spec,
            host,
            maps: &maps,
            root: &mut shown,
            mounts: &mut mounts,
            around,
        };
        let outside = spec.outside.as_deref().map(outside::Helper::new);
        Ok(Plan {
            actions: steps.all(nested)?,
            warnings: warnings(spec, host, &shown),
            mounter,
            leaf,
            store: shown.store,
            trees: shown.trees,
            root,
            maps,
            namespaces,
            outside: outside.transpose()?,
            console: around.console,
            life: Life::new(spec, around)?,
            name: spec.name.clone(),
            command: spec.init_command(),
            network: Network::new(spec)?,
        })
    }
}

/// The namespaces that mounts are locked in, and all others hang below.
const MOUNTER: CloneFlags = CloneFlags::CLONE_NEWUSER.union(CloneFlags::CLONE_NEWNS);

/// Those of init, but for cgroup and time: these it makes itself.
fn namespaces(spec: &Spec) -> CloneFlags {
    let own =
        MOUNTER | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    if spec.net.is_own() {
        own | CloneFlags::CLONE_NEWNET
    } else {
        own
    }
}

/// An init below another process, to which what that mounts is locked, if
/// anything has to be.
fn nested(
    maps: &Maps,
    root: &Path,
    namespaces: CloneFlags,
    locked: bool,
    shown: &overlay::Root,
) -> Result<Option<Nested>> {
    if !locked && !shown.locked {
        return Ok(None);
    }
    let [uid_map, gid_map] = maps.identities()?;
    Ok(Some(Nested {
        namespaces,
        root: c_string(root.as_os_str())?,
        uid_map,
        gid_map,
        over_host: shown.over_host,
    }))
}

impl Life {
    fn new(spec: &Spec, around: Surroundings) -> Result<Life> {
        let program = || program(spec, Vec::new());
        let ready = |fd| {
            descriptors::take_inherited(fd).map_err(|_| {
                Error::usage(format!("use {fd} as ready descriptor"), "it is not open")
            })
        };
        Ok(Life {
            under_init: spec.init.then(program).transpose()?,
            shares_terminal: !spec.console,
            terms: Terms {
                cgroup: around.leaf,
                profile: around.profile,
            },
            reboot: spec.reboot,
            stop_signal: spec.stop_signal,
            stop_timeout: spec.stop_timeout,
            ready: RefCell::new(spec.ready_fd.map(ready).transpose()?),
        })
    }
}

/// The path of the root from the host's root, without links.
fn find_root(path: &Path) -> Result<PathBuf> {
    let what = || format!("enter root file system {}", quoted(path));
    let root = path
        .canonicalize()
        .map_err(|error| Error::io(what(), &error))?;
    if root.is_dir() {
        Ok(root)
    } else {
        Err(Error::errno(what(), Errno::ENOTDIR))
    }
}

fn program(spec: &Spec, more: Variables) -> Result<Program> {
    let environment = environment(spec, more);
    let path = exec::path(&environment);
    let program = Program::new(&spec.init_command(), &environment, path)?;
    Ok(match spec.command.is_empty() {
        true => program.or_else("name a command, or show the host's programs with -H"),
        false => program,
    })
}

fn environment(spec: &Spec, more: Variables) -> Variables {
    let mut base = environ::own();
    base.extend(more);
    environ::of(base, &spec.environment, spec.user.as_ref())
}

fn warnings(spec: &Spec, host: &Host, root: &overlay::Root) -> Vec<String> {
    let single = host.caller.single_id_warning(&spec.uid_map, &spec.gid_map);
    single
        .into_iter()
        .chain(root.warnings.iter().cloned())
        .collect()
}
