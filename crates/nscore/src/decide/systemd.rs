//! systemd as a container's init: how it is known, and what it expects of its
//! surroundings, <https://systemd.io/CONTAINER_INTERFACE/>.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::plan::action::Action;
use crate::plan::place::{At, Place};
use crate::spec::Spec;
use crate::spec::mounts::{self, Mount};

/// Whether the caller has something in mind for /run.
pub(crate) fn has_run(spec: &Spec) -> bool {
    let at_run = |mount: &Mount| mounts::clean(&mount.at) == Path::new(RUN);
    spec.mounts.iter().any(at_run)
}

/// With the memory file system that it would mount there itself.
pub(crate) fn with_run(spec: &Spec) -> Spec {
    let mut spec = spec.clone();
    spec.mounts.push(Mount::memory(RUN, None));
    spec
}

const RUN: &str = "/run";

/// Who we are, written there.
pub(crate) fn manager() -> Action {
    Action::WriteFile {
        dir: At(Place::Run, c"host"),
        name: c"container-manager",
        text: c"contain",
    }
}

/// What its machine id is made of where the root has none.
pub(crate) fn environment() -> Option<(OsString, OsString)> {
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").ok()?;
    Some(("container_uuid".into(), uuid.trim().into()))
}
