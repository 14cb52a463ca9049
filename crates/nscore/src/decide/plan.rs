//! The plan of a start: every decision, in the order in which one rests on another.

use std::cell::RefCell;
use std::path::Path;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::stat::{SFlag, fstat};

use crate::decide::below::{Below, find};
use crate::decide::foreign::Foreign;
use crate::decide::mounts::recipe::MountSteps;
use crate::decide::overlay::root;
use crate::decide::program::{environment, program};
use crate::decide::steps::{Steps, Surroundings};
use crate::decide::systemd;
use crate::error::text::quoted;
use crate::error::{Error, Result};
use crate::exec::environ;
use crate::fake::{file, start};
use crate::host::binfmt::emulated::Emulated;
use crate::host::{Host, machine};
use crate::plan::cgroup::CgroupPlan;
use crate::plan::maps::Maps;
use crate::plan::network::Network;
use crate::plan::place::Nested;
use crate::plan::profile::{Profile, Terms};
use crate::plan::{Life, MOUNTER, Plan, helper};
use crate::spec::Spec;
use crate::sys::descriptors;
use crate::sys::path::{self, Known};

/// Those of init, but for cgroup and time: these it makes itself. A cgroup namespace of
/// the same clone3 as CLONE_INTO_CGROUP is rooted where we are, not in the new cgroup;
/// and the time of a new time namespace is set before the first process is in it.
pub(crate) fn namespaces(spec: &Spec) -> CloneFlags {
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
    root: &Known,
    namespaces: CloneFlags,
    locked: bool,
    shown: &root::Root,
) -> Result<Option<Nested>> {
    if !locked && !shown.locked {
        return Ok(None);
    }
    let [uid_map, gid_map] = maps.identities()?;
    Ok(Some(Nested {
        namespaces,
        root: root.path().to_owned(),
        uid_map,
        gid_map,
        over_host: shown.over_host,
    }))
}

/// The directory of the root, by its path from the host's root, without links.
fn find_root(path: &Path) -> Result<Below> {
    let failed = |errno| Error::errno(format!("enter root file system {}", quoted(path)), errno);
    let (known, dir) = find(path).map_err(failed)?;
    match path::kind(fstat(&dir).map_err(failed)?.st_mode) {
        SFlag::S_IFDIR => Ok(Below::new(known, dir)),
        _ => Err(failed(Errno::ENOTDIR)),
    }
}

pub(crate) fn warnings(spec: &Spec, host: &Host, root: &root::Root) -> Vec<String> {
    let single = host.caller.single_id_warning(&spec.uid_map, &spec.gid_map);
    // A machine takes the keyboard, and does not say how to get it back.
    let typed = spec.console && host.terminals.streams[0];
    let machine = typed && machine::is_init(spec, &spec.init_command());
    let way_out = "^] three times within a second kills the container";
    single
        .filter(|_| !spec.fake_owner)
        .into_iter()
        .chain(root.warnings.iter().cloned())
        .chain(machine.then(|| way_out.to_string()))
        .collect()
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
        let systemd = machine::is_systemd(spec, &spec.init_command());
        let leaf = CgroupPlan::new(spec, systemd, &maps)?;
        let run = systemd && !systemd::has_run(spec);
        let with_run = run.then(|| systemd::with_run(spec));
        let spec = with_run.as_ref().unwrap_or(spec);
        let mut trees = Vec::new();
        let mut mounts = MountSteps::new(spec, &root, host, &mut trees)?;
        let mut shown = root::Root::new(spec, &root, host, &maps, trees)?;
        // The console is a part of our own /dev.
        let own = spec.console && !mounts.replaces("/dev");
        let told = file::Ids::to_tell(&maps.user.map, &maps.group.map);
        let told = told.filter(|_| spec.fake_owner);
        if told.is_some() {
            start::check()?;
        }
        let around = Surroundings {
            asks: told.is_some(),
            profile: Profile::new(spec)?,
            systemd,
            run,
            leaf: leaf.is_some(),
            console: own.then_some(host.terminals.streams),
        };
        let namespaces = namespaces(spec);
        let root = root.known().clone();
        let nested = nested(&maps, &root, namespaces, mounts.locked, &shown)?;
        let mounter = nested.is_some().then_some(MOUNTER);
        let foreign = {
            let environment = environment(spec, Vec::new());
            let has_user = |id| maps.user.map.has_outside(id);
            Foreign::of(spec, environ::path(&environment), has_user)?
        };
        let foreign = foreign.map(|Foreign { program, steps }| (program, steps));
        let (foreign, handlers) = foreign.unzip();
        let steps = Steps {
            handlers: handlers.unwrap_or_default(),
            spec,
            host,
            maps: &maps,
            root: &mut shown,
            mounts: &mut mounts,
            around,
        };
        let outside = spec.outside.as_deref().map(helper::Helper::new);
        Ok(Plan {
            actions: steps.all(nested)?,
            warnings: warnings(spec, host, &shown),
            mounter,
            leaf,
            missing: shown.missing,
            store: shown.store,
            trees: shown.trees,
            root,
            maps,
            namespaces,
            outside: outside.transpose()?,
            console: around.console,
            life: Life::new(spec, around, foreign)?,
            name: spec.name.clone(),
            command: spec.init_command(),
            network: Network::new(spec)?,
            told,
        })
    }
}

impl Life {
    fn new(spec: &Spec, around: Surroundings, foreign: Option<Emulated>) -> Result<Life> {
        let program = || program(spec, Vec::new());
        let ready = |fd| {
            descriptors::take_inherited(fd).map_err(|_| {
                Error::usage(format!("use {fd} as ready descriptor"), "it is not open")
            })
        };
        Ok(Life {
            foreign,
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
