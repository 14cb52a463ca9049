//! How the root is shown and where its changes go: which trees the supervisor
//! makes, which directories get an overlay, and what their upper layers begin
//! with. <https://docs.kernel.org/filesystems/overlayfs.html>
//!
//! Root shows a DIR of an owner outside the maps through idmapped mounts, one
//! overlay on each. Anyone else makes overlays of what they find; the kernel
//! refuses that for a directory with mounts below it, which could uncover what
//! they cover, so such a directory is made anew and its parts get overlays.

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use nix::sys::stat::{SFlag, fstat};

use crate::decide::below::{Below, find};
use crate::decide::overlay::cover::Cover;
use crate::decide::overlay::seed::Seed;
use crate::decide::restrictions::restrictions;
use crate::error::text::quoted;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::plan::action::Action;
use crate::plan::maps::Maps;
use crate::plan::overlay::{OverlayStep, StoreSource};
use crate::plan::place::{OverHost, Place};
use crate::plan::store::Store;
use crate::plan::tree::Tree;
use crate::proc::kernel::kernel_version;
use crate::proc::mountinfo::{is_above, mount_points};
use crate::spec::{Changes, Spec};
use crate::sys::path;

/// The way to the root, decided.
#[derive(Debug, Default)]
pub(crate) struct Root {
    pub(crate) store: Option<Store>,
    pub(crate) trees: Vec<Tree>,
    /// The root as it is has mounts that have limits or hide something: container
    /// root must not change them. The layers of an overlay are out of its reach.
    pub(crate) locked: bool,
    /// The child's steps before the maps are written.
    pub(crate) before: Vec<Action>,
    /// Its steps as container root.
    pub(crate) actions: Vec<Action>,
    /// The mount over `/` itself that the new root hangs below, or is.
    pub(crate) over_host: Option<OverHost>,
    /// What is below DIR and not shown, or empty.
    pub(crate) missing: Vec<PathBuf>,
    pub(crate) warnings: Vec<String>,
}

impl Root {
    /// Decides how the root at `path`, absolute and without links, is shown.
    /// Its trees come after `trees`.
    /// Reads directories, and where files are copied finds out which can be.
    ///
    /// # Errors
    /// An upper directory that cannot be one.
    pub(crate) fn new(
        spec: &Spec,
        dir: &Below,
        host: &Host,
        maps: &Maps,
        trees: Vec<Tree>,
    ) -> Result<Root> {
        let (path, name) = (dir.path(), dir.known());
        // An owner that the container knows needs no help.
        let status = fstat(dir.dir())
            .map_err(|errno| Error::errno(format!("look at {}", quoted(path)), errno))?;
        let foreign = !maps.user.map.has_outside(status.st_uid);
        let idmapped = foreign && host.caller.user.is_initial_root();
        if spec.changes == Changes::InPlace {
            return in_place(dir, idmapped, trees);
        }
        let (store, fresh, tree) = store(spec, host, maps)?;
        let mut cover = Cover::new(dir, !foreign || idmapped, fresh)?;
        let mut root = Root {
            store,
            trees,
            over_host: over_host(path, Place::Scratch, c"/root"),
            ..Root::default()
        };
        if idmapped {
            root.trees.push(Tree::Root(name.clone()));
            cover.with_trees(name, &mut root.trees)?;
        } else {
            cover.add(Path::new(""))?;
        }
        let source = match (&root.store, tree) {
            (None, _) => StoreSource::Memory,
            (Some(store), false) => {
                let open = OverlayStep::OpenStore(store.known.clone());
                root.before.push(Action::Overlay(open));
                StoreSource::Opened
            }
            (Some(store), true) => {
                root.trees.push(Tree::Changes(store.known.clone()));
                StoreSource::Tree(root.trees.len() - 1)
            }
        };
        let seed = if foreign && !idmapped {
            Seed::scan(dir)
        } else {
            Seed::default()
        };
        root.missing = cover.missing(&seed);
        root.warnings.extend(missing_warning(&root.missing));
        root.warnings.extend(removal_warning(spec));
        let steps = cover.steps(source, seed)?;
        root.actions.extend(steps.into_iter().map(Action::Overlay));
        Ok(root)
    }
}

/// The first few that are not shown, those first that lie nearest to the root.
fn missing_warning(missing: &[PathBuf]) -> Option<String> {
    const FEW: usize = 3;
    let mut nearest: Vec<_> = missing.iter().collect();
    nearest.sort_by_key(|at| at.components().count());
    let shown = nearest
        .iter()
        .take(FEW)
        .map(|at| quoted(Path::new("/").join(at)));
    let names = shown.collect::<Vec<_>>().join(" ");
    let more = match missing.len().saturating_sub(FEW) {
        0 => String::new(),
        more => format!(" and {more} more (--explain)"),
    };
    (!missing.is_empty()).then(|| format!("warning: shown empty or not at all: {names}{more}"))
}

/// What an upper layer in memory cannot do on this kernel: a directory that
/// replaces one below is marked by an attribute that tmpfs learned in Linux 6.6.
fn removal_warning(spec: &Spec) -> Option<String> {
    let line = "warning: before Linux 6.6 directories of the root cannot be removed under -x";
    (spec.changes == Changes::Memory && kernel_version()? < (6, 6)).then(|| line.to_string())
}

fn over_host(path: &Path, place: Place, root: &'static CStr) -> Option<OverHost> {
    (path == Path::new("/")).then_some(OverHost { place, root })
}

/// No overlay. The host's own root is never idmapped: with its files under
/// their own ids a container would be a way to break the host, and nobody who
/// wants that asks for a container.
fn in_place(dir: &Below, idmapped: bool, trees: Vec<Tree>) -> Result<Root> {
    let (path, known) = (dir.path(), dir.known());
    let name = known.path().to_owned();
    let mut root = Root {
        trees,
        over_host: over_host(path, Place::Root, c"/"),
        ..Root::default()
    };
    if idmapped && path != Path::new("/") {
        root.locked =
            !restrictions(dir.dir(), path)?.is_empty() || is_above(path, &mount_points()?);
        // The last one: the supervisor may have to do without.
        root.trees.push(Tree::Whole(known.clone()));
        let tree = root.trees.len() - 1;
        root.actions.push(Action::AttachTree { tree, known: name });
    } else {
        root.before.push(Action::AttachRoot(name));
    }
    Ok(root)
}

/// The upper directory, whether upper layers are new ones, and whether the
/// supervisor has to show it with the container's ids.
fn store(spec: &Spec, host: &Host, maps: &Maps) -> Result<(Option<Store>, bool, bool)> {
    let Changes::Directory(dir) = &spec.changes else {
        return Ok((None, true, false));
    };
    let what = || format!("use upper directory {}", quoted(dir));
    let (known, dir) = find(dir).map_err(|errno| Error::errno(what(), errno))?;
    let status = fstat(dir).map_err(|errno| Error::errno(what(), errno))?;
    if path::kind(status.st_mode) != SFlag::S_IFDIR {
        return Err(Error::new(what(), "not a directory"));
    }
    let tree = host.caller.user.is_initial_root() && !maps.user.map.has_outside(status.st_uid);
    // Through an idmapped mount ids on disk are the container's own.
    let owner = if tree { (0, 0) } else { maps.root };
    let store = Store { known, owner };
    let fresh = store
        .is_new()
        .map_err(|errno| Error::errno(what(), errno))?;
    Ok((Some(store), fresh, tree))
}
