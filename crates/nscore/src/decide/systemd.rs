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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::machine::is_systemd;
    use crate::spec::Spec;

    #[test]
    fn follows_links_inside_the_root() {
        let root = std::env::temp_dir().join(format!("nscore-systemd-{}", std::process::id()));
        let make = |dir: &str| fs::create_dir_all(root.join(dir)).unwrap();
        make("usr/lib/systemd");
        make("usr/sbin");
        make("usr/bin");
        fs::write(root.join("usr/lib/systemd/systemd"), "").unwrap();
        fs::write(root.join("usr/bin/systemd"), "").unwrap();
        let link = |to: &str, from: &str| std::os::unix::fs::symlink(to, root.join(from)).unwrap();
        link("usr/sbin", "sbin");
        link("/lib/systemd/systemd", "usr/sbin/init");
        link("usr/lib", "lib");
        link("/usr/bin/true", "usr/bin/init");
        let is = |words: &[&str]| {
            let command: Vec<OsString> = words.iter().map(OsString::from).collect();
            is_systemd(&Spec::new(&root), &command)
        };
        assert!(is(&["/sbin/init"]) && is(&["/sbin/init", "3"]) && is(&["init"]));
        assert!(is(&["/lib/systemd/systemd"]) && is(&["../sbin/init"]));
        for other in ["/bin/sh", "/usr/bin/init", "/no/init", "", "/usr"] {
            assert!(!is(&[other]), "{other}");
        }
        assert!(!is(&[]));
        let mut under_init = Spec::new(&root);
        under_init.init = true;
        assert!(!is_systemd(&under_init, &["/sbin/init".into()]));
        fs::remove_dir_all(root).unwrap();
    }
}
