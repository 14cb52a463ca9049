//! The steps that make overlays; `plan::overlay` draws what comes of them.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::MsFlags;
use nix::sys::stat::{self, Mode, fstat};
use nix::unistd::{self, Gid, Uid};

use crate::child::state::Child;
use crate::plan::overlay::{
    BEGUN, HidePart, Layer, LayerSource, MAX_COPY, Merge, OverlayStep, StoreSource,
};
use crate::plan::place::Place;
use crate::sys::mount::{self, Depth, NewFileSystem};
use crate::sys::path::{self, FIND_DIR};
use crate::sys::{Sys, layers, make};

static SCRATCH: NewFileSystem = NewFileSystem::new(c"tmpfs", c"mode=0755", MsFlags::empty());

const DIR_MODE: Mode = Mode::from_bits_retain(0o755);

impl Child<'_> {
    pub(super) fn overlay(&mut self, step: &OverlayStep) -> Sys<()> {
        match step {
            OverlayStep::OpenStore(known) => {
                let store = known.open(FIND_DIR)?;
                self.keep(Place::Store, store);
                Ok(())
            }
            OverlayStep::Scratch => self.make_scratch(),
            OverlayStep::Store(source) => self.attach_store(*source),
            OverlayStep::Base => {
                let tree = mount::open_tree(self.place(Place::Changes)?, c"", Depth::One)?;
                self.attach_root(tree)
            }
            OverlayStep::MakeDirs(dirs) => dirs.iter().try_for_each(|dir| {
                let (parent, name) = path::open_parent(self.place(Place::Changes)?, &dir.path)?;
                let mode = Mode::from_bits_retain(dir.mode);
                make::make_dir(parent.as_fd(), name, mode).map(drop)
            }),
            OverlayStep::Copy(files) => files.iter().try_for_each(|file| {
                let (from, to) = (self.place(Place::Lower)?, self.place(Place::Changes)?);
                let mode = Mode::from_bits_retain(file.mode);
                match make::copy_file(from, to, &file.path, mode, MAX_COPY) {
                    Err(errno @ (Errno::ENOSPC | Errno::EDQUOT | Errno::ENOMEM)) => Err(errno),
                    // Gone or closed meanwhile, or changed by an earlier boot.
                    _ => Ok(()),
                }
            }),
            OverlayStep::Link(links) => links.iter().try_for_each(|(link, target)| {
                let (parent, name) = path::open_parent(self.place(Place::Changes)?, link)?;
                match unistd::symlinkat(target.as_c_str(), &parent, name) {
                    Err(Errno::EEXIST) => Ok(()),
                    other => other,
                }
            }),
            OverlayStep::Hide(masks) => masks.iter().try_for_each(|mask| {
                let (HidePart::Directory(path) | HidePart::Whiteout(path)) = mask;
                let (parent, name) = path::open_parent(self.place(Place::Scratch)?, path)?;
                match mask {
                    HidePart::Directory(_) => {
                        make::make_dir(parent.as_fd(), name, DIR_MODE).map(drop)
                    }
                    HidePart::Whiteout(_) => layers::make_whiteout(parent.as_fd(), name),
                }
            }),
            OverlayStep::Layer(layer) => self.prepare(layer),
            OverlayStep::Merge(merge) => self.merge(merge),
            OverlayStep::Begun => {
                let work = path::open_dir(self.place(Place::Store)?, c"work")?;
                make::make_dir(work.as_fd(), BEGUN, DIR_MODE).map(drop)
            }
            OverlayStep::Once(step) if self.new_changes => self.overlay(step),
            OverlayStep::Once(_) => Ok(()),
            OverlayStep::Attach(at, index) => {
                let overlay = self.tree(*index)?;
                self.attach_overlay(at, overlay)
            }
        }
    }

    /// Where the working directory is covered the lower root stays in reach by
    /// its descriptor alone.
    fn make_scratch(&mut self) -> Sys<()> {
        self.keep(Place::Lower, layers::working_directory()?);
        let scratch = mount::new_mount(&SCRATCH)?;
        layers::cover_working_directory(scratch.as_fd())?;
        for name in [c"lower", c"mask", c"store", c"root"] {
            make::make_dir(scratch.as_fd(), name, DIR_MODE)?;
        }
        self.keep(Place::Scratch, scratch);
        Ok(())
    }

    fn attach_store(&mut self, source: StoreSource) -> Sys<()> {
        let tree = match source {
            StoreSource::Memory => None,
            StoreSource::Opened => Some(mount::open_tree(
                self.place(Place::Store)?,
                c"",
                Depth::One,
            )?),
            StoreSource::Tree(index) => Some(self.tree(index)?),
        };
        let scratch = self.place(Place::Scratch)?;
        if let Some(tree) = &tree {
            mount::move_mount(tree.as_fd(), scratch, c"store")?;
        }
        let store = path::open_dir(scratch, c"store")?;
        if tree.is_none() {
            make::make_dir(store.as_fd(), c"changes", DIR_MODE)?;
            make::make_dir(store.as_fd(), c"work", DIR_MODE)?;
        }
        self.keep(Place::Changes, path::open_dir(store.as_fd(), c"changes")?);
        self.keep(Place::Store, store);
        Ok(())
    }

    /// The lower layer at its place, and directories for upper and work.
    fn prepare(&mut self, layer: &Layer) -> Sys<()> {
        let lower = match layer.source {
            LayerSource::Tree(index) => self.tree(index)?,
            LayerSource::Same => {
                let same = path::open_below(self.place(Place::Lower)?, &layer.at, FIND_DIR)?;
                mount::open_tree(same.as_fd(), c"", Depth::One)?
            }
        };
        let scratch = self.place(Place::Scratch)?;
        make::make_dir(scratch, &layer.lower, DIR_MODE)?;
        mount::move_mount(lower.as_fd(), scratch, &layer.lower)?;
        let work = path::open_dir(self.place(Place::Store)?, c"work")?;
        make::make_dir(work.as_fd(), &layer.number, DIR_MODE)?;
        if self.make_upper(&layer.at)? || layer.at.is_empty() && self.new_changes {
            self.dress_upper(layer, &lower)?;
        }
        Ok(())
    }

    /// The directory of the changes that is the upper layer at `at`; true when
    /// it is a new one.
    fn make_upper(&self, at: &CStr) -> Sys<bool> {
        if at.is_empty() {
            return Ok(false);
        }
        let (parent, name) = path::open_parent(self.place(Place::Changes)?, at)?;
        match stat::mkdirat(&parent, name, DIR_MODE) {
            Err(Errno::EEXIST) => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// What the overlay's root looks like is its upper layer's.
    fn dress_upper(&self, layer: &Layer, lower: &OwnedFd) -> Sys<()> {
        let changes = self.place(Place::Changes)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let upper = path::open_below(changes, &layer.at, flags)?;
        let status = fstat(lower)?;
        if layer.owned {
            let (uid, gid) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
            // One of the two may be outside the maps and stays the root's.
            for (uid, gid) in [(Some(uid), None), (None, Some(gid))] {
                match unistd::fchown(&upper, uid, gid) {
                    Err(Errno::EINVAL) => {}
                    other => other?,
                }
            }
        }
        stat::fchmod(&upper, Mode::from_bits_retain(status.st_mode & 0o7777))
    }

    fn merge(&mut self, merge: &Merge) -> Sys<()> {
        let upper = path::open_below(self.place(Place::Changes)?, &merge.at, FIND_DIR)?;
        unistd::fchdir(&upper)?;
        let overlay = layers::overlay(&merge.lower, &merge.work)?;
        match merge.keep {
            Some(index) => {
                *self.trees.get_mut(index).ok_or(Errno::EBADF)? = Some(overlay);
                Ok(())
            }
            None => self.attach_overlay(&merge.at, overlay),
        }
    }

    fn attach_overlay(&mut self, at: &CStr, overlay: OwnedFd) -> Sys<()> {
        if at.is_empty() {
            return self.attach_root(overlay);
        }
        let point = path::open_below(self.place(Place::Root)?, at, FIND_DIR)?;
        mount::move_mount(overlay.as_fd(), point.as_fd(), c"")
    }

    fn attach_root(&mut self, tree: OwnedFd) -> Sys<()> {
        mount::move_mount(tree.as_fd(), self.place(Place::Scratch)?, c"root")?;
        self.keep(Place::Root, tree);
        Ok(())
    }

    /// A tree that came with the go, once.
    fn tree(&mut self, index: usize) -> Sys<OwnedFd> {
        self.trees
            .get_mut(index)
            .and_then(Option::take)
            .ok_or(Errno::EBADF)
    }

    /// The whole root as the supervisor made it; as we find it, where it could
    /// make none or we cannot attach it.
    pub(super) fn attach_tree(&mut self, index: usize, known: &CStr) -> Sys<()> {
        let cover = |tree: OwnedFd| layers::cover_working_directory(tree.as_fd()).map(|()| tree);
        let root = match self.tree(index).and_then(cover) {
            Err(Errno::EBADF | Errno::ENOSYS) => mount::mount_working_directory(known)?,
            other => other?,
        };
        self.keep(Place::Root, root);
        Ok(())
    }
}
