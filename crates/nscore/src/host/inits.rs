//! The table of inits: how each kind is asked to stop, by the signal or the command
//! of its own manual. The console's advice is made from it as well.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What stops an init.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// This signal.
    Signal(libc::c_int),
    /// This command, run inside.
    Command(&'static [&'static str]),
}

/// What powers the machine off, by the name of the program that is PID 1 and
/// what that program was called.
pub(crate) fn method(program: &OsStr, called: &OsStr) -> Option<Method> {
    Some(match program.to_str()? {
        // systemd(1), "SIGNALS": SIGRTMIN+3 halts.
        "systemd" => Method::Signal(libc::SIGRTMIN() + 3),
        // busybox init.c: SIGUSR2 powers off. It is many programs.
        "busybox" if called == "init" || called == "linuxrc" => Method::Signal(libc::SIGUSR2),
        // finit(8), "SIGNALS": SIGUSR2 powers off.
        "finit" => Method::Signal(libc::SIGUSR2),
        // dinit(8), "SIGNALS": SIGTERM halts.
        "dinit" => Method::Signal(libc::SIGTERM),
        // s6-svscan(8): the machine's own script knows what to bring down; where
        // there is none, SIGTERM ends all services, and it is what follows.
        // runit(8), init(8) of sysvinit: no signal powers off by itself.
        "s6-svscan" | "runit" | "runit-init" | "init" => Method::Command(&["poweroff"]),
        // openrc-shutdown(8).
        "openrc-init" => Method::Command(&["openrc-shutdown", "--poweroff", "now"]),
        _ => return None,
    })
}

/// How the process is asked to stop, if it is an init of the table. Its
/// program is what the kernel says it runs, and only the name counts.
pub(crate) fn of(init: libc::pid_t) -> Option<Method> {
    let program = fs::read_link(format!("/proc/{init}/exe")).ok()?;
    let command = fs::read(format!("/proc/{init}/cmdline")).unwrap_or_default();
    let called = command.split(|byte| *byte == 0).next().unwrap_or_default();
    let called = Path::new(OsStr::from_bytes(called)).file_name()?;
    method(program.file_name()?, called)
}
