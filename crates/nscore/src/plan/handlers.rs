//! The steps that give a container handlers of its own, as data.

use std::ffi::{CString, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use crate::error::hint::advice::Op;
use crate::error::text::quoted;

/// One step.
#[derive(Debug)]
pub(crate) enum HandlerStep {
    /// A binfmt_misc of the container's own, from here on the one that counts there.
    /// The supervisor gets a descriptor of it: its handlers are gone with the last mount.
    Instance,
    /// One more handler.
    Register(Registration),
    /// Show the handlers where programs look for them.
    Show,
}

impl HandlerStep {
    /// What the hint table knows a failure of this step as.
    pub(crate) fn op(&self) -> Op {
        match self {
            HandlerStep::Instance => Op::Handlers,
            HandlerStep::Register(_) => Op::Register,
            HandlerStep::Show => Op::Other,
        }
    }
}

/// A handler, for the kernel.
#[derive(Debug)]
pub(crate) struct Registration {
    /// What is written to `register`.
    pub(crate) line: Vec<u8>,
    /// It may fail: it is one of many, and not the one that init needs.
    pub(crate) optional: bool,
    /// The emulator's file, and its name, where the container could change that file:
    /// then it gets a copy, and the line has the name in it alone.
    pub(crate) copy: Option<(CString, CString)>,
    /// What it is, for people.
    pub(crate) what: HandlerWhat,
}

#[derive(Debug)]
pub(crate) enum HandlerWhat {
    /// An emulator's path, and what it emulates.
    Emulator(CString, &'static str),
    /// The name of a handler of the host's.
    Hosts(CString),
}

fn shown(text: &CString) -> String {
    quoted(OsStr::from_bytes(text.to_bytes()))
}

/// Reads as "VERB OBJECT"; the alternate form adds details.
impl fmt::Display for HandlerStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandlerStep::Instance => write!(f, "create the container's own binfmt_misc"),
            HandlerStep::Show => write!(f, "show it read-only on /proc/sys/fs/binfmt_misc"),
            HandlerStep::Register(registration) => registration.fmt(f),
        }
    }
}

impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            HandlerWhat::Emulator(path, words) => {
                write!(f, "register emulator {} for {words}", shown(path))?;
            }
            HandlerWhat::Hosts(name) => write!(f, "register the host's handler {}", shown(name))?,
        }
        if f.alternate() {
            f.write_str(if self.copy.is_some() { ", a copy" } else { "" })?;
            f.write_str(if self.optional {
                ", if the kernel takes it"
            } else {
                ""
            })?;
        }
        Ok(())
    }
}
