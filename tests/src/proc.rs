//! What /proc says about a process: every question a test asks about a
//! running container, answered from outside.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill as nix_kill};
use nix::unistd::Pid;

/// One second.
pub const SECOND: Duration = Duration::from_secs(1);

/// Waits up to `limit` until `done`; whether it was.
pub fn eventually(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

fn pid(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).expect("a process id"))
}

/// Sends a signal by number, real-time ones too; a process that is gone is
/// no error.
pub fn send(target: u32, signal: i32) {
    assert!(target > 1, "not a process that a test started");
    match Signal::try_from(signal) {
        Ok(signal) => drop(nix_kill(pid(target), signal)),
        Err(_) => {
            // nix knows no real-time signals.
            let kill = std::process::Command::new("kill")
                .args([format!("-{signal}"), target.to_string()])
                .status();
            drop(kill);
        }
    }
}

/// Sends SIGKILL.
pub fn kill(target: u32) {
    send(target, libc::SIGKILL);
}

/// Whether there is such a process, not counting one that has ended and
/// only waits to be reaped.
#[must_use]
pub fn alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// A file of the process's. Its name, which is in some, may be no text.
fn read(pid: u32, file: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The state and the parent of a process.
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = read(pid, "stat")?;
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// All processes of our process namespace.
pub fn all() -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The processes whose parent is `parent`.
#[must_use]
pub fn children(parent: u32) -> Vec<u32> {
    all()
        .into_iter()
        .filter(|&pid| stat(pid).is_some_and(|(_, ppid)| ppid == parent))
        .collect()
}

/// All processes below `parent`.
pub fn descendants(parent: u32) -> Vec<u32> {
    let mut found = children(parent);
    let mut next = 0;
    while next < found.len() {
        found.extend(children(found[next]));
        next += 1;
    }
    found
}

/// A field of /proc/PID/status, without the white space around it.
#[must_use]
pub fn status_field(pid: u32, field: &str) -> Option<String> {
    let text = read(pid, "status")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.map(|value| value.trim().to_owned())
}

/// A process's name.
#[must_use]
pub fn comm(pid: u32) -> String {
    let text = read(pid, "comm").unwrap_or_default();
    text.trim_end().to_owned()
}

/// The process's own id in its innermost namespace.
#[must_use]
pub fn ns_pid(pid: u32) -> Option<u32> {
    status_field(pid, "NSpid")?
        .split_whitespace()
        .last()?
        .parse()
        .ok()
}

/// A namespace of a process, as its link reads: `net:[4026531840]`.
///
/// # Panics
/// When it cannot be read.
#[must_use]
#[track_caller]
pub fn namespace(pid: u32, name: &str) -> String {
    let path = format!("/proc/{pid}/ns/{name}");
    let link = fs::read_link(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    link.to_string_lossy().into_owned()
}

/// The init of the container that `supervisor` runs: its child that is PID 1
/// of a namespace, once its environment shows that init's program runs.
#[must_use]
pub fn init_of(supervisor: u32) -> Option<u32> {
    children(supervisor).into_iter().find(|&child| {
        ns_pid(child) == Some(1)
            && status_field(child, "NSpid").is_some_and(|ids| ids.split_whitespace().count() > 1)
            && fs::read(format!("/proc/{child}/environ")).is_ok_and(|environ| {
                environ
                    .split(|&byte| byte == 0)
                    .any(|entry| entry == b"container=contain")
            })
    })
}
