//! Processes as /proc shows them: where each belongs and what it is called. proc_pid(5).

use std::fs;

use crate::proc::{errno, if_there, read};
use crate::sys::Sys;

/// Of /proc/PID/status what tells where a process belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// 0 where the parent is in a PID namespace above ours.
    pub(crate) parent: libc::pid_t,
    /// The real user id.
    pub(crate) user: u32,
    /// Its ids from our PID namespace down to its own.
    pub(crate) pids: Vec<libc::pid_t>,
}

impl Status {
    /// None when there is no such process, or /proc hides it.
    pub(crate) fn of(pid: libc::pid_t) -> Sys<Option<Status>> {
        let text = read(format!("/proc/{pid}/status")).map_err(errno);
        Ok(if_there(text)?.and_then(|text| Status::read(&text)))
    }

    fn read(text: &str) -> Option<Status> {
        let field = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.map(str::split_whitespace)
        };
        Some(Status {
            parent: field("PPid:")?.next()?.parse().ok()?,
            user: field("Uid:")?.next()?.parse().ok()?,
            pids: field("NSpid:")?.map_while(|pid| pid.parse().ok()).collect(),
        })
    }

    /// Whether it is in our own PID namespace.
    pub(crate) fn is_beside_us(&self) -> bool {
        self.pids.len() == 1
    }

    /// Whether it is the first process of a PID namespace below ours.
    pub(crate) fn is_pid_one(&self) -> bool {
        !self.is_beside_us() && self.pids.last() == Some(&1)
    }
}

/// What a process is called, by itself or by the kernel after an exec.
pub(crate) fn comm(pid: libc::pid_t) -> Option<String> {
    let text = read(format!("/proc/{pid}/comm")).ok()?;
    Some(text.trim_end_matches('\n').to_owned())
}

/// All processes that /proc shows; ENOENT where no proc is mounted there.
pub(crate) fn processes() -> Sys<impl Iterator<Item = libc::pid_t>> {
    // It always shows the one that looks.
    fs::symlink_metadata("/proc/self").map_err(errno)?;
    let entries = fs::read_dir("/proc").map_err(errno)?.flatten();
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_status() {
        let status = |ids: &str| {
            let text =
                format!("Name:\tPPid: 7\\n\nPPid:\t12\nUid:\t1000\t0\t0\t0\nNSpid:\t{ids}\n");
            Status::read(&text).unwrap()
        };
        let outside = status("300");
        assert_eq!((outside.parent, outside.user), (12, 1000));
        assert!(outside.is_beside_us() && !outside.is_pid_one());
        assert!(!status("1").is_pid_one(), "the machine's own");
        assert!(status("300\t1").is_pid_one());
        assert!(!status("300\t4").is_pid_one() && !status("300\t4").is_beside_us());
        assert_eq!(Status::read("Name:\tx\n"), None);
    }

    #[test]
    fn reads_around_what_is_no_text() {
        let path = std::env::temp_dir().join(format!("procfs-{}", std::process::id()));
        fs::write(&path, b"Name:\t\xff\nPPid:\t12\nUid:\t0\nNSpid:\t300\t1\n").unwrap();
        let text = read(&path);
        fs::remove_file(&path).unwrap();
        assert!(Status::read(&text.unwrap()).unwrap().is_pid_one());
    }
}
