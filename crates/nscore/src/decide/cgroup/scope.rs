//! Whether systemd can be asked for a scope, and by which of its managers.

use std::path::PathBuf;

use crate::decide::cgroup::refusal::Refusal;
use crate::host::programs::find_helper;
use crate::plan::cgroup::Scope;

impl Scope {
    /// # Errors
    /// Nobody to ask for one.
    pub(crate) fn new() -> std::result::Result<Scope, Refusal> {
        let systemd_run = find_helper("systemd-run").ok_or(Refusal::NoSystemdRun)?;
        let uid = nix::unistd::geteuid();
        let runtime = if uid.is_root() {
            None
        } else {
            let known = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
            let usual = PathBuf::from(format!("/run/user/{uid}"));
            let runs = |dir: &PathBuf| dir.join("systemd/private").exists();
            let found = known.into_iter().chain([usual]).find(runs);
            Some(found.ok_or(Refusal::NoServiceManager)?)
        };
        Ok(Scope {
            systemd_run,
            runtime,
        })
    }
}
