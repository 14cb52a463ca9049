//! How each kind of init is asked to stop: by the signal or the command of its
//! own manual, and by the caller's signal where nothing better is known.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::str::FromStr;

use nix::fcntl::{OFlag, open};
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

use crate::child;
use crate::digits::digits;
use crate::error::{Error, Result};
use crate::harden;
use crate::join;
use crate::process::Process;
use crate::record::Terms;
use crate::sys::clone::{self, Fork};
use crate::sys::{descriptors, process};

/// A signal by name or number: TERM, SIGTERM, 15, RTMIN+3. See signal(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopSignal(i32);

impl StopSignal {
    /// Its number on this machine.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }
}

impl FromStr for StopSignal {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<StopSignal, String> {
        let name = text.to_ascii_uppercase();
        let name = name.strip_prefix("SIG").unwrap_or(&name);
        let offset = |rest: &str| digits::<u8>(rest).map(i32::from);
        let number = if let Ok(signal) = Signal::from_str(&format!("SIG{name}")) {
            Some(signal as i32)
        } else if let Some(rest) = name.strip_prefix("RTMIN+") {
            offset(rest).map(|above| libc::SIGRTMIN() + above)
        } else if let Some(rest) = name.strip_prefix("RTMAX-") {
            offset(rest).map(|below| libc::SIGRTMAX() - below)
        } else {
            match name {
                "RTMIN" => Some(libc::SIGRTMIN()),
                "RTMAX" => Some(libc::SIGRTMAX()),
                number => offset(number),
            }
        };
        match number {
            Some(number) if (1..=libc::SIGRTMAX()).contains(&number) => Ok(StopSignal(number)),
            _ => Err("it is no signal, see signal(7)".to_string()),
        }
    }
}

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

/// Starts the command in the container of `init`, on its terms, with no input and
/// no output. The process returned ends with status 0 when the command did.
#[allow(unsafe_code)]
pub(crate) fn start(command: &[&str], init: &Process, terms: Terms) -> Result<Process> {
    let failed = |errno| Error::errno("stop the container", errno);
    let command: Vec<OsString> = command.iter().map(OsString::from).collect();
    // SAFETY: this process has one thread, see clone::fork.
    match unsafe { clone::fork(CloneFlags::empty(), libc::SIGCHLD) }.map_err(failed)? {
        Fork::Child => {
            process::rename(child::NAME);
            let silent =
                process::die_with_parent().is_ok() && silence().is_ok() && harden::resume().is_ok();
            let ended =
                silent && join::run_inside(init, terms, &command).is_ok_and(|status| status == 0);
            process::exit(i32::from(!ended))
        }
        Fork::Parent { pid, pidfd } => Ok(Process::new(pid, pidfd)),
    }
}

/// The caller's standard streams are not for what stops the container.
fn silence() -> crate::sys::Sys<()> {
    use std::os::fd::AsFd as _;
    let null: OwnedFd = open(
        c"/dev/null",
        OFlag::O_RDWR | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    (0..3).try_for_each(|stream| descriptors::make_stream(null.as_fd(), stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_and_number() {
        let number = |text: &str| text.parse::<StopSignal>().map(StopSignal::number);
        for (text, signal) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigterm", 15),
            ("15", 15),
            ("RTMIN+3", libc::SIGRTMIN() + 3),
            ("SIGRTMAX-1", libc::SIGRTMAX() - 1),
            ("RTMIN", libc::SIGRTMIN()),
        ] {
            assert_eq!(number(text), Ok(signal), "{text}");
        }
        for text in [
            "", "0", "65", "-1", "NOPE", "RTMIN+99", "SIG", "TERM ", "+15", "RTMIN++3", "RTMAX-+1",
        ] {
            assert!(number(text).is_err(), "{text}");
        }
    }
}
