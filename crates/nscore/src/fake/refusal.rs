//! Files that can have no record.

use std::os::fd::BorrowedFd;
use std::sync::Mutex;

use nix::errno::Errno;
use nix::sys::statfs::{self, FsType, fstatfs};

use crate::error::text::quoted;
use crate::fake::asker::Asker;
use crate::sys::notify::Answer;
use crate::sys::{Sys, inode};

/// <linux/magic.h>: pipes and sockets without a name.
const PIPEFS: FsType = FsType(0x5049_5045);

const SOCKFS: FsType = FsType(0x534f_434b);

/// What has been said of file systems, each once.
pub(super) struct Refusals {
    program: &'static str,
    told: Mutex<Vec<String>>,
}

impl Refusals {
    /// The complaints are this program's.
    pub(super) fn of(program: &'static str) -> Refusals {
        Refusals {
            program,
            told: Mutex::new(Vec::new()),
        }
    }

    /// The answer to a change of owner here that cannot be kept.
    pub(super) fn answer(&self, asker: &Asker, file: BorrowedFd) -> Sys<Answer> {
        match fstatfs(file)?.filesystem_type() {
            // Nothing of these stays, and programs give away their terminals and pipes.
            PIPEFS | SOCKFS | statfs::DEVPTS_SUPER_MAGIC => return Ok(Answer::Value(0)),
            statfs::PROC_SUPER_MAGIC | statfs::SYSFS_MAGIC => return Ok(Answer::Continue),
            _ => {}
        }
        let name = name(asker, file).unwrap_or_else(|| "this file system".to_owned());
        if self.is_news(&name) {
            let program = self.program;
            asker.complain(&format!(
                "{program}: cannot remember owners on {}: it has no extended attributes of \
                 users\nhint: work below a directory of another file system",
                quoted(&name)
            ));
        }
        Err(Errno::EOPNOTSUPP)
    }

    /// Whether nothing has been said of it yet.
    fn is_news(&self, name: &str) -> bool {
        let told = self.told.lock();
        let mut told = told.unwrap_or_else(std::sync::PoisonError::into_inner);
        let news = !told.iter().any(|known| known == name);
        if news {
            told.push(name.to_owned());
        }
        news
    }
}

/// What kind of file system it is on, proc_pid_mountinfo(5).
fn name(asker: &Asker, file: BorrowedFd) -> Option<String> {
    let (mount, _) = inode::whereabouts(file).ok()?;
    let mounts = asker.text("mountinfo")?;
    let of_mount = |line: &&str| line.split(' ').next() == Some(&mount.to_string());
    let line = mounts.lines().find(of_mount)?;
    let (_, kind) = line.split_once(" - ")?;
    kind.split(' ').next().map(str::to_owned)
}
