//! The three programs under test, copied to where every user can run them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::store::{built, install};

const NAMES: [&str; 3] = ["contain", "pseudo", "inject"];

/// The path of one of the programs under test.
///
/// # Panics
/// When they have not been built.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(copied).join(name)
}

/// A copy in the store: the checkout may be below a directory that ordinary
/// users cannot enter.
fn copied() -> PathBuf {
    let source = source();
    let recipe = NAMES.map(|name| {
        let path = source.join(name);
        let meta = fs::metadata(&path).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; build it with cargo build --release",
                path.display()
            )
        });
        (path, meta.len(), meta.mtime(), meta.mtime_nsec())
    });
    built("programs", &recipe, |dir| {
        fs::create_dir(dir).expect("cannot make the programs' directory");
        for name in NAMES {
            let bytes = fs::read(source.join(name)).expect("cannot read a program");
            install(&bytes, &dir.join(name), 0o755);
        }
        fs::set_permissions(dir, Permissions::from_mode(0o755)).expect("chmod");
    })
}

/// `CONTAIN_UNDER_TEST`, else the release directory of the target that this
/// very test was built for.
fn source() -> PathBuf {
    if let Some(dir) = std::env::var_os("CONTAIN_UNDER_TEST") {
        return PathBuf::from(dir);
    }
    // TARGET/TRIPLE/debug/deps/test-hash, or without the triple.
    let test = std::env::current_exe().expect("no path of this test");
    let profile = test.ancestors().nth(2).unwrap_or(Path::new("."));
    profile.with_file_name("release")
}
