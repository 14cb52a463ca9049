//! The command of `--outside`, decided.

use std::ffi::OsString;
use std::os::fd::RawFd;

/// The command, as it was asked for.
#[derive(Debug)]
pub(crate) struct Helper {
    pub(crate) text: OsString,
    pub(crate) inherited: Vec<RawFd>,
}
