//! New files. They belong to whoever makes them, or to the group of a set-group-id
//! directory: where that is root, as in truth, the kernel makes them as ever.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, mkdirat, mknodat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};

use crate::fake::call::{By, Call};
use crate::fake::file::File;
use crate::fake::find::Wanted;
use crate::fake::question::Question;
use crate::fake::record::{Kind, Record};
use crate::fake::who;
use crate::sys::notify::{self, Answer};
use crate::sys::{Sys, inode};

/// What is to be made, by the words of the call.
enum New {
    File { flags: OFlag, mode: u32 },
    Directory { mode: u32 },
    Link { target: CString },
    Node { mode: u32, device: u32 },
}

impl New {
    /// Something that no user namespace may make.
    fn is_device(&self) -> bool {
        let New::Node { mode, .. } = self else {
            return false;
        };
        let kinds = [libc::S_IFCHR, libc::S_IFBLK];
        kinds.contains(&(mode & libc::S_IFMT)) && !self.is_whiteout()
    }

    /// A device that anybody may make, and that has no record: mknod(2) of Linux 5.8.
    fn is_whiteout(&self) -> bool {
        let kind = |mode| mode & libc::S_IFMT;
        matches!(self, New::Node { mode, device: 0 } if kind(*mode) == libc::S_IFCHR)
    }
}

/// Where it goes.
struct Place {
    /// What the path begins at.
    dir: i32,
    parent: CString,
    name: CString,
}

impl Question<'_, '_> {
    /// Makes what the call asks for, where the kernel would make it root's.
    pub(super) fn create(&mut self, call: Call) -> Sys<Answer> {
        let Some((new, place)) = self.new_file(call) else {
            return Ok(Answer::Continue);
        };
        if new.is_whiteout() {
            return Ok(Answer::Continue);
        }
        let who = self.who().unwrap_or_default();
        let is_root = (who.user.file_system, who.group.file_system) == (0, 0);
        if is_root && !new.is_device() && !self.may_be_shared(&place) {
            return Ok(Answer::Continue);
        }
        if new.is_device() && !who::may_all(self, &who) {
            return Err(Errno::EPERM);
        }
        let Ok(parent) = self.find(place.dir, &place.parent, true) else {
            return Ok(Answer::Continue);
        };
        let umask = self.asker.status_line("Umask:");
        let umask = umask.and_then(|text| u32::from_str_radix(&text, 8).ok());
        self.asker.verify()?;
        let parent = File::new(parent)?;
        let shared = parent.status.st_mode & libc::S_ISGID != 0;
        let owner = Owner {
            user: who.user.file_system,
            group: match shared {
                true => parent.told().group,
                false => who.group.file_system,
            },
            umask: umask.unwrap_or(0o022),
        };
        if !new.is_device() && (owner.user, owner.group) == (0, 0) {
            return Ok(Answer::Continue);
        }
        let (dir, name) = (parent.fd(), place.name.as_c_str());
        let made = match &new {
            New::File { flags, mode } => return self.open_new(dir, name, *flags, *mode, &owner),
            New::Node { mode, device } if new.is_device() => {
                owner.make_device(dir, name, *mode, *device)
            }
            new => owner.make(dir, name, new),
        };
        match made {
            Ok(()) => Ok(Answer::Value(0)),
            Err(Errno::EOPNOTSUPP) => self.shared.refusals.answer(&self.asker, dir),
            Err(errno) => Err(errno),
        }
    }

    /// What is asked for, and where; None for what the kernel knows better.
    fn new_file(&self, call: Call) -> Option<(New, Place)> {
        let asker = &self.asker;
        let (dir, at) = match call {
            Call::Open(By::AtPath) | Call::Mkdir(By::AtPath) | Call::Mknod(By::AtPath) => {
                (asker.number(0), 0)
            }
            Call::Symlink(By::AtPath) => (asker.number(1), 1),
            Call::Symlink(_) => (libc::AT_FDCWD, 0),
            // As if it had a directory in front.
            _ => return self.new_file_here(call),
        };
        let place = Place::of(dir, &asker.path(at + 1).ok()?, call)?;
        let new = match call {
            Call::Open(_) => New::File {
                flags: OFlag::from_bits_retain(asker.number(2)),
                mode: asker.word(3),
            },
            Call::Mkdir(_) => New::Directory {
                mode: asker.word(2),
            },
            Call::Symlink(_) => New::Link {
                target: asker.path(0).ok()?,
            },
            _ => New::Node {
                mode: asker.word(2),
                device: asker.word(3),
            },
        };
        Some((new, place))
    }

    /// The same for calls that name no directory.
    fn new_file_here(&self, call: Call) -> Option<(New, Place)> {
        let asker = &self.asker;
        let place = Place::of(libc::AT_FDCWD, &asker.path(0).ok()?, call)?;
        let new = match call {
            Call::Open(_) => New::File {
                flags: OFlag::from_bits_retain(asker.number(1)),
                mode: asker.word(2),
            },
            Call::Creat => New::File {
                flags: OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_TRUNC,
                mode: asker.word(1),
            },
            Call::Mkdir(_) => New::Directory {
                mode: asker.word(1),
            },
            _ => New::Node {
                mode: asker.word(1),
                device: asker.word(2),
            },
        };
        Some((new, place))
    }

