//! What a program of the host prints when it is asked.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use crate::sys::signal::Disposition;

/// What the program prints; None when it cannot be run or fails.
pub(crate) fn ask<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> Option<String> {
    // An ignored SIGCHLD would take away its status.
    let _children = Disposition::default_for(libc::SIGCHLD);
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let said = || String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(said)
}
