//! The recipes for a container's own file systems: /dev, /proc and /sys, as steps in
//! their order.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;

use crate::error::Result;
use crate::plan::action::Action;
use crate::plan::place::{At, BindKind, Place};
use crate::proc::mountinfo::mount_points;
use crate::sys::mount::{self, NewFileSystem};

const NOSUID: MsFlags = MsFlags::MS_NOSUID;

const NOSUID_NOEXEC: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC);

const NOSUID_NODEV: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

const NO_ALL: MsFlags = NOSUID_NODEV.union(MsFlags::MS_NOEXEC);

static DEV: NewFileSystem = NewFileSystem::new(c"tmpfs", c"mode=0755", NOSUID);

/// Group 5 is tty in every distribution's group(5); a container without it
/// leaves terminals to the group of the process that opens them.
static PTS: NewFileSystem = NewFileSystem::new(c"devpts", PTS_DATA_TTY, NOSUID_NOEXEC);

static PTS_NO_TTY_GROUP: NewFileSystem = NewFileSystem::new(c"devpts", PTS_DATA, NOSUID_NOEXEC);

const PTS_DATA_TTY: &CStr = c"newinstance,ptmxmode=0666,mode=0620,gid=5";

const PTS_DATA: &CStr = c"newinstance,ptmxmode=0666,mode=0620";

static SHM: NewFileSystem = NewFileSystem::new(c"tmpfs", c"mode=1777", NOSUID_NODEV);

static MQUEUE: NewFileSystem = NewFileSystem::new(c"mqueue", c"", NO_ALL);

static PROC: NewFileSystem = NewFileSystem::new(c"proc", c"", NO_ALL);

static SYSFS: NewFileSystem = NewFileSystem::new(c"sysfs", c"", NO_ALL);

static CGROUP: NewFileSystem = NewFileSystem::new(c"cgroup2", c"", NO_ALL);

static SYS_TMPFS: NewFileSystem = NewFileSystem::new(c"tmpfs", c"mode=0755", NO_ALL);

/// Device nodes that every program may expect. User namespaces cannot make
/// any, so the host's are shown.
const NODES: [(&CStr, &CStr); 6] = [
    (c"/dev/null", c"null"),
    (c"/dev/zero", c"zero"),
    (c"/dev/full", c"full"),
    (c"/dev/random", c"random"),
    (c"/dev/urandom", c"urandom"),
    (c"/dev/tty", c"tty"),
];

const LINKS: [(&CStr, &CStr); 5] = [
    (c"ptmx", c"pts/ptmx"),
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
];

/// The parts of /sys that tell of devices and drivers and hold nothing to write
/// for an ordinary user, and their names in the container's. Never /sys/fs, nor
/// /sys with something over that: container root unmounts a cover, and has the
/// caller's cgroups.
const SYS_PARTS: [(&CStr, &CStr); 8] = [
    (c"/sys/block", c"block"),
    (c"/sys/bus", c"bus"),
    (c"/sys/class", c"class"),
    (c"/sys/dev", c"dev"),
    (c"/sys/devices", c"devices"),
    (c"/sys/firmware", c"firmware"),
    (c"/sys/module", c"module"),
    (c"/sys/power", c"power"),
];

fn mount(fs: &'static NewFileSystem, at: At, keep: Option<Place>) -> Action {
    Action::Mount {
        fs,
        at,
        keep,
        optional: false,
    }
}

fn comfort(fs: &'static NewFileSystem, at: At) -> Action {
    Action::Mount {
        fs,
        at,
        keep: None,
        optional: true,
    }
}

/// A fresh /dev: nothing of the root's own is used or changed. The directories
/// come before what is mounted on them, pts before the console that lives in
/// it.
pub(crate) fn dev(tty_group: bool) -> Vec<Action> {
    let at = |name| At(Place::Dev, name);
    let mut actions = vec![
        Action::MakeDir(At(Place::Root, c"dev")),
        mount(&DEV, At(Place::Root, c"dev"), Some(Place::Dev)),
        Action::MakeDir(at(c"pts")),
        mount(
            if tty_group { &PTS } else { &PTS_NO_TTY_GROUP },
            at(c"pts"),
            Some(Place::Pts),
        ),
        Action::MakeDir(at(c"shm")),
        mount(&SHM, at(c"shm"), None),
        Action::MakeDir(at(c"mqueue")),
        comfort(&MQUEUE, at(c"mqueue")),
    ];
    let node = |(source, name)| Action::Bind {
        source,
        at: at(name),
        kind: BindKind::Node,
    };
    actions.extend(NODES.map(node));
    actions.extend(LINKS.map(|(name, target)| Action::Link {
        at: at(name),
        target,
    }));
    actions
}

/// A fresh /proc of the new PID namespace, which is to be a place if steps in
/// it follow.
pub(crate) fn proc(keep: bool) -> [Action; 2] {
    let at = At(Place::Root, c"proc");
    [
        Action::MakeDir(at),
        mount(&PROC, at, keep.then_some(Place::Proc)),
    ]
}

/// The /sys of a network namespace of our own, which its root may have to
/// itself or not.
pub(crate) fn sys(own_cgroup: bool, read_only: bool) -> Vec<Action> {
    let at = At(Place::Root, c"sys");
    let mut actions = vec![Action::MakeDir(at), mount(&SYSFS, at, Some(Place::Sys))];
    if read_only {
        actions.push(Action::ReadOnly(Place::Sys));
    }
    actions.push(cgroups(own_cgroup));
    actions
}

/// The cgroups of our cgroup namespace. They are the container's own, or else
/// looked at first.
fn cgroups(own: bool) -> Action {
    let at = At(Place::Sys, c"fs/cgroup");
    if own {
        comfort(&CGROUP, at)
    } else {
        Action::ShowCgroup { fs: &CGROUP, at }
    }
}

/// The /sys of a container on the host's network, which the kernel does not
/// let it mount: devices and drivers, but nothing of the host's /sys/fs.
pub(crate) fn sys_of_host(own_cgroup: bool) -> Result<Vec<Action>> {
    let at = At(Place::Root, c"sys");
    let sets_below = mount::can_set();
    let mut actions = vec![Action::MakeDir(at), mount(&SYS_TMPFS, at, Some(Place::Sys))];
    for (source, name) in SYS_PARTS {
        actions.push(Action::Bind {
            source,
            at: At(Place::Sys, name),
            kind: BindKind::Tree,
        });
        // Else all at once, in the end.
        if !sets_below {
            let mounts = mounts_of_sys(source)?.into_iter();
            actions.extend(mounts.map(|at| Action::ReadOnlyBelow(Place::Sys, at)));
        }
    }
    actions.extend([
        Action::MakeDir(At(Place::Sys, c"fs")),
        Action::MakeDir(At(Place::Sys, c"fs/cgroup")),
        // Before the cgroups, which are ours to write where they are ours at all.
        Action::ReadOnly(Place::Sys),
        cgroups(own_cgroup),
    ]);
    Ok(actions)
}

/// The directory `top` in /sys, if it is there, and what is mounted below it, from
/// /sys on.
fn mounts_of_sys(top: &CStr) -> Result<Vec<CString>> {
    let top = Path::new(OsStr::from_bytes(top.to_bytes()));
    let mut points = mount_points()?;
    points.retain(|point| point.starts_with(top) && point != top);
    points.extend(top.is_dir().then(|| top.to_path_buf()));
    let below = |point: &PathBuf| {
        let path = point.strip_prefix("/sys").ok()?.to_path_buf();
        CString::new(path.into_os_string().into_vec()).ok()
    };
    Ok(points.iter().filter_map(below).collect())
}
