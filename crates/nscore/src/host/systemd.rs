//! Whether systemd manages this machine, and what of its cgroups is ours: cgroups(7),
//! systemd's "Control Group APIs and Delegation".

use std::path::{Path, PathBuf};

use crate::proc;
use crate::sys::cgroup;

/// The beginning of the names of our scopes; a process id follows.
pub(crate) const UNIT: &str = "contain-";

/// Whether systemd runs this machine, sd_booted(3): not merely one whose files
/// a container sees.
pub(crate) fn systemd_runs() -> bool {
    let first = proc::read("/proc/1/comm");
    Path::new("/run/systemd/system").is_dir() && first.map_or(true, |name| name == "systemd\n")
}

/// The cgroup of the unit that we are in, if systemd has handed it over.
pub(crate) fn delegated_unit(own: &Path, top: &Path) -> Option<PathBuf> {
    let unit = own
        .ancestors()
        .take_while(|dir| dir.starts_with(top))
        .find(|dir| {
            let name = dir.extension();
            name.is_some_and(|name| name == "scope" || name == "service")
        })?;
    let delegated = is_ours(unit) || cgroup::is_delegated(unit);
    delegated.then(|| unit.to_path_buf())
}

/// Whether a cgroup is, or is in, the scope that was made for this process: a
/// second would be no better.
pub(crate) fn is_ours(dir: &Path) -> bool {
    let ours = format!("{UNIT}{}-", std::process::id());
    dir.iter()
        .filter_map(|name| name.to_str())
        .any(|name| name.starts_with(&ours) && name.ends_with(".scope"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_scope() {
        let pid = std::process::id();
        let own = format!("/sys/fs/cgroup/user.slice/contain-{pid}-1f.scope");
        assert!(is_ours(Path::new(&own)));
        assert!(is_ours(Path::new(&own).join("supervisor").as_path()));
        for other in [
            format!("/sys/fs/cgroup/contain-{pid}1-1f.scope"),
            format!("/sys/fs/cgroup/contain-{pid}-1f"),
            "/sys/fs/cgroup/session-1.scope".to_string(),
        ] {
            assert!(!is_ours(Path::new(&other)), "{other}");
        }
    }
}
