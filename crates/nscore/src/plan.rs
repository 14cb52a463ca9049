//! From what was asked and what the machine is to what will be done: every
//! decision and every allocation of a start happens here.

mod explain;

use std::cell::RefCell;
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::CloneFlags;

use crate::action::{Action, Nested};
use crate::caller::Caller;
use crate::cgroup::{self, LeafPlan, Scope};
use crate::environ::{self, Variables};
use crate::error::{Error, Result, quoted};
use crate::exec::{self, Program, c_string};
use crate::harden::Profile;
use crate::host::Host;
use crate::idmap::{MapSpec, Maps};
use crate::init;
use crate::machine;
use crate::mask;
use crate::mounts::{self, Mounts};
use crate::name::{Hostname, Name};
use crate::net::{Net, Network, Resolver};
use crate::overlay;
use crate::record::Terms;
use crate::rootfs;
use crate::sealed;
use crate::spec::Spec;
use crate::stop::StopSignal;
use crate::store::Store;
use crate::sys::descriptors;
use crate::sys::shim::Image;
use crate::systemd;
use crate::tree::Tree;
use crate::user;

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
    pub(crate) outside: Option<OsString>,
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
        let systemd = systemd::is_init(spec, &command(spec));
        let leaf = LeafPlan::new(spec, systemd, &maps)?;
        let mut around = Surroundings {
            profile: Profile::new(spec)?,
            systemd,
            run: systemd && !systemd::has_run(spec),
            leaf: leaf.is_some(),
            console: None,
        };
        let with_run = around.run.then(|| systemd::with_run(spec));
        let spec = with_run.as_ref().unwrap_or(spec);
        let mut trees = Vec::new();
        let mut mounts = Mounts::new(spec, &root, host, &mut trees)?;
        let mut shown = overlay::Root::new(spec, &root, host, &maps, trees)?;
        // The console is a part of our own /dev.
        let own = spec.console && !mounts.replaces("/dev");
        let console = own.then_some(host.terminals.streams);
        around.console = console;
        let mounter = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS;
        let mut namespaces = mounter
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS;
        if spec.net.is_own() {
            namespaces |= CloneFlags::CLONE_NEWNET;
        }
        let known = c_string(root.as_os_str())?;
        let nested = |[uid_map, gid_map]: [_; 2]| Nested {
            namespaces,
            root: known,
            uid_map,
            gid_map,
            over_host: shown.over_host,
        };
        let nested = (mounts.locked || shown.locked)
            .then(|| maps.identities())
            .transpose()?
            .map(nested);
        Ok(Plan {
            warnings: warnings(spec, host, &shown),
            mounter: nested.is_some().then_some(mounter),
            actions: actions(spec, host, &maps, &mut shown, &mut mounts, nested, around)?,
            leaf,
            store: shown.store,
            trees: shown.trees,
            root,
            maps,
            namespaces,
            outside: spec.outside.clone(),
            console,
            life: Life::new(spec, around)?,
            name: spec.name.clone(),
            command: command(spec),
            network: Network::new(spec)?,
        })
    }
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

impl Scope {
    /// The scope in which this program has to be started once again before
    /// [`Plan::new`] and [`run`](crate::run), if systemd owns the cgroup that a
    /// container asked for would need: see [`Scope::enter`].
    ///
    /// # Errors
    /// What cannot be had here.
    pub fn due(spec: &Spec) -> Result<Option<Scope>> {
        spec.check()?;
        cgroup::scope_due(spec, systemd::is_init(spec, &command(spec)))
    }
}

