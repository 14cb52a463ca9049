//! What the kernel says in /proc and of /sys, proc(5): of processes, mounts,
//! namespaces and cgroups.

pub(crate) mod cgroup;
pub(crate) mod kernel;
pub(crate) mod mountinfo;
pub(crate) mod namespaces;
pub(crate) mod process;
pub(crate) mod setgroups;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use nix::errno::Errno;

use crate::sys::Sys;

/// What /proc did not tell, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Untold {
    /// "VERB OBJECT", as an error says it.
    pub(crate) what: String,
    pub(crate) errno: Errno,
}

impl Untold {
    /// A file that could not be read.
    pub(crate) fn reading(path: &str, error: io::Error) -> Untold {
        Untold {
            what: format!("read {path}"),
            errno: errno(error),
        }
    }
}

/// Longer than any file of the kernel's that tells of what is here: a hundred thousand
/// mounts, which is as many as a mount namespace may have, fit.
const MOST: u64 = 64 << 20;

/// A file of the kernel's, which has no size that could be asked for first, in
/// one read if it is as short as most are.
///
/// # Errors
/// EFBIG for one that is longer than any is: half of it would be taken for all.
pub(crate) fn bytes(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4096);
    let read = File::open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
    match read as u64 > MOST {
        true => Err(Errno::EFBIG.into()),
        false => Ok(bytes),
    }
}

/// The same as text. It may hold a name that somebody else chose: what of that
/// is no UTF-8 is replaced, and the rest counts.
pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let text = String::from_utf8(bytes(path)?);
    Ok(text.unwrap_or_else(|bytes| String::from_utf8_lossy(bytes.as_bytes()).into_owned()))
}

/// The number of an error of the standard library.
pub(crate) fn errno(error: io::Error) -> Errno {
    Errno::try_from(error).unwrap_or(Errno::EIO)
}

/// What /proc fails to tell of a process is not there, or not for us to see. Want of
/// descriptors or memory is another matter: it says nothing of the process.
pub(crate) fn if_there<T>(told: Sys<T>) -> Sys<Option<T>> {
    match told {
        Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) => Err(errno),
        told => Ok(told.ok()),
    }
}
