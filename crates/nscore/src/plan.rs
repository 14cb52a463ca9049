//! From what was asked and what the machine is to what will be done: every
//! decision and every allocation of a start happens here.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::CloneFlags;

use crate::action::Action;
use crate::caller::Caller;
use crate::error::{Error, Result, quoted};
use crate::exec::{self, Program};
use crate::host::Host;
use crate::idmap::{MapSpec, Maps};
use crate::init;
use crate::namespaces::Set;
use crate::overlay;
use crate::rootfs;
use crate::spec::{Net, Spec};
use crate::stop::StopSignal;
use crate::store::Store;
use crate::sys::process;
use crate::tree::Tree;

/// A start, decided. Displays as one step a line.
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
    pub(crate) namespaces: CloneFlags,
    pub(crate) actions: Vec<Action>,
    pub(crate) outside: Option<OsString>,
    /// Which standard streams are the console's, None without a console.
    pub(crate) console: Option<[bool; 3]>,
    pub(crate) life: Life,
    /// For the record: what runs, and on which network.
    pub(crate) command: Vec<OsString>,
    pub(crate) net: Net,
}

/// How init lives and ends.
#[derive(Debug)]
pub(crate) struct Life {
    /// What runs under our own init, for the words on its failure.
    pub(crate) under_init: Option<Program>,
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
        let mut shown = overlay::Root::new(spec, &root, host, &maps)?;
        let console = spec.console.then_some(host.terminals.streams);
        let mut namespaces = CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS;
        if spec.net == Net::Private {
            namespaces |= CloneFlags::CLONE_NEWNET;
        }
        Ok(Plan {
            warnings: warnings(spec, host, &shown),
            actions: actions(spec, host, &maps, &mut shown, console)?,
            store: shown.store,
            trees: shown.trees,
            root,
            maps,
            namespaces,
            outside: spec.outside.clone(),
            console,
            life: Life::new(spec)?,
            command: command(spec),
            net: spec.net,
        })
    }
}

impl Life {
    fn new(spec: &Spec) -> Result<Life> {
        let program = || Program::new(&command(spec), &environment(), OsStr::new(exec::PATH));
        let ready = |fd| {
            process::take_inherited(fd).map_err(|_| {
                Error::usage(format!("use {fd} as ready descriptor"), "it is not open")
            })
        };
        Ok(Life {
            under_init: spec.init.then(program).transpose()?,
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

/// The steps of the child. What needs no mapped id is done while the maps are
/// written. Time comes before the change of ids, because the offsets are
/// written with the caller's; file systems come after it, because they belong to
/// container root; the inside helper sees the root and /dev but not yet /proc and
/// /sys; the pivot takes the host's files away.
fn actions(
    spec: &Spec,
    host: &Host,
    maps: &Maps,
    root: &mut overlay::Root,
    console: Option<[bool; 3]>,
) -> Result<Vec<Action>> {
    let mut actions = vec![Action::EnterTime];
    actions.append(&mut root.before);
    actions.extend([
        Action::AwaitGo,
        Action::EnterCgroup,
        Action::BecomeRoot,
        Action::NewKeyring,
    ]);
    actions.append(&mut root.actions);
    actions.extend(rootfs::dev(maps.group.map.has_inside(5)));
    if console.is_some() {
        actions.push(Action::MakeConsole(host.terminals.look));
    }
    if let Some(text) = &spec.inside {
        actions.push(Action::RunInside(Program::shell(text, &[])?));
    }
    actions.extend(rootfs::proc());
    // A cgroup that the container could write to is the caller's own: hidden.
    let cgroup = host
        .cgroup_owner
        .is_some_and(|owner| !maps.user.map.has_outside(owner));
    match spec.net {
        Net::Private => {
            actions.extend(rootfs::sys(cgroup));
            actions.push(Action::LoopbackUp);
        }
        Net::Host => actions.extend(rootfs::sys_of_host(host, cgroup)),
    }
    actions.push(Action::Pivot {
        covered: root.covers_host,
    });
    if let Some(streams) = console {
        actions.push(Action::TakeConsole(streams));
    }
    let path = OsStr::new(exec::PATH);
    actions.push(if spec.init {
        // This very program, as the container's /proc shows it.
        let arguments = init::arguments(&command(spec), console.is_some());
        Action::ExecInit(Program::at(c"/proc/self/exe", &arguments, &environment())?)
    } else {
        Action::Exec(Program::new(&command(spec), &environment(), path)?)
    });
    Ok(actions)
}

fn command(spec: &Spec) -> Vec<OsString> {
    if spec.command.is_empty() {
        vec![exec::SHELL.into()]
    } else {
        spec.command.clone()
    }
}

/// What init finds in its environment: nothing of the caller's but the kind of
/// terminal.
pub(crate) fn environment() -> Vec<(OsString, OsString)> {
    let mut environment: Vec<(OsString, OsString)> = vec![
        ("container".into(), "contain".into()),
        ("HOME".into(), "/root".into()),
        ("PATH".into(), exec::PATH.into()),
    ];
    if let Some(term) = std::env::var_os("TERM") {
        environment.push(("TERM".into(), term));
    }
    environment
}

fn warnings(spec: &Spec, host: &Host, root: &overlay::Root) -> Vec<String> {
    single_id(&spec.uid_map, &spec.gid_map, &host.caller)
        .into_iter()
        .chain(root.warnings.iter().cloned())
        .collect()
}

/// A single id is worth a warning where more were to be mapped.
pub(crate) fn single_id(uid: &MapSpec, gid: &MapSpec, caller: &Caller) -> Option<String> {
    caller.single_id_warning(*uid == MapSpec::Auto, *gid == MapSpec::Auto)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(store) = &self.store {
            writeln!(f, "{store}")?;
        }
        writeln!(f, "enter root file system {}", quoted(&self.root))?;
        writeln!(
            f,
            "clone init into new namespaces: {}",
            Set(self.namespaces)
        )?;
        writeln!(f, "fork a guard that kills init when contain ends")?;
        writeln!(f, "{}", self.maps.group)?;
        writeln!(f, "{}", self.maps.user)?;
        if let Some(text) = &self.outside {
            writeln!(f, "run outside helper /bin/sh -c '{}'", quoted(text))?;
        }
        for tree in &self.trees {
            writeln!(f, "{tree:#}")?;
        }
        for action in &self.actions {
            writeln!(f, "init: {action:#}")?;
        }
        writeln!(f, "publish the record that inject reads")?;
        match self.console {
            Some(_) => writeln!(f, "copy the console and pass signals until init ends"),
            None => writeln!(f, "pass signals until init ends"),
        }
    }
}