    /// Whether the directory may have a set-group-id bit, at a glance.
    fn may_be_shared(&mut self, place: &Place) -> bool {
        let wanted = Wanted {
            dir: place.dir,
            path: &place.parent,
            follow: true,
        };
        let moved = self.moved();
        let look = |path: &CStr| inode::status_at(path, true);
        match self.paths.with(&self.asker, &wanted, moved, look) {
            Ok(Some(Ok(status))) => status.st_mode & libc::S_ISGID != 0,
            Ok(Some(Err(Errno::ELOOP)) | None) => true,
            _ => false,
        }
    }

    /// Opens a file that was not there; one that was is the kernel's to open.
    fn open_new(
        &self,
        dir: BorrowedFd,
        name: &CStr,
        flags: OFlag,
        mode: u32,
        owner: &Owner,
    ) -> Sys<Answer> {
        if flags.intersects(OFlag::O_PATH | OFlag::O_DIRECTORY) {
            return Ok(Answer::Continue);
        }
        let new = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = mode & 0o7777 & !owner.umask;
        let Ok(file) = openat(dir, name, flags | new, Mode::from_bits_retain(mode)) else {
            return Ok(Answer::Continue);
        };
        // It is there all the same where it can have no owner.
        let _ = owner.keep(copy(file.as_fd())?, None);
        let (listener, id) = (self.asker.listener, self.asker.notice.id);
        notify::give(listener, id, file.as_fd(), flags.bits()).map(Answer::Value)
    }
}

impl Place {
    /// None for what cannot be made.
    fn of(dir: i32, path: &CStr, call: Call) -> Option<Place> {
        let mut path = path.to_bytes();
        if let Call::Mkdir(_) = call {
            // Only a directory may have slashes behind it.
            let end = path.iter().rposition(|byte| *byte != b'/')?;
            path = &path[..=end];
        }
        let at = path.iter().rposition(|byte| *byte == b'/');
        let (parent, name) = match at {
            Some(at) => path.split_at(at + 1),
            None => (&b"."[..], path),
        };
        let known = !matches!(name, b"" | b"." | b"..");
        known.then_some(())?;
        Some(Place {
            dir,
            parent: CString::new(parent).ok()?,
            name: CString::new(name).ok()?,
        })
    }
}

/// Who makes it.
struct Owner {
    user: u32,
    group: u32,
    umask: u32,
}

impl Owner {
    /// All but regular files and devices.
    fn make(&self, dir: BorrowedFd, name: &CStr, new: &New) -> Sys<()> {
        let permissions = |mode: u32| Mode::from_bits_truncate(mode & !self.umask);
        match new {
            New::Directory { mode } => mkdirat(dir, name, permissions(*mode))?,
            New::Link { target } => symlinkat(OsStr::from_bytes(target.to_bytes()), dir, name)?,
            New::Node { mode, .. } => {
                let kind = SFlag::from_bits_truncate(mode & libc::S_IFMT);
                mknodat(dir, name, kind, permissions(*mode), 0)?;
            }
            New::File { .. } => return Err(Errno::EINVAL),
        }
        // It is there all the same where it can have no owner.
        let _ = self.keep_by_name(dir, name, None);
        Ok(())
    }

    /// An empty file in place of a device, which has its record before it has its name.
    fn make_device(&self, dir: BorrowedFd, name: &CStr, mode: u32, device: u32) -> Sys<()> {
        // As the kernel packs it for a call: new_decode_dev() of linux/kdev_t.h.
        let major = (device >> 8) & 0xfff;
        let minor = device & 0xff | (device >> 12) & 0xfff00;
        let kind = match mode & libc::S_IFMT {
            libc::S_IFCHR => Kind::Character(major, minor),
            _ => Kind::Block(major, minor),
        };
        let permissions = Mode::from_bits_truncate(mode & !self.umask);
        let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        match openat(dir, c".", flags, permissions) {
            Ok(new) => {
                self.keep(copy(new.as_fd())?, Some(kind))?;
                inode::give_name(new.as_fd(), dir, name)
            }
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::ENOENT) => {
                mknodat(dir, name, SFlag::S_IFREG, permissions, 0)?;
                let kept = self.keep_by_name(dir, name, Some(kind));
                if kept.is_err() {
                    let _ = unlinkat(dir, name, UnlinkatFlags::NoRemoveDir);
                }
                kept
            }
            Err(errno) => Err(errno),
        }
    }

    fn keep_by_name(&self, dir: BorrowedFd, name: &CStr, kind: Option<Kind>) -> Sys<()> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        self.keep(openat(dir, name, flags, Mode::empty())?, kind)
    }

    /// Remembers whose it is, and what in place of what it is.
    fn keep(&self, new: OwnedFd, kind: Option<Kind>) -> Sys<()> {
        let file = File::new(new)?;
        let truth = file.told();
        file.keep(Record {
            user: self.user,
            group: self.group,
            kind: kind.unwrap_or(truth.kind),
            ..truth
        })
    }
}

fn copy(fd: BorrowedFd) -> Sys<OwnedFd> {
    fd.try_clone_to_owned().map_err(|_| Errno::EMFILE)
}