/// What surrounds init.
#[derive(Clone, Copy)]
struct Surroundings {
    /// What init may do.
    profile: Profile,
    systemd: bool,
    /// A /run of our own making.
    run: bool,
    /// A cgroup of its own.
    leaf: bool,
    /// The streams that are a console's.
    console: Option<[bool; 3]>,
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
/// written, and what needs the caller's rights before the change of ids. Time
/// comes before it too, because the offsets are written with the caller's; file
/// systems come after it, because they belong to container root. Mounts that
/// container root may not change are made before there is an init. The inside
/// helper sees the root and /dev but not yet /proc and /sys; the pivot takes the
/// host's files away; and then what all of that takes is given up.
fn actions(
    spec: &Spec,
    host: &Host,
    maps: &Maps,
    root: &mut overlay::Root,
    mounts: &mut Mounts,
    nested: Option<Nested>,
    around: Surroundings,
) -> Result<Vec<Action>> {
    let console = around.console;
    let become_root = || Action::BecomeRoot {
        drop_groups: maps.leave_setgroups() && !mounts::need_groups(&spec.devices, maps),
    };
    let mut actions = vec![Action::PrivateMounts];
    actions.append(&mut mounts.open);
    actions.append(&mut root.before);
    root.actions.append(&mut mounts.root);
    if around.run {
        root.actions.push(systemd::manager());
    }
    if let Some(nested) = nested {
        actions.extend([Action::AwaitGo, become_root()]);
        actions.append(&mut root.actions);
        let known = nested.root.clone();
        actions.extend([Action::CloneInit(nested), Action::AttachRoot(known)]);
    }
    actions.extend([
        Action::EnterTime,
        Action::AwaitGo,
        Action::EnterCgroup,
        become_root(),
        Action::NewKeyring,
    ]);
    actions.extend(hostname(spec)?.map(Action::SetHostname));
    actions.append(&mut root.actions);
    if !mounts.replaces("/dev") {
        actions.extend(rootfs::dev(maps.group.map.has_inside(5)));
    }
    actions.append(&mut mounts.dev);
    if console.is_some() {
        actions.push(Action::MakeConsole(host.terminals.look));
    }
    if Resolver::new(spec).is_some() {
        actions.push(Action::ShowResolver);
    }
    if let Some(text) = &spec.inside {
        actions.push(Action::RunInside(Program::shell(text, &[])?));
    }
    if !mounts.replaces("/proc") {
        actions.extend(rootfs::proc(spec.strict));
    }
    match spec.net {
        _ if mounts.replaces("/sys") => {}
        Net::Host => actions.extend(rootfs::sys_of_host(around.leaf)?),
        _ => actions.extend(rootfs::sys(around.leaf, around.systemd)),
    }
    if spec.net.is_own() {
        actions.push(Action::LoopbackUp);
    }
    actions.append(&mut mounts.kernel);
    if spec.strict {
        // What the caller shows instead of ours is shown.
        let ours = mask::all().filter(|mask| !mounts.replaces(mask.at.0.path()));
        actions.extend(ours.map(Action::Mask));
    }
    let image = if spec.init {
        Image::Ourselves
    } else {
        Image::Shim
    };
    let sealed = sealed::due(
        image,
        |id| Ok(maps.user.map.has_outside(id)),
        |id| Ok(maps.group.map.has_outside(id)),
    )?;
    actions.extend(sealed.map(Action::Seal));
    let covered = root.over_host.is_some();
    actions.push(Action::Pivot { covered });
    match console {
        Some(streams) => actions.push(Action::TakeConsole {
            streams,
            controlling: !machine::is_init(spec, &command(spec)),
        }),
        // There is none of ours in a /dev of the caller's.
        None if spec.console => actions.push(Action::NewSession),
        None => {}
    }
    actions.push(Action::Ready);
    let profile = around.profile;
    actions.extend(profile.limits().map(Action::Harden));
    // What needs container root's rights comes before this.
    let steps = user::steps(spec.user.as_ref(), spec.workdir.as_deref())?;
    actions.extend(steps.into_iter().map(Action::User));
    actions.push(Action::Harden(profile.last()));
    let more: Variables = around
        .systemd
        .then(systemd::environment)
        .into_iter()
        .flatten()
        .collect();
    actions.push(if spec.init {
        // This very program, as the container's /proc shows it.
        let arguments = init::arguments(&command(spec), console.is_some());
        let environment = environment(spec, more);
        Action::ExecInit(Program::at(c"/proc/self/exe", &arguments, &environment)?)
    } else {
        Action::Exec(program(spec, more)?)
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

fn program(spec: &Spec, more: Variables) -> Result<Program> {
    let environment = environment(spec, more);
    Program::new(&command(spec), &environment, exec::path(&environment))
}

fn environment(spec: &Spec, more: Variables) -> Variables {
    let mut base = own_environment();
    base.extend(more);
    environ::of(base, &spec.environment, spec.user.as_ref())
}

/// The host name: as asked for, else the container's name, else the host's.
fn hostname(spec: &Spec) -> Result<Option<CString>> {
    let name = spec.name.as_ref().map(Hostname::from);
    let name = spec.hostname.clone().or(name);
    name.map(|name| exec::c_string(OsStr::new(name.as_str())))
        .transpose()
}

/// What init finds in its environment by itself: nothing of the caller's but the
/// kind of terminal.
pub(crate) fn own_environment() -> Variables {
    let mut environment: Variables = vec![
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
