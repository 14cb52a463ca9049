//! What the container's passwd(5) and group(5) say of a user, read by the
//! process that becomes that user, and never by way of the name service, whose
//! modules would be the container's. Nothing here allocates.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::unistd;

use crate::exec::passwd::{MAX_PATH, Text, number, words};
use crate::spec::SHELL;
use crate::spec::user::{Id, MAX_NAME, UserSpec};
use crate::sys::{Sys, descriptors, ids, process};

/// What a step of the user fails with where no system call has.
pub(crate) const NOT_LISTED: Errno = Errno::ESRCH;

pub(crate) const NO_GROUP: Errno = Errno::ENODATA;

/// More groups than anybody is in.
const MAX_GROUPS: usize = 1024;

/// A user of the container.
pub(crate) struct Login {
    uid: u32,
    gid: u32,
    name: Text<{ MAX_NAME + 1 }>,
    groups: [u32; MAX_GROUPS],
    group_count: usize,
    /// `NAME=VALUE` for each name of `LOGIN`; empty where there is no value.
    variables: [Text<{ MAX_PATH + 8 }>; 4],
}

impl Login {
    const NOBODY: Login = Login {
        uid: 0,
        gid: 0,
        name: Text::EMPTY,
        groups: [0; MAX_GROUPS],
        group_count: 0,
        variables: [const { Text::EMPTY }; 4],
    };

    /// Room for one.
    pub(crate) fn room() -> Box<Login> {
        Box::new(Login::NOBODY)
    }

    /// The assignments for the variables of `LOGIN`, where the user has one.
    pub(crate) fn variables(&self) -> [Option<&CStr>; 4] {
        self.variables
            .each_ref()
            .map(|text| text.as_c_str().filter(|text| !text.is_empty()))
    }

    /// The first line of the user. An id needs none, if a group is given.
    pub(crate) fn find(&mut self, spec: &UserSpec) -> Sys<()> {
        match (self.read_passwd(&spec.user), &spec.user, &spec.group) {
            (Ok(true), ..) => Ok(()),
            (Ok(false), Id::Name(_), _) => Err(NOT_LISTED),
            (Ok(false) | Err(Errno::ENOENT | Errno::ENOTDIR), Id::Number(id), Some(_)) => {
                // Without what is there of the file's last line.
                *self = Login::NOBODY;
                self.uid = *id;
                self.variables[0].set([b"HOME=", b"/", b""])
            }
            (Ok(false) | Err(Errno::ENOENT | Errno::ENOTDIR), Id::Number(_), None) => Err(NO_GROUP),
            (Err(errno), ..) => Err(errno),
        }
    }

    /// Fills in what the file says; whether it knows the user.
    fn read_passwd(&mut self, wanted: &Id) -> Sys<bool> {
        let mut words = words(c"/etc/passwd", None)?;
        // The line so far: ids that are numbers, and no word too long for us.
        let (mut user, mut group, mut fits) = (None, None, true);
        while let Some(at) = words.next()? {
            let word = words.word.as_bytes();
            let [home, _, _, shell] = &mut self.variables;
            match at.field {
                0 => {
                    (user, group) = (None, None);
                    fits = self.name.set([word, b"", b""]).is_ok();
                    home.set([b"HOME=", b"/", b""])?;
                    shell.set([b"SHELL=", SHELL.as_bytes(), b""])?;
                }
                2 => user = number(word),
                3 => group = number(word),
                5 if !word.is_empty() => fits &= home.set([b"HOME=", word, b""]).is_ok(),
                6 if !word.is_empty() => fits &= shell.set([b"SHELL=", word, b""]).is_ok(),
                _ => {}
            }
            let (true, Some(uid), Some(gid)) = (at.ends_line, user, group) else {
                continue;
            };
            let known = match wanted {
                Id::Number(id) => uid == *id,
                Id::Name(name) => self.name.as_bytes() == name.as_bytes(),
            };
            if known && !fits {
                return Err(Errno::ENAMETOOLONG);
            }
            if known {
                (self.uid, self.gid) = (uid, gid);
                let [_, user, logname, _] = &mut self.variables;
                user.set([b"USER=", self.name.as_bytes(), b""])?;
                logname.set([b"LOGNAME=", self.name.as_bytes(), b""])?;
                return Ok(true);
            }
            self.name.clear();
        }
        Ok(false)
    }

    /// The group asked for, and all that list the user.
    pub(crate) fn find_groups(&mut self, spec: &UserSpec) -> Sys<()> {
        let named = match &spec.group {
            Some(Id::Number(id)) => {
                self.gid = *id;
                None
            }
            Some(Id::Name(name)) => Some(name.as_bytes()),
            None => None,
        };
        match (self.read_group(named), named) {
            (Ok(Some(gid)), _) => self.gid = gid,
            (Ok(None), Some(_)) => return Err(NOT_LISTED),
            (Ok(None), None) | (Err(Errno::ENOENT | Errno::ENOTDIR), None) => {}
            (Err(errno), _) => return Err(errno),
        }
        self.add_group(self.gid)
    }

    /// Adds the groups that list the user; the id of the group `named`.
    fn read_group(&mut self, named: Option<&[u8]>) -> Sys<Option<u32>> {
        let mut words = words(c"/etc/group", Some(3))?;
        let (mut is_named, mut gid, mut found) = (false, None, None);
        while let Some(at) = words.next()? {
            let word = words.word.as_bytes();
            match at.field {
                0 => (is_named, gid) = (Some(word) == named, None),
                2 => {
                    gid = number(word);
                    if is_named {
                        found = found.or(gid);
                    }
                }
                3 if !word.is_empty() && word == self.name.as_bytes() => {
                    gid.map_or(Ok(()), |gid| self.add_group(gid))?;
                }
                _ => {}
            }
        }
        Ok(found)
    }

    fn add_group(&mut self, gid: u32) -> Sys<()> {
        if self.groups[..self.group_count].contains(&gid) {
            return Ok(());
        }
        let slot = self.groups.get_mut(self.group_count);
        *slot.ok_or(Errno::E2BIG)? = gid;
        self.group_count += 1;
        Ok(())
    }

    pub(crate) fn become_user(
        &self,
        may_set_groups: bool,
        terminal: Option<BorrowedFd>,
    ) -> Sys<()> {
        if let Some(terminal) = terminal {
            unistd::fchown(terminal, Some(self.uid.into()), None)?;
        }
        // Those that are container root's: the caller's own, or given to it.
        descriptors::give_pipes((self.uid, self.gid), |owner| owner != 0 || self.uid == 0);
        let groups = may_set_groups.then(|| &self.groups[..self.group_count]);
        ids::become_ids(self.uid, self.gid, groups)?;
        // The change of ids has cleared it.
        process::die_with_parent()
    }
}
