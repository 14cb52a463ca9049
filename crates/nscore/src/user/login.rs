//! What the container's passwd(5) and group(5) say of a user, read by the
//! process that becomes that user. The files are the container's: opened by
//! descriptor and below its root, regular, of bounded size, and never handed to
//! the name service, whose modules would be the container's as well. Nothing
//! here allocates.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{SFlag, fstat};
use nix::unistd;

use super::{Id, NO_GROUP, NOT_A_FILE, NOT_LISTED, Step, UserSpec};
use crate::exec::SHELL;
use crate::sys::{Sys, ids, path, process};

/// A file larger than this is none that logins are kept in.
const MAX_FILE: usize = 16 << 20;

/// More groups than anybody is in.
const MAX_GROUPS: usize = 1024;

const MAX_PATH: usize = libc::PATH_MAX as usize;

/// A word of a file may be this long; one that is longer is cut, and is too
/// long for any use as well.
type Word = Text<{ MAX_PATH + 16 }>;

/// Bytes in a room of fixed size, with a NUL behind them.
struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    const EMPTY: Text<N> = Text {
        bytes: [0; N],
        len: 0,
    };

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn set(&mut self, parts: [&[u8]; 3]) -> Sys<()> {
        self.clear();
        for part in parts {
            let end = self.len + part.len();
            // The last byte stays NUL.
            if end >= N {
                return Err(Errno::ENAMETOOLONG);
            }
            self.bytes[self.len..end].copy_from_slice(part);
            self.len = end;
        }
        Ok(())
    }

    /// Adds a byte while there is room.
    fn push(&mut self, byte: u8) {
        if self.len + 1 < N {
            self.bytes[self.len] = byte;
            self.len += 1;
        }
    }

    fn clear(&mut self) {
        self.bytes[..self.len].fill(0);
        self.len = 0;
    }
}

/// A user of the container.
pub(crate) struct Login {
    uid: u32,
    gid: u32,
    name: Text<{ super::MAX_NAME + 1 }>,
    groups: [u32; MAX_GROUPS],
    group_count: usize,
    /// `NAME=VALUE` for each name of `LOGIN`; empty where there is no value.
    variables: [Text<{ MAX_PATH + 8 }>; 4],
}

impl Step {
    /// Takes the step. `drop_groups` says that setgroups(2) is allowed.
    pub(crate) fn perform(
        &self,
        login: &mut Option<Login>,
        drop_groups: bool,
        terminal: Option<BorrowedFd>,
    ) -> Sys<()> {
        match (self, login) {
            (Step::FindUser(spec), login) => *login = Some(Login::find(spec)?),
            (Step::FindGroups(spec), Some(login)) => login.find_groups(spec)?,
            (Step::Become(_), Some(login)) => login.become_user(drop_groups, terminal)?,
            (Step::EnterDirectory(path), _) => {
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
                unistd::fchdir(path::open_inside(path, flags)?)?;
            }
            (Step::FindGroups(_) | Step::Become(_), None) => return Err(NOT_LISTED),
        }
        Ok(())
    }
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

    /// The assignments for the variables of `LOGIN`, where the user has one.
    pub(crate) fn variables(&self) -> [Option<&CStr>; 4] {
        self.variables.each_ref().map(|text| {
            let text = CStr::from_bytes_until_nul(&text.bytes).ok()?;
            (!text.is_empty()).then_some(text)
        })
    }

    /// The first line of the user. An id needs none, if a group is given.
    fn find(spec: &UserSpec) -> Sys<Login> {
        let mut login = Login::NOBODY;
        match (login.read_passwd(&spec.user), &spec.user, &spec.group) {
            (Ok(true), ..) => Ok(login),
            (Ok(false), Id::Name(_), _) => Err(NOT_LISTED),
            (Ok(false) | Err(Errno::ENOENT | Errno::ENOTDIR), Id::Number(id), Some(_)) => {
                let mut login = Login::NOBODY;
                login.uid = *id;
                login.variables[0].set([b"HOME=", b"/", b""])?;
                Ok(login)
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
    fn find_groups(&mut self, spec: &UserSpec) -> Sys<()> {
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

    fn become_user(&self, drop_groups: bool, terminal: Option<BorrowedFd>) -> Sys<()> {
        if let Some(terminal) = terminal {
            unistd::fchown(terminal, Some(self.uid.into()), None)?;
        }
        let groups = drop_groups.then(|| &self.groups[..self.group_count]);
        ids::become_ids(self.uid, self.gid, groups)?;
        // The change of ids has cleared it.
        process::die_with_parent()
    }
}

fn number(word: &[u8]) -> Option<u32> {
    let digits = word.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(word).ok().filter(|_| digits)?;
    text.parse().ok().filter(|id| *id < u32::MAX)
}

/// The words of a file of lines with fields between colons.
struct Words {
    file: std::os::fd::OwnedFd,
    /// The field that is a list with commas.
    list: Option<usize>,
    chunk: [u8; 4096],
    chunk_len: usize,
    at: usize,
    read: usize,
    field: usize,
    /// The word last read.
    word: Word,
}

/// Where in its line a word was.
struct At {
    field: usize,
    ends_line: bool,
}

fn words(file: &CStr, list: Option<usize>) -> Sys<Words> {
    // O_NONBLOCK: the container may have put a pipe or device there.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = path::open_inside(file, flags)?;
    let kind = SFlag::from_bits_truncate(fstat(&file)?.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFREG {
        return Err(NOT_A_FILE);
    }
    Ok(Words {
        file,
        list,
        chunk: [0; 4096],
        chunk_len: 0,
        at: 0,
        read: 0,
        field: 0,
        word: Word::EMPTY,
    })
}

impl Words {
    /// Reads the next word; None at the end of the file.
    fn next(&mut self) -> Sys<Option<At>> {
        self.word.clear();
        loop {
            let field = self.field;
            let (next, ends_line) = match self.byte()? {
                Some(b':') => (field + 1, false),
                Some(b',') if self.list == Some(field) => (field, false),
                Some(b'\n') => (0, true),
                Some(byte) => {
                    self.word.push(byte);
                    continue;
                }
                // The last line may lack its end.
                None if field > 0 || self.word.len > 0 => (0, true),
                None => return Ok(None),
            };
            self.field = next;
            return Ok(Some(At { field, ends_line }));
        }
    }

    fn byte(&mut self) -> Sys<Option<u8>> {
        if self.at == self.chunk_len {
            (self.chunk_len, self.at) = (unistd::read(&self.file, &mut self.chunk)?, 0);
            self.read += self.chunk_len;
            if self.read > MAX_FILE {
                return Err(Errno::EFBIG);
            }
        }
        let byte = self.chunk[..self.chunk_len].get(self.at).copied();
        self.at += 1;
        Ok(byte)
    }
}
