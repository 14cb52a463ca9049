//! Root file systems to start containers in: busybox's, and ones made by
//! hand. Each test gets a copy of its own, removed when it ends.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::store::{built, host_is_root, install, remove, scratch_dir};
use crate::traces;
use crate::user::User;

const BUSYBOX: &str = "/bin/busybox";

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/:/bin/sh
user:x:1000:1000:user:/home/user:/bin/sh
";

const GROUP: &str = "root:x:0:\ndaemon:x:1:\ntty:x:5:\nuser:x:1000:\n";

/// A root file system that one test owns.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    /// The container root's ids, seen from outside.
    owner: (u32, u32),
}

impl AsRef<Path> for Root {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<OsStr> for Root {
    fn as_ref(&self) -> &OsStr {
        self.path.as_os_str()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        traces::clear(&self.path);
        remove(&self.path);
    }
}

/// An empty root that belongs to the user's container root.
#[must_use]
pub fn empty_root(user: &User) -> Root {
    let path = scratch_dir(user);
    let ids = ["uid", "gid"].map(|which| user.outside(which, 0).expect("0 is mapped"));
    let root = Root {
        path,
        owner: (ids[0], ids[1]),
    };
    root.own("");
    root
}

/// A fresh root of busybox: every applet in /bin, /sbin, /usr/bin and
/// /usr/sbin; no /dev, /proc or /sys.
///
/// # Panics
/// When busybox is missing.
#[must_use]
pub fn root(user: &User) -> Root {
    let root = empty_root(user);
    let base = built(&format!("busybox-{}", user.name), &recipe(), |dir| {
        make_busybox(dir);
        give(dir, root.owner);
    });
    let mut cp = Command::new("cp");
    let status = cp
        .args(["-a", "-T"])
        .arg(&base)
        .arg(&root.path)
        .status()
        .expect("cp");
    assert!(status.success(), "cannot copy {}", base.display());
    root
}

/// A root that holds the given host programs, each with the libraries that
/// ldd names, and nothing else.
#[must_use]
pub fn hand_made(user: &User, programs: &[&str]) -> Root {
    let root = empty_root(user);
    for program in programs {
        root.install(program, program);
        for library in libraries(program) {
            root.install(&library, &library);
        }
    }
    root
}

/// The libraries, loader included, that ldd names for a host program.
///
/// # Panics
/// When ldd cannot be run.
#[must_use]
pub fn libraries(program: &str) -> Vec<String> {
    let out = Command::new("ldd").arg(program).output().expect("ldd");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(str::to_owned)
        .collect()
}

impl Root {
    /// A path of the root, seen from outside.
    #[must_use]
    pub fn at(&self, path: &str) -> PathBuf {
        self.path.join(path.trim_start_matches('/'))
    }

    /// Gives a path to the container's root.
    fn own(&self, path: &str) {
        if host_is_root() {
            let (uid, gid) = self.owner;
            lchown(self.at(path), Some(uid), Some(gid)).expect("chown");
        }
    }

    /// Makes a directory and those above it.
    ///
    /// # Panics
    /// When it cannot.
    #[track_caller]
    pub fn mkdir(&self, path: &str) -> &Self {
        let mut so_far = String::new();
        for part in path.trim_matches('/').split('/') {
            so_far = format!("{so_far}/{part}");
            if !self.at(&so_far).is_dir() {
                fs::create_dir(self.at(&so_far)).expect("mkdir");
                self.own(&so_far);
            }
        }
        self
    }

    /// Writes a file of the container's root.
    ///
    /// # Panics
    /// When it cannot.
    #[track_caller]
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>, mode: u32) -> &Self {
        if let Some((parent, _)) = path.trim_matches('/').rsplit_once('/') {
            self.mkdir(parent);
        }
        install(bytes.as_ref(), &self.at(path), mode);
        self.own(path);
        self.chmod(path, mode)
    }

    /// Copies a host file, owned by the container's root and executable.
    ///
    /// # Panics
    /// When it cannot.
    #[track_caller]
    pub fn install(&self, from: &str, to: &str) -> &Self {
        let bytes = fs::read(from).unwrap_or_else(|error| panic!("{from}: {error}"));
        self.write(to, bytes, 0o755)
    }

    /// Makes a symbolic link.
    ///
    /// # Panics
    /// When it cannot.
    #[track_caller]
    pub fn link(&self, target: &str, path: &str) -> &Self {
        symlink(target, self.at(path)).expect("symlink");
        self.own(path);
        self
    }

    /// Changes permissions.
    ///
    /// # Panics
    /// When it cannot.
    #[track_caller]
    pub fn chmod(&self, path: &str, mode: u32) -> &Self {
        fs::set_permissions(self.at(path), Permissions::from_mode(mode)).expect("chmod");
        self
    }

    /// Gives a file to an id of the container other than root's, then sets
    /// its permissions, which a change of owner may clear.
    ///
    /// # Panics
    /// When it cannot, or the id is not mapped.
    #[track_caller]
    pub fn give(&self, path: &str, user: &User, id: u32, mode: u32) -> &Self {
        let uid = user.outside("uid", id).expect("a mapped id");
        let gid = user.outside("gid", id).expect("a mapped id");
        lchown(self.at(path), Some(uid), Some(gid)).expect("chown");
        self.chmod(path, mode)
    }
}

fn recipe() -> impl std::hash::Hash {
    let busybox = fs::metadata(BUSYBOX)
        .map(|meta| meta.len())
        .unwrap_or_default();
    (PASSWD, GROUP, busybox, "1")
}

fn make_busybox(dir: &Path) {
    for name in [
        "", "bin", "etc", "home", "mnt", "root", "run", "tmp", "usr", "var",
    ] {
        fs::create_dir(dir.join(name)).expect("mkdir");
        fs::set_permissions(dir.join(name), Permissions::from_mode(0o755)).expect("chmod");
    }
    fs::set_permissions(dir.join("tmp"), Permissions::from_mode(0o1777)).expect("chmod");
    for (target, name) in [
        ("bin", "sbin"),
        ("../bin", "usr/bin"),
        ("../bin", "usr/sbin"),
    ] {
        symlink(target, dir.join(name)).expect("symlink");
    }
    fs::write(dir.join("etc/passwd"), PASSWD).expect("write");
    fs::write(dir.join("etc/group"), GROUP).expect("write");
    let busybox = fs::read(BUSYBOX).expect("busybox-static is not installed");
    install(&busybox, &dir.join("bin/busybox"), 0o755);
    let list = Command::new(BUSYBOX)
        .arg("--list")
        .output()
        .expect("busybox")
        .stdout;
    for applet in String::from_utf8_lossy(&list)
        .lines()
        .filter(|&name| name != "busybox")
    {
        symlink("busybox", dir.join("bin").join(applet)).expect("symlink");
    }
}

/// Gives a whole tree to the container's root.
fn give(dir: &Path, (uid, gid): (u32, u32)) {
    if host_is_root() {
        let mut chown = Command::new("chown");
        let status = chown
            .arg("-hR")
            .arg(format!("{uid}:{gid}"))
            .arg(dir)
            .status();
        assert!(
            status.expect("chown").success(),
            "cannot chown {}",
            dir.display()
        );
    }
}
