//! The table of inits: how each kind is asked to stop, by the signal or the command
//! of its own manual. What is in it is a machine's init as well, which gives its terminal
//! away (`host::machine`), and the page's list is made of it.

use std::ffi::OsStr;
use std::fs;

use crate::proc::process::comm;

use crate::host::binfmt::emulated::Emulated;

/// What stops an init.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// This signal.
    Signal(libc::c_int),
    /// This command, run inside.
    Command(&'static [&'static str]),
}

impl Method {
    /// The same for an init under QEMU, which gives its programs other realtime signals
    /// than those that arrive, and not all versions the same: see
    /// findings/qemu-user-real-time-signals.sh.
    fn emulated(self) -> Method {
        match self {
            Method::Signal(signal) if signal >= libc::SIGRTMIN() => Method::Command(&["poweroff"]),
            other => other,
        }
    }
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

/// How the process is asked to stop, if it is an init of the table. Only the names
/// count, and both are the kernel's word: that of the file that runs, and what it was
/// executed by. The process's own arguments are memory of the container's, which it
/// can make as long and as slow to read as it likes. Where the file is an emulator,
/// the name of the program that it emulates counts.
pub(crate) fn of(init: libc::pid_t, emulated: Option<&Emulated>) -> Option<Method> {
    by_file(init).or_else(|| {
        let (program, called) = emulated?.by(init)?;
        method(&program, &called).map(Method::emulated)
    })
}

fn by_file(init: libc::pid_t) -> Option<Method> {
    let program = fs::read_link(format!("/proc/{init}/exe")).ok()?;
    let called = comm(init)?;
    method(program.file_name()?, OsStr::new(&called))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its realtime signals would arrive as others.
    #[test]
    fn an_emulated_systemd_is_asked_by_its_command() {
        let stopped = |name: &str| method(name.as_ref(), "init".as_ref()).map(Method::emulated);
        let poweroff = Some(Method::Command(&["poweroff"]));
        assert_eq!(stopped("systemd"), poweroff);
        assert_eq!(stopped("runit"), poweroff);
        assert_eq!(stopped("busybox"), Some(Method::Signal(libc::SIGUSR2)));
        assert_eq!(stopped("qemu-aarch64-static"), None);
    }
}
