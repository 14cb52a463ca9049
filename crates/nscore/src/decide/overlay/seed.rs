//! What is put into the upper layers of a root that is somebody else's: its
//! files keep an owner whom the container does not know and cannot be copied up
//! by the kernel, but a directory that the upper layer has belongs to the
//! container, so that files there can be hidden and replaced.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

/// The trees that people change on a machine.
const TOPS: [&str; 5] = ["etc", "usr/local", "opt", "srv", "var"];

/// Where nobody keeps anything: made, but not looked into.
const BRIEF: &str = "var/tmp";

/// The one whose files are edited in place.
const COPIED: &str = "etc";

/// Enough for a server's /var, and what can be made in 20 ms.
const MAX_ENTRIES: usize = 2000;

/// Configuration is smaller; what is larger is data.
const MAX_FILE: u64 = 1 << 20;

/// Paths below the root, parents first.
#[derive(Debug, Default)]
pub(super) struct Seed {
    pub(super) dirs: Vec<(PathBuf, u32)>,
    pub(super) files: Vec<(PathBuf, u32)>,
    /// Directories among them that cannot be read.
    pub(super) hidden: Vec<PathBuf>,
}

impl Seed {
    /// Looks through the root, nearest directories first.
    pub(super) fn scan(root: &Path) -> Seed {
        let mut seed = Seed::default();
        let mut queue = VecDeque::new();
        for top in TOPS {
            let mut path = PathBuf::new();
            for part in Path::new(top) {
                path.push(part);
                let Some(mode) = directory_mode(&root.join(&path)) else {
                    break;
                };
                seed.dirs.push((path.clone(), mode));
                if path == Path::new(top) {
                    queue.push_back(path.clone());
                }
            }
        }
        while let Some(dir) = queue.pop_front() {
            seed.look(root, &dir, &mut queue);
        }
        seed
    }

    fn look(&mut self, root: &Path, dir: &Path, queue: &mut VecDeque<PathBuf>) {
        if !is_readable(&root.join(dir)) {
            return self.hidden.push(dir.to_path_buf());
        }
        // What vanishes or changes meanwhile is not there to be seeded.
        let entries = fs::read_dir(root.join(dir)).into_iter().flatten();
        for entry in entries.flatten() {
            let path = dir.join(entry.file_name());
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && self.dirs.len() < MAX_ENTRIES {
                if let Some(mode) = directory_mode(&root.join(&path)) {
                    self.dirs.push((path.clone(), mode));
                    if path != Path::new(BRIEF) {
                        queue.push_back(path);
                    }
                }
            } else if kind.is_file()
                && path.starts_with(COPIED)
                && self.files.len() < MAX_ENTRIES
                && let Some(mode) = small_file(&root.join(&path))
            {
                self.files.push((path, mode));
            }
        }
    }
}

/// Whether the caller may list it and go into it.
pub(super) fn is_readable(dir: &Path) -> bool {
    access(dir, AccessFlags::R_OK | AccessFlags::X_OK).is_ok()
}

/// The mode of a directory that is no link.
pub(super) fn directory_mode(path: &Path) -> Option<u32> {
    let status = fs::symlink_metadata(path).ok().filter(|s| s.is_dir())?;
    Some(status.permissions().mode() & 0o7777)
}

/// The mode for a copy of a file that is worth one. Who the copy belongs to
/// makes a set-id bit on it mean something else, so that is left out.
pub(super) fn small_file(path: &Path) -> Option<u32> {
    let status = fs::symlink_metadata(path).ok()?;
    let small = status.is_file() && status.len() < MAX_FILE;
    (small && access(path, AccessFlags::R_OK).is_ok()).then(|| status.permissions().mode() & 0o777)
}
