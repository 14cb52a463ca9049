//! The steps that show what was asked for besides the root file system.

use std::ffi::CStr;
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::MsFlags;
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd;

use crate::child::state::Child;
use crate::plan::mounts::{Fresh, MountStep, Point, Source};
use crate::plan::place::Place;
use crate::sys::{Sys, make, mount, path};

impl<'a> Child<'a> {
    pub(super) fn mounts(&mut self, step: &'a MountStep) -> Sys<()> {
        match step {
            MountStep::Open {
                source,
                depth,
                slot,
            } => {
                let source = source.open(OFlag::O_PATH)?;
                let tree = mount::open_tree(source.as_fd(), c"", *depth)?;
                *self.opened.get_mut(*slot).ok_or(Errno::EBADF)? = Some(tree);
                Ok(())
            }
            MountStep::MakePoint(point) => {
                let Child { places, made, .. } = self;
                let root = places[Place::Root as usize].as_ref();
                let root = root.ok_or(Errno::EBADF)?.as_fd();
                make::make_point(root, &point.path, mode(point), |end| {
                    made.push((&point.path, end));
                })
            }
            MountStep::MakeLink { path, target } => {
                let link = unistd::symlinkat(target.as_c_str(), self.place(Place::Root)?, &**path);
                match link {
                    Err(Errno::EEXIST) => return Ok(()),
                    other => other?,
                }
                self.made.push((path, path.to_bytes().len()));
                Ok(())
            }
            MountStep::Attach {
                source,
                point,
                flags,
                ..
            } => {
                let slot = match source {
                    Source::Sent(index) => self.trees.get_mut(*index),
                    Source::Opened(index) => self.opened.get_mut(*index),
                };
                let tree = slot.and_then(Option::take).ok_or(Errno::EBADF)?;
                if !flags.is_empty() {
                    mount::restrict(tree.as_fd(), *flags)?;
                }
                let at = self.open_point(point)?;
                // The kernel says EINVAL, which may mean anything.
                if is_directory(&tree)? != is_directory(&at)? {
                    return Err(Errno::ENOTDIR);
                }
                mount::move_mount(tree.as_fd(), at.as_fd(), c"")
            }
            MountStep::Mount { fresh, point, keep } => {
                mount_fresh(fresh, &self.open_point(point)?)?;
                if let Some(place) = keep {
                    let root = self.place(Place::Root)?;
                    self.keep(
                        *place,
                        path::open_in_root(root, &point.path, OFlag::O_PATH)?,
                    );
                }
                Ok(())
            }
            MountStep::ReadOnlyRoot => {
                mount::restrict(self.place(Place::Root)?, MsFlags::MS_RDONLY)
            }
        }
    }

    fn open_point(&self, point: &Point) -> Sys<OwnedFd> {
        let root = self.place(Place::Root)?;
        if point.in_memory {
            make::make_point(root, &point.path, mode(point), |_| {})?;
        }
        path::open_in_root(root, &point.path, OFlag::O_PATH)
    }
}

fn is_directory(fd: &OwnedFd) -> Sys<bool> {
    Ok(path::kind(fstat(fd)?.st_mode) == SFlag::S_IFDIR)
}

/// The mode of a directory that is to be there. One for temporary files is
/// anybody's.
fn mode(point: &Point) -> Option<Mode> {
    let temporary = [c"tmp", c"var/tmp"].contains(&point.path.as_c_str());
    let mode = if temporary { 0o1777 } else { 0o755 };
    point.directory.then_some(Mode::from_bits_retain(mode))
}

fn mount_fresh(fresh: &Fresh, at: &OwnedFd) -> Sys<()> {
    let mut data = [0; 64];
    if fresh.kind.as_c_str() == c"tmpfs" {
        let mode = fstat(at)?.st_mode & 0o7777;
        let mut rest = &mut data[..63];
        let mut say = || {
            write!(rest, "mode={mode:o}")?;
            match &fresh.size {
                Some(size) => rest
                    .write_all(b",size=")
                    .and(rest.write_all(size.to_bytes())),
                None => Ok(()),
            }
        };
        say().map_err(|_| Errno::ENAMETOOLONG)?;
    }
    let data = CStr::from_bytes_until_nul(&data).map_err(|_| Errno::ENAMETOOLONG)?;
    unistd::fchdir(at)?;
    let (kind, source) = (fresh.kind.as_c_str(), fresh.source.as_c_str());
    nix::mount::mount(Some(source), c".", Some(kind), fresh.flags, Some(data))
}
