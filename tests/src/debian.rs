//! Debian: tar balls made once a machine, and a root of each user's with runit,
//! unpacked by the pseudo under test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use crate::run::Cmd;
use crate::store::{built, host_is_root, scratch_dir, store};
use crate::user::{As, User};

/// The packages of the root, besides mmdebstrap's smallest set.
pub const INCLUDE: &str = "--include=runit,runit-init,procps,iproute2";

/// The options of mmdebstrap that make the root.
const RECIPE: [&str; 3] = ["--variant=minbase", INCLUDE, "bookworm"];

/// A user's Debian root; held by one test at a time.
pub struct Debian {
    path: PathBuf,
    _lock: Flock<File>,
}

impl AsRef<Path> for Debian {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<std::ffi::OsStr> for Debian {
    fn as_ref(&self) -> &std::ffi::OsStr {
        self.path.as_os_str()
    }
}

/// The tar ball with runit.
///
/// # Errors
/// Why there is none, as a skip records it.
///
/// # Panics
/// When mmdebstrap fails.
pub fn debian_tar() -> Result<PathBuf, String> {
    tar("debian.tar", &RECIPE)
}

/// A tar ball of this name; made by mmdebstrap as root, the first time.
pub(crate) fn tar(name: &str, recipe: &[&str]) -> Result<PathBuf, String> {
    if !host_is_root() {
        let made = std::fs::read_dir("/var/tmp/contain-tests-0")
            .ok()
            .and_then(|mut entries| {
                entries.find_map(|entry| {
                    let entry = entry.ok()?;
                    entry
                        .file_name()
                        .to_str()?
                        .starts_with(&format!("{name}-"))
                        .then(|| entry.path())
                })
            });
        return made.ok_or_else(|| format!("only root makes the tar ball {name}"));
    }
    Ok(built(name, &recipe, |tar| {
        let mut mmdebstrap = Command::new("timeout");
        mmdebstrap.args([
            "--kill-after=10",
            "600",
            "mmdebstrap",
            "--quiet",
            "--format=tar",
        ]);
        mmdebstrap.args(recipe).arg(tar).stdin(Stdio::null());
        let status = mmdebstrap.status().expect("mmdebstrap is not installed");
        assert!(status.success(), "mmdebstrap: {status}");
    }))
}

/// `pseudo tar -x` of the tar ball into DIR, as the transcript has
/// it. With one id only, every file is the caller's.
pub fn unpack(user: &User, tar: &Path, dir: &Path) -> Cmd {
    let cmd = user
        .pseudo()
        .cwd(dir)
        .args(["tar", "-x", "--exclude=./dev/*", "-f"])
        .arg(tar);
    let cmd = if user.many_ids() {
        cmd
    } else {
        cmd.arg("--no-same-owner")
    };
    cmd.limit(Duration::from_secs(180))
}

/// The user's Debian root, unpacked the first time; waits for other tests
/// that use it.
///
/// # Errors
/// Why there is none, as a skip records it.
///
/// # Panics
/// When it cannot be unpacked.
pub fn debian(user: &User) -> Result<Debian, String> {
    let tar = debian_tar()?;
    let lock = File::create(store().join(format!("debian-{}.use", user.name)));
    let lock = Flock::lock(lock.expect("cannot open a lock"), FlockArg::LockExclusive);
    let lock = lock
        .map_err(|(_, errno)| errno)
        .expect("cannot take a lock");
    let recipe = (&tar, crate::programs::path("pseudo"), "1");
    let path = built(&format!("debian-{}", user.name), &recipe, |partial| {
        let dir = scratch_dir(user);
        if user.kind == As::Root {
            // The container's root is no id that may write root's directory.
            let id = user.outside("uid", 0);
            std::os::unix::fs::chown(&dir, id, id).expect("chown");
        }
        unpack(user, &tar, &dir).run().ok();
        std::fs::rename(dir, partial).expect("rename");
    });
    Ok(Debian { path, _lock: lock })
}
