//! Which step shows which mount, and in which order.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::Path;

use crate::decide::below::Below;
use crate::decide::mounts::binder::{Binder, Source, flags, is_bind, is_tmpfs};
use crate::decide::mounts::devices;
use crate::decide::mounts::host_tools::HostTools;
use crate::error::text::quoted;
use crate::error::{Error, Result, c_string};
use crate::host::Host;
use crate::plan::action::Action;
use crate::plan::mounts::{Fresh, MountStep, Point};
use crate::plan::place::{At, Place};
use crate::plan::tree::Tree;
use crate::proc::mountinfo::mount_points;
use crate::spec::Spec;
use crate::spec::mounts::{Mount, What, clean};
use crate::sys::mount::{Depth, can_set};

/// What is shown besides the root file system, decided.
#[derive(Debug, Default)]
pub(crate) struct MountSteps {
    /// Steps while our rights are the caller's.
    pub(crate) open: Vec<Action>,
    /// Steps in the root file system, before it has a /dev.
    pub(crate) root: Vec<Action>,
    /// Steps in our /dev.
    pub(crate) dev: Vec<Action>,
    /// Steps in /proc and /sys, and what only a process of the container's
    /// namespaces can mount.
    pub(crate) kernel: Vec<Action>,
    /// Container root must not be able to undo what `root` does.
    pub(crate) locked: bool,
    /// Where OURS are another's, and a part of what.
    replaced: [Option<Part>; 3],
}

/// Where a container has mounts of its own.
const OURS: [&str; 3] = ["/dev", "/proc", "/sys"];

/// File systems that show the namespaces of the process that mounts them.
const OF_NAMESPACES: [&str; 4] = ["cgroup2", "mqueue", "proc", "sysfs"];

/// What a mount is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Root,
    Dev,
    Kernel,
}

impl MountSteps {
    /// Decides how the mounts of `spec` are made below the root at `root`. The
    /// supervisor's trees for them go to `trees`.
    ///
    /// # Errors
    /// Sources that are not there, places that cannot be had.
    pub(crate) fn new(
        spec: &Spec,
        root: &Below,
        host: &Host,
        trees: &mut Vec<Tree>,
    ) -> Result<MountSteps> {
        let mut wanted = spec.mounts.clone();
        for device in &spec.devices {
            wanted.push(devices::mount(device)?);
        }
        let mut mounts = MountSteps {
            locked: spec.read_only || spec.host_tools,
            ..MountSteps::default()
        };
        if spec.host_tools {
            let tools = HostTools::find(root)?;
            mounts
                .root
                .extend(tools.links.into_iter().map(Action::Mounts));
            // What was asked for by name goes before what comes along.
            let taken: Vec<_> = wanted.iter().map(|mount| clean(&mount.at)).collect();
            let free = |mount: &Mount| !taken.contains(&mount.at);
            wanted.extend(tools.mounts.into_iter().filter(free));
        }
        let wanted = in_order(wanted)?;
        // Root's child has fewer rights than root, so its supervisor opens the
        // sources, where it can separate them.
        let by_supervisor = wanted.iter().any(is_bind) && host.caller.user.privileged && can_set();
        let mut binder = Binder {
            mounted: by_supervisor
                .then(mount_points)
                .transpose()?
                .unwrap_or_default(),
            by_supervisor,
            trees,
            open: &mut mounts.open,
        };
        let mut shown = Vec::new();
        // Whether the mount at this place is memory of ours.
        let mut memory: BTreeMap<&Path, bool> = BTreeMap::new();
        for mount in &wanted {
            let part = part(mount, &mut mounts.replaced);
            let mut above = mount.at.ancestors().skip(1);
            let above = above.find_map(|path| memory.get(path).copied());
            let source = match &mount.what {
                What::Bind { source, .. } => Some(Source::find(source)?),
                What::FileSystem { .. } => None,
            };
            let point = Point {
                path: below_root(&mount.at)?,
                directory: source.as_ref().is_none_or(|source| source.directory),
                in_memory: above.unwrap_or(part == Part::Dev),
            };
            if above.is_none() && !is_inside_ours(&mount.at) {
                let step = MountStep::MakePoint(point.clone());
                mounts.root.push(Action::Mounts(step));
            }
            memory.insert(&mount.at, is_tmpfs(mount));
            if is_bind(mount) && mount.read_only && part != Part::Root {
                return Err(Error::usage(
                    format!("bind read-only on {}", quoted(&mount.at)),
                    "container root could change that in /dev, /proc and /sys",
                ));
            }
            mounts.locked |= mount.read_only || is_bind(mount) && !flags(mount).is_empty();
            let step = match (&mount.what, source) {
                (What::Bind { recursive, .. }, Some(source)) => {
                    let depth = if *recursive { Depth::All } else { Depth::One };
                    match part {
                        Part::Root => mounts.locked |= binder.must_lock(&source, depth)?,
                        Part::Dev | Part::Kernel => binder.must_be_writable(&source, &mount.at)?,
                    }
                    binder.bind(mount, source, depth, point)?
                }
                (What::FileSystem { kind, source, size }, _) => MountStep::Mount {
                    fresh: Fresh {
                        kind: c_string(kind)?,
                        source: c_string(source.as_ref().unwrap_or(kind))?,
                        size: size.as_ref().map(c_string).transpose()?,
                        flags: flags(mount),
                    },
                    point,
                    keep: (is_tmpfs(mount) && mount.at == Path::new("/run")).then_some(Place::Run),
                },
                (What::Bind { .. }, None) => continue,
            };
            shown.push((part, Action::Mounts(step)));
        }
        // What is made in the root comes before nobody can write to it, and the
        // mounts after it, because they keep rules of their own.
        if spec.read_only {
            let make = |name| Action::MakeDir(At(Place::Root, name));
            mounts.root.extend([c"dev", c"proc", c"sys"].map(make));
            mounts.root.push(Action::Mounts(MountStep::ReadOnlyRoot));
        }
        for (part, action) in shown {
            match part {
                Part::Root => mounts.root.push(action),
                Part::Dev => mounts.dev.push(action),
                Part::Kernel => mounts.kernel.push(action),
            }
        }
        Ok(mounts)
    }

