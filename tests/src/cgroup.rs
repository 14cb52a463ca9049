//! A cgroup of a test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::proc::{SECOND, eventually};

/// An empty cgroup, removed when dropped.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// One that has this file, of either version. None where there is none such, or
    /// it is not ours to make.
    #[must_use]
    pub fn with(file: &str) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tests-{}-{number}", std::process::id());
        let (controller, _) = file.split_once('.')?;
        let tops = ["", "unified", controller].map(|top| Path::new("/sys/fs/cgroup").join(top));
        let tops = tops.iter().filter(|top| top.join("cgroup.procs").exists());
        let mut made = tops.filter_map(|top| {
            let dir = top.join(&name);
            fs::create_dir(&dir).ok().map(|()| Self(dir))
        });
        made.find(|cgroup| cgroup.0.join(file).exists())
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// For [`Cmd::setup`](crate::Cmd::setup): the command runs in it.
    #[must_use]
    pub fn enter(&self) -> String {
        format!("echo $$ >{}/cgroup.procs\n", self.0.display())
    }

    /// The same, after this is written to one of its files.
    #[must_use]
    pub fn enter_with(&self, file: &str, value: u32) -> String {
        let dir = self.0.display();
        format!("echo {value} >{dir}/{file}\n{}", self.enter())
    }

    /// Removes it; whether nothing is in it any more. What has ended may take a
    /// moment to be gone.
    pub fn remove(&self) -> bool {
        eventually(SECOND, || fs::remove_dir(&self.0).is_ok())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.0.exists() {
            self.remove();
        }
    }
}
