//! Where the suite keeps what it builds: one directory a machine and caller,
//! outside the repository, readable by every user under test.

use std::fs::{self, DirBuilder, File, Permissions};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::{Flock, FlockArg};

use crate::user::User;

/// Whether the suite runs as root, so can become every kind of user.
#[must_use]
pub fn host_is_root() -> bool {
    nix::unistd::Uid::current().is_root()
}

/// The suite's own directory, `/var/tmp/contain-tests-UID`.
///
/// # Panics
/// When it cannot be made, or belongs to someone else.
#[must_use]
pub fn store() -> &'static Path {
    static STORE: OnceLock<PathBuf> = OnceLock::new();
    STORE.get_or_init(|| {
        let uid = nix::unistd::Uid::current();
        let path = PathBuf::from(format!("/var/tmp/contain-tests-{uid}"));
        make_dir(&path);
        // Anybody may make names in /var/tmp: what is run from here is ours.
        let meta = fs::symlink_metadata(&path).expect("stat of the store");
        assert!(meta.is_dir(), "{} is not a directory", path.display());
        let owner = std::os::unix::fs::MetadataExt::uid(&meta);
        assert_eq!(
            owner,
            uid.as_raw(),
            "{} belongs to someone else",
            path.display()
        );
        path
    })
}

fn make_dir(path: &Path) {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
}

/// Something built once a machine: `make` fills the path it is given, which
/// becomes `STORE/NAME-HASH` when it returns. A changed recipe has another
/// hash; of tests in parallel one builds and the others wait.
pub fn built(name: &str, recipe: &impl std::hash::Hash, make: impl FnOnce(&Path)) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    recipe.hash(&mut hasher);
    let path = store().join(format!("{name}-{:016x}", hasher.finish()));
    let lock = File::create(store().join(format!("{name}.lock"))).expect("cannot open a lock");
    let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno);
    let _lock = lock.expect("cannot take a lock");
    if !path.exists() {
        let partial = store().join(format!("{name}.partial"));
        remove(&partial);
        make(&partial);
        fs::rename(&partial, &path).expect("cannot rename what was built");
    }
    path
}

/// A fresh empty directory that belongs to `user`, under the store. The
/// caller removes it.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn scratch_dir(user: &User) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let parent = store().join("scratch");
    make_dir(&parent);
    let path = parent.join(format!("{}-{}-{number}", user.name, std::process::id()));
    remove(&path);
    make_dir(&path);
    if host_is_root() {
        chown(&path, Some(user.uid), Some(user.gid)).expect("cannot give a directory away");
    }
    path
}

/// Writes a file by way of install(1): were it written here, a fork of a
/// parallel test would hold it open for writing, and to run it would fail as
/// "text file busy".
///
/// # Panics
/// When it cannot.
#[track_caller]
pub fn install(bytes: &[u8], to: &Path, mode: u32) {
    let mut install = Command::new("install");
    install
        .arg("-m")
        .arg(format!("{mode:o}"))
        .arg("/dev/stdin")
        .arg(to);
    let mut child = install.stdin(Stdio::piped()).spawn().expect("install");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(bytes).expect("cannot write to install");
    drop(stdin);
    assert!(
        child.wait().expect("install").success(),
        "cannot write {}",
        to.display()
    );
}

/// Removes a file or a tree, if there is one. Without root a tree may hold
/// files of delegated ids, which only the program under test can remove.
pub fn remove(path: &Path) {
    if path.symlink_metadata().is_err() {
        return;
    }
    let gone = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    if gone.is_err() && !host_is_root() {
        let pseudo = crate::programs::path("pseudo");
        let _ = std::process::Command::new(pseudo)
            .args(["rm", "-rf", "--"])
            .arg(path)
            .status();
    }
}
