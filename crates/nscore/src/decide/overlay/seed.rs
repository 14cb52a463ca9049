//! What is put into the upper layers of a root that is somebody else's: its
//! files keep an owner whom the container does not know and cannot be copied up
//! by the kernel, but a directory that the upper layer has belongs to the
//! container, so that files there can be hidden and replaced.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use nix::sys::stat::SFlag;

use crate::decide::below::{Below, join};

/// The trees that people change on a machine.
const TOPS: [&str; 5] = ["etc", "usr/local", "opt", "srv", "var"];

/// Where nobody keeps anything: made, but not looked into.
const BRIEF: &str = "var/tmp";

/// The one whose files are edited in place.
const COPIED: &str = "etc";

/// Enough for a server's /var, and what can be made in 20 ms.
const MAX_ENTRIES: usize = 2000;

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
    pub(super) fn scan(root: &Below) -> Seed {
        let mut seed = Seed::default();
        let mut queue = VecDeque::new();
        for top in TOPS {
            let mut path = PathBuf::new();
            for part in Path::new(top) {
                path.push(part);
                let Some(mode) = root.directory_mode(&path) else {
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

    fn look(&mut self, root: &Below, dir: &Path, queue: &mut VecDeque<PathBuf>) {
        let Some(listing) = root.list(dir) else {
            return self.hidden.push(dir.to_path_buf());
        };
        for (name, kind) in &listing.names {
            let path = join(dir, name);
            if *kind == SFlag::S_IFDIR && self.dirs.len() < MAX_ENTRIES {
                if let Some(mode) = listing.directory_mode(name) {
                    self.dirs.push((path.clone(), mode));
                    if path != Path::new(BRIEF) {
                        queue.push_back(path);
                    }
                }
            } else if *kind == SFlag::S_IFREG
                && path.starts_with(COPIED)
                && self.files.len() < MAX_ENTRIES
                && let Some(mode) = listing.small_file(name)
            {
                self.files.push((path, mode));
            }
        }
    }
}
