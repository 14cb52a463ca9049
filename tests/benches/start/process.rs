//! Programs to run, and running ones: never waited for without a limit, never
//! left behind.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sys::pidfd_open;

/// How long any one program may take.
pub const LIMIT: Duration = Duration::from_secs(30);

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command line and the name it has in the tables. The program is an absolute
/// path, so that no search is timed.
#[derive(Clone)]
pub struct Program {
    pub label: String,
    path: OsString,
    arguments: Vec<OsString>,
}

impl Program {
    pub fn new(label: &str, path: impl AsRef<Path>) -> Self {
        Self {
            label: label.into(),
            path: path.as_ref().into(),
            arguments: vec![],
        }
    }

    pub fn labelled(mut self, label: &str) -> Self {
        self.label = label.into();
        self
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().into());
        self
    }

    /// Adds the words of a line; none may contain a space of its own.
    pub fn args(mut self, line: &str) -> Self {
        self.arguments
            .extend(line.split_whitespace().map(OsString::from));
        self
    }

    /// With no input and no output.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).env_clear().env("PATH", PATH);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// One run that is not timed: an error says, in the program's own words, why it
    /// cannot take part.
    pub fn rehearse(&self, scratch: &Path) -> Result<()> {
        let complaints = scratch.join("stderr");
        let mut command = self.command();
        command.stderr(File::create(&complaints)?);
        let status = Running::start(&mut command)?.finish()?;
        let said = String::from_utf8_lossy(&fs::read(&complaints)?).into_owned();
        ensure!(
            status.success(),
            "{status}: {}",
            said.lines().next().unwrap_or("no message")
        );
        Ok(())
    }

    /// Wall time from before the fork until the program has been waited for.
    pub fn time(&self) -> Result<Duration> {
        let mut command = self.command();
        let start = Instant::now();
        let status = Running::start(&mut command)?.finish()?;
        let elapsed = start.elapsed();
        ensure!(
            status.success(),
            "{} failed in the middle: {status}",
            self.label
        );
        Ok(elapsed)
    }
}

/// A process of ours; dropping it ends it and what it started.
pub struct Running {
    child: Child,
    pidfd: OwnedFd,
    waited: bool,
}

impl Running {
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let pidfd = pidfd_open(child.id()).context("cannot open a pidfd")?;
        Ok(Self {
            child,
            pidfd,
            waited: false,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn finish(mut self) -> Result<ExitStatus> {
        if !readable(&self.pidfd, LIMIT)? {
            bail!("still running after {} s", LIMIT.as_secs());
        }
        self.waited = true;
        Ok(self.child.wait()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.waited {
            let pids = descendants(self.pid());
            // A PID already gone is what we want.
            for pid in pids.into_iter().chain([self.pid()]) {
                let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
            }
            let _ = self.child.wait();
        }
    }
}

pub fn readable(descriptor: impl AsFd, limit: Duration) -> Result<bool> {
    let timeout = PollTimeout::try_from(limit).context("limit too long for poll")?;
    let mut events = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut events, timeout)? > 0)
}

pub fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

fn descendants(pid: u32) -> Vec<u32> {
    let mut all = vec![];
    for child in children(pid) {
        all.extend(descendants(child));
        all.push(child);
    }
    all
}

/// A field of /proc/PID/status.
pub fn status_field(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}
