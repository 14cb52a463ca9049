//! What a running container says about itself: a sealed memfd that its
//! supervisor holds open. Nothing is on disk, so nothing goes stale, and only
//! who may trace the supervisor can read it.

use std::ffi::{CStr, OsString};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::NixPath;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::geteuid;

use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::plan::profile::{Profile, Terms};
use crate::proc;
use crate::spec::name::Name;
use crate::sys::descriptors::{self, SEALS};
use crate::sys::{Sys, path, process};

/// The memfd's name, and how /proc/PID/fd shows it.
const NAME: &CStr = c"contain";

const LINK: &str = "/memfd:contain (deleted)";

/// The first field: which fields to expect.
const VERSION: &str = "contain 1";

/// What one may take: anybody can publish one for others to read.
const MAX_SIZE: usize = 32 << 10;

/// What of a command, and of a network, is told; a mark says that there is more.
const MAX_COMMAND: usize = 16 << 10;
const MAX_NET: usize = 4 << 10;
const MORE: &str = "…";

/// What looking for the records of one user may cost whoever looks: a process can hold
/// descriptors without number that are called like one.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    time: Duration,
    bytes: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Allowance {
            time: Duration::from_secs(1),
            bytes: 16 << 20,
        }
    }
}

/// A container's own words. Fields are `NAME=VALUE` with a NUL after each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// init's process id, in the PID namespace of the supervisor.
    pub(crate) init: libc::pid_t,
    /// What inject finds it by.
    pub(crate) name: Option<Name>,
    /// When it was started, in seconds of CLOCK_BOOTTIME.
    pub(crate) started: i64,
    /// The root file system's path at the start.
    pub(crate) root: PathBuf,
    pub(crate) command: Vec<OsString>,
    /// The network, as `--net` names it.
    pub(crate) net: String,
    /// On what terms it is entered.
    pub(crate) terms: Terms,
    /// The user who made it, for a reader.
    pub(crate) owner: u32,
}

impl Record {
    /// Publishes the record of a container that is being started, to be sealed
    /// once it runs; it lasts as long as the descriptor. None where the kernel
    /// has no memfd: then inject cannot find the container, and all else works.
    pub(crate) fn publish(plan: &Plan, init: libc::pid_t) -> Result<Option<OwnedFd>> {
        let record = Record {
            init,
            name: plan.name.clone(),
            started: process::clocks().map_or(0, |(_, boottime)| boottime),
            root: plan.root.as_path().to_owned(),
            command: plan.command.clone(),
            net: plan.network.net.to_string(),
            terms: plan.life.terms,
            owner: geteuid().as_raw(),
        };
        let failed = |errno| Error::errno("publish the container's record", errno);
        let fd = match descriptors::memfd(NAME, false) {
            Err(Errno::ENOSYS) => return Ok(None),
            other => other.map_err(failed)?,
        };
        let mut file = fs::File::from(fd);
        file.write_all(&record.encode())
            .map_err(|error| Error::io("publish the container's record", &error))?;
        Ok(Some(file.into()))
    }

    /// Seals it: the container runs.
    pub(crate) fn seal(record: &OwnedFd) -> Result<()> {
        fcntl(record, FcntlArg::F_ADD_SEALS(SEALS))
            .map(drop)
            .map_err(|errno| Error::errno("publish the container's record", errno))
    }

    /// The record that process `pid` holds; None when it holds none of its owner's.
    ///
    /// # Errors
    /// EACCES when its descriptors are not ours to see, ENOENT when it is gone,
    /// EAGAIN while its container is being started, EDQUOT when the search has used
    /// up what it may.
    pub(crate) fn of(pid: libc::pid_t, allowance: &mut Allowance) -> Sys<Option<Record>> {
        let begun = Instant::now();
        let time = allowance.time;
        let has_time = || match begun.elapsed() < time {
            true => Ok(()),
            false => Err(Errno::EDQUOT),
        };
        let found = Record::search(pid, &mut allowance.bytes, has_time);
        allowance.time = time.saturating_sub(begun.elapsed());
        found
    }