    /// Whether /dev, /proc or /sys is another's than ours.
    pub(crate) fn replaces(&self, path: &str) -> bool {
        let at = OURS.iter().position(|ours| *ours == path);
        at.is_some_and(|at| self.replaced[at].is_some())
    }
}

/// The mounts with clean places, each before those below it.
fn in_order(mut mounts: Vec<Mount>) -> Result<Vec<Mount>> {
    let what = |mount: &Mount| format!("mount on {}", quoted(&mount.at));
    for mount in &mut mounts {
        mount
            .check()
            .map_err(|why| Error::usage(what(mount), why))?;
        mount.at = clean(&mount.at);
    }
    mounts.sort_by(|a, b| a.at.cmp(&b.at));
    match mounts.windows(2).find(|pair| pair[0].at == pair[1].at) {
        Some(pair) => {
            let why = "two mounts are asked for there";
            Err(Error::usage(what(&pair[0]), why))
        }
        None => Ok(mounts),
    }
}

/// What the mount is part of. Notes what it replaces.
fn part(mount: &Mount, replaced: &mut [Option<Part>; 3]) -> Part {
    let of_namespaces = matches!(&mount.what,
        What::FileSystem { kind, .. } if OF_NAMESPACES.contains(&kind.as_str()));
    let usual = if of_namespaces {
        Part::Kernel
    } else {
        Part::Root
    };
    for (ours, replaced) in OURS.iter().zip(replaced) {
        if mount.at == Path::new(ours) {
            return *replaced.insert(usual);
        }
        if mount.at.starts_with(ours) {
            return replaced.unwrap_or(if *ours == "/dev" {
                Part::Dev
            } else {
                Part::Kernel
            });
        }
    }
    usual
}

/// Below /dev, /proc or /sys, where the root file system is not seen.
fn is_inside_ours(at: &Path) -> bool {
    OURS.iter()
        .any(|ours| at.starts_with(ours) && at != Path::new(ours))
}

fn below_root(at: &Path) -> Result<CString> {
    c_string(at.strip_prefix("/").unwrap_or(at))
}
