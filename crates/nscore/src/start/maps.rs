//! How a map reaches the kernel: written by us, or by newuidmap(1) and
//! newgidmap(1), which are privileged to write the ids delegated to the caller.

use std::ffi::CStr;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use nix::fcntl::OFlag;
use nix::unistd;

use crate::error::hint::advice::Op;
use crate::error::text::quoted;
use crate::error::{Error, Result};
use crate::host::accounts;
use crate::plan::maps::{MapPlan, MapWriter, Maps};
use crate::sys::path;

impl Maps {
    /// Writes both maps of process `pid`; helpers run side by side.
    pub(crate) fn write(&self, pid: libc::pid_t) -> Result<()> {
        let group = self.group.start(pid)?;
        let user = self.user.start(pid);
        group.finish()?;
        user?.finish()
    }
}

/// A helper that is at work, or none.
pub(crate) struct Writing {
    helper: Option<(Child, String)>,
}

impl Writing {
    /// Waits for the helper.
    ///
    /// # Errors
    /// What the helper said of its failure.
    pub(crate) fn finish(self) -> Result<()> {
        let Some((mut child, what)) = self.helper else {
            return Ok(());
        };
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            // What it said serves the message alone; its status decides.
            let _ = stderr.read_to_string(&mut said);
        }
        let status = child
            .wait()
            .map_err(|error| Error::io(what.clone(), &error))?;
        if status.success() {
            return Ok(());
        }
        let line = said.lines().next().unwrap_or("the helper failed");
        let hint = other_group(line);
        Err(Error::new(what, quoted(line.trim_end_matches('.'))).with_any_hint(hint))
    }
}

/// Why newgidmap takes a caller for another: it looks at the primary group.
fn other_group(said: &str) -> Option<String> {
    let group = accounts::primary_group(unistd::getuid().as_raw())?;
    let other = group != unistd::getgid().as_raw() && said.contains("owned by a different user");
    other.then(|| {
        format!(
            "your group is not the one of /etc/passwd: start it under group {group}, or have \
             GRANT_AUX_GROUP_SUBIDS yes in /etc/login.defs"
        )
    })
}

/// One write: the kernel takes a map in a single write only. Nothing is allocated
/// where it succeeds: the child waits for this, and what we share with it is
/// copied page by page.
fn put(pid: libc::pid_t, file: &str, text: &str, what: impl Fn() -> String) -> Result<()> {
    let mut path = [0; 32];
    // The last byte stays NUL, and nothing is as long as that.
    let _ = write!(&mut path[..31], "/proc/{pid}/{file}");
    let path = CStr::from_bytes_until_nul(&path).unwrap_or_default();
    path::open(path, OFlag::O_WRONLY)
        .and_then(|file| unistd::write(&file, text.as_bytes()))
        .map(drop)
        .map_err(|errno| Error::system(Op::Map, what(), errno))
}

impl MapPlan {
    /// Writes the map of process `pid`, or starts the helper that does.
    pub(crate) fn start(&self, pid: libc::pid_t) -> Result<Writing> {
        let put_map = || put(pid, self.file(), &self.text, || self.what());
        match &self.writer {
            MapWriter::Direct => put_map()?,
            MapWriter::DirectWithoutGroups => {
                let what = || "deny setgroups in the container".to_string();
                put(pid, "setgroups", "deny", what)?;
                put_map()?;
            }
            MapWriter::Helper(path) => {
                let mut command = Command::new(path);
                command.arg(pid.to_string());
                for e in self.map.extents() {
                    command.args([e.inside, e.outside, e.count].map(|id| id.to_string()));
                }
                command
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::piped());
                let run = || format!("run {}", quoted(path));
                let child = command
                    .spawn()
                    .map_err(|error| Error::spawn(run(), &error))?;
                return Ok(Writing {
                    helper: Some((child, self.what())),
                });
            }
        }
        Ok(Writing { helper: None })
    }
}