    fn search(
        pid: libc::pid_t,
        bytes: &mut usize,
        has_time: impl Fn() -> Sys<()>,
    ) -> Sys<Option<Record>> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut dir = Dir::open(format!("/proc/{pid}/fd").as_str(), flags, Mode::empty())?;
        // Whoever the process runs as, or root where that has changed.
        let owner = fstat(&dir)?.st_uid;
        // One of the first that a supervisor opens. To ask for a few names is
        // cheaper than to have them all listed.
        for fd in 3..8 {
            has_time()?;
            if let Some(record) = Record::behind(&dir, fd.to_string().as_str(), owner, bytes)? {
                return Ok(Some(record));
            }
        }
        // Listed first: the kernel lists as many as fit at once.
        let mut entries = Vec::new();
        for entry in dir.iter() {
            has_time()?;
            entries.push(entry?);
        }
        for entry in entries {
            has_time()?;
            if let Some(record) = Record::behind(&dir, entry.file_name(), owner, bytes)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// What this name of a descriptor in /proc/PID/fd stands for, if for a record of
    /// this user's own making: a process takes along what it holds when a set-id
    /// program makes it another's.
    fn behind<P: NixPath + ?Sized>(
        fds: &Dir,
        name: &P,
        owner: u32,
        allowance: &mut usize,
    ) -> Sys<Option<Record>> {
        if !readlinkat(fds, name).is_ok_and(|link| link == LINK) {
            return Ok(None);
        }
        // Anybody can show us anything by this name, a pipe or a device for example. To
        // open that could keep us waiting, or do worse.
        let found = path::open_at(fds, name, OFlag::O_PATH)?;
        let status = fstat(&found)?;
        if path::kind(status.st_mode) != SFlag::S_IFREG || status.st_uid != owner {
            return Ok(None);
        }
        // Somebody's lease on it would keep us waiting too, open(2).
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
        let again = format!("/proc/self/fd/{}", found.as_raw_fd());
        let file = match path::open(again.as_str(), flags) {
            Err(Errno::EWOULDBLOCK) => return Ok(None),
            other => fs::File::from(other?),
        };
        let Ok(seals) = fcntl(&file, FcntlArg::F_GET_SEALS) else {
            return Ok(None);
        };
        if seals & SEALS.bits() != SEALS.bits() {
            return Err(Errno::EAGAIN);
        }
        // It can no longer grow, but may have since.
        let size = usize::try_from(fstat(&file)?.st_size).unwrap_or(usize::MAX);
        if size > MAX_SIZE {
            return Ok(None);
        }
        *allowance = allowance.checked_sub(size).ok_or(Errno::EDQUOT)?;
        let mut bytes = Vec::with_capacity(size);
        let limit = MAX_SIZE as u64;
        file.take(limit)
            .read_to_end(&mut bytes)
            .map_err(proc::errno)?;
        let record = Record::decode(&bytes);
        Ok(record.map(|record| Record { owner, ..record }))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let (init, started) = (self.init.to_string(), self.started.to_string());
        let mut bytes = Vec::new();
        let mut field = |name: &str, value: &[u8]| {
            bytes.extend([name.as_bytes(), b"=", value, b"\0"].concat());
        };
        field("version", VERSION.as_bytes());
        field("profile", self.terms.profile.to_string().as_bytes());
        field("init", init.as_bytes());
        field("started", started.as_bytes());
        if let Some(name) = &self.name {
            field("name", name.as_str().as_bytes());
        }
        field("root", self.root.as_os_str().as_bytes());
        field("net", told(&self.net, MAX_NET).as_bytes());
        field(
            "cgroup",
            if self.terms.cgroup {
                b"own"
            } else {
                b"caller's"
            },
        );
        let mut room = MAX_COMMAND;
        for argument in &self.command {
            // Each costs its name, so that many short ones count as well.
            let cost = argument.len() + "argument=".len();
            let Some(left) = room.checked_sub(cost) else {
                field("argument", MORE.as_bytes());
                break;
            };
            room = left;
            field("argument", argument.as_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Record> {
        let mut fields = bytes
            .strip_suffix(b"\0")?
            .split(|byte| *byte == 0)
            .map(|field| {
                let at = field.iter().position(|byte| *byte == b'=')?;
                Some((&field[..at], &field[at + 1..]))
            });
        if fields.next()?? != (b"version", VERSION.as_bytes()) {
            return None;
        }
        // Without a profile nobody could join as the container is.
        let (b"profile", profile) = fields.next()?? else {
            return None;
        };
        let mut record = Record {
            init: 0,
            name: None,
            started: 0,
            terms: Terms {
                cgroup: false,
                profile: Profile::from_record(std::str::from_utf8(profile).ok()?)?,
            },
            root: PathBuf::new(),
            command: Vec::new(),
            net: String::new(),
            owner: 0,
        };
        for field in fields {
            let (name, value) = field?;
            let text = || OsString::from_vec(value.to_vec());
            let word = || std::str::from_utf8(value).ok();
            match name {
                b"init" => record.init = word()?.parse().ok()?,
                b"started" => record.started = word()?.parse().ok()?,
                // One that is no name is not of our making.
                b"name" => record.name = Some(word()?.parse().ok()?),
                b"root" => record.root = text().into(),
                b"net" => record.net = String::from_utf8(value.to_vec()).ok()?,
                b"cgroup" => record.terms.cgroup = value == b"own",
                b"argument" => record.command.push(text()),
                _ => {}
            }
        }
        (record.init > 0).then_some(record)
    }
}

/// The beginning of a text that is too long.
fn told(text: &str, most: usize) -> String {
    match text.len() <= most {
        true => text.to_string(),
        false => text.chars().take(most).collect::<String>() + MORE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::profile::{Profile, Terms};

    #[test]
    fn says_what_it_was_told() {
        let record = Record {
            init: 4711,
            name: Some("web".parse().unwrap()),
            started: 77,
            root: "/tmp/a\nb=c".into(),
            command: vec!["/bin/sh".into(), "-c".into(), "".into(), "a=b".into()],
            net: "bridge:br0".into(),
            terms: Terms {
                cgroup: true,
                profile: Profile::from_record("1,+strict").unwrap(),
            },
            owner: 0,
        };
        assert_eq!(Record::decode(&record.encode()), Some(record));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for bytes in [
            &b""[..],
            b"\0",
            b"version=contain 2\0init=1\0",
            b"init=1\0",
            b"version=contain 1\0init=1\0",
            b"version=contain 1\0profile=1,other\0init=1\0",
            b"version=contain 1\0profile=1,off\0init=x\0",
            b"version=contain 1\0profile=1,off\0init=1\0name=a b\0",
            b"version=contain 1\0profile=1,off\0init=1\0name=a\x1b[31m\0",
            b"version=contain 1\0profile=1,off\0init\0",
        ] {
            assert_eq!(Record::decode(bytes), None, "{bytes:?}");
        }
    }
}
