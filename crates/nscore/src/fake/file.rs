//! A file that is asked about, by a descriptor of ours, and its record: read, kept
//! and taken away.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::fake::mark;
use crate::fake::record::{KEY, Kind, LONGEST, Record};
use crate::spec::maps::IdMap;
use crate::sys::{Sys, inode};

/// The ids that files of this user namespace can have in truth.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    pub(crate) user: IdMap,
    pub(crate) group: IdMap,
}

impl Ids {
    /// None where there are so many that nothing need be told: those of a usual
    /// delegation, or of root.
    pub(crate) fn to_tell(user: &IdMap, group: &IdMap) -> Option<Ids> {
        const USUAL: u64 = 65536;
        let few = user.count() < USUAL || group.count() < USUAL;
        few.then(|| Ids {
            user: user.clone(),
            group: group.clone(),
        })
    }
}

/// A file, found.
pub(super) struct File {
    fd: OwnedFd,
    pub(super) status: libc::stat,
}

impl File {
    /// `fd` may be one that is open for nothing.
    pub(super) fn new(fd: OwnedFd) -> Sys<File> {
        let status = inode::status(fd.as_fd())?;
        Ok(File { fd, status })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn kind(&self) -> Kind {
        Kind::of(self.status.st_mode)
    }

    /// Whether its record would be the program's to write: the file of somebody else
    /// may be open to all for writing, and is still not ours.
    pub(super) fn is_ours(&self, ids: &Ids) -> bool {
        is_ours(&self.status, ids)
    }

    /// What is told of it in place of the truth. A record that cannot be read, or
    /// that is none, tells nothing.
    pub(super) fn record(&self) -> Option<Record> {
        let get = |key: &_, value: &mut [u8]| inode::attribute(self.fd(), key, value);
        record(&self.status, get)
    }

    /// What there is to tell: the record, else the truth.
    pub(super) fn told(&self) -> Record {
        self.record().unwrap_or(Record {
            user: self.status.st_uid,
            group: self.status.st_gid,
            mode: self.status.st_mode & 0o7777,
            kind: self.kind(),
        })
    }

    /// Keeps what is told, or, where that is the truth, nothing.
    pub(super) fn keep(&self, told: Record) -> Sys<()> {
        let truth = (self.status.st_uid, self.status.st_gid);
        let plain = truth == (told.user, told.group) && !told.kind.is_device();
        match self.kind() {
            Kind::File | Kind::Directory if plain => inode::remove_attribute(self.fd(), KEY),
            Kind::File | Kind::Directory => {
                inode::set_attribute(self.fd(), KEY, told.to_string().as_bytes())
            }
            Kind::Link | Kind::Pipe | Kind::Socket if plain => match self.record() {
                Some(_) => inode::remove_attribute(self.fd(), mark::KEY),
                None => Ok(()),
            },
            Kind::Link | Kind::Pipe | Kind::Socket => {
                let value = mark::write(told.user, told.group);
                inode::set_attribute(self.fd(), mark::KEY, &value)
            }
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    /// Looks again, after a change.
    pub(super) fn refresh(&mut self) -> Sys<()> {
        self.status = inode::status(self.fd())?;
        Ok(())
    }
}

pub(super) fn is_ours(status: &libc::stat, ids: &Ids) -> bool {
    ids.user.has_inside(status.st_uid)
}

/// The record of a file of this status, whose attributes `get` reads.
pub(super) fn record(
    status: &libc::stat,
    get: impl Fn(&CStr, &mut [u8]) -> Sys<usize>,
) -> Option<Record> {
    // Permissions are changed by others too, and by lists of access.
    let mode = status.st_mode & 0o7777;
    match Kind::of(status.st_mode) {
        kind @ (Kind::File | Kind::Directory) => {
            let mut value = [0; LONGEST];
            let len = get(KEY, &mut value).ok()?;
            let record = Record::parse(&value[..len])?;
            let device = record.kind.is_device() && kind == Kind::File;
            Some(Record {
                mode,
                kind: if device { record.kind } else { kind },
                ..record
            })
        }
        kind @ (Kind::Link | Kind::Pipe | Kind::Socket) => {
            let mut value = [0; mark::SIZE];
            let len = get(mark::KEY, &mut value).ok()?;
            let (user, group) = mark::read(&value[..len])?;
            Some(Record {
                user,
                group,
                mode,
                kind,
            })
        }
        _ => None,
    }
}
