//! What of the whole machine could grow: mounts, files in memory, cgroups,
//! terminals and open files, before and after. Processes have names to go by, so
//! [`assert_no_traces`](crate::assert_no_traces) looks for them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::proc::{SECOND, eventually};

/// What was counted at one moment.
#[derive(Debug, PartialEq, Eq)]
pub struct Census {
    mounts: BTreeSet<String>,
    files: BTreeSet<String>,
    cgroups: BTreeSet<String>,
    terminals: u64,
    open: u64,
}

/// Programs come and go on any machine, with open files by the dozen.
const USUAL_FILES: u64 = 500;

impl Census {
    /// Counts.
    ///
    /// # Panics
    /// When the machine does not say.
    #[must_use]
    pub fn take() -> Self {
        let names = |dir: &str| -> Vec<String> {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.path().display().to_string())
                .collect()
        };
        let mut cgroups = BTreeSet::new();
        walk(Path::new("/sys/fs/cgroup"), &mut cgroups);
        Self {
            mounts: read("/proc/self/mountinfo")
                .lines()
                .map(str::to_owned)
                .collect(),
            files: ["/tmp", "/dev/shm", "/run", "/var/run", "/dev/mqueue"]
                .iter()
                .flat_map(|dir| names(dir))
                .collect(),
            cgroups,
            terminals: first_number("/proc/sys/kernel/pty/nr"),
            open: first_number("/proc/sys/fs/file-nr"),
        }
    }

    /// What `later` has that this has not.
    #[must_use]
    pub fn grown(&self, later: &Self) -> Vec<String> {
        let sets = [
            (&self.mounts, &later.mounts),
            (&self.files, &later.files),
            (&self.cgroups, &later.cgroups),
        ];
        let new = sets.into_iter().flat_map(|(old, new)| new.difference(old));
        let mut all: Vec<String> = new.cloned().collect();
        if later.terminals > self.terminals {
            all.push(format!("{} terminals", later.terminals - self.terminals));
        }
        if later.open > self.open + USUAL_FILES {
            all.push(format!("{} open files", later.open - self.open));
        }
        all
    }

    /// Asserts that nothing of the machine grows by `round`. Others use it too,
    /// so what is new after one round may be theirs; what we leave behind is left
    /// behind by each.
    ///
    /// # Panics
    /// When three rounds have left something.
    #[track_caller]
    pub fn unchanged_by(mut round: impl FnMut()) {
        let mut grown = Vec::new();
        for _ in 0..3 {
            let before = Self::take();
            round();
            let none_left = || {
                grown = before.grown(&Self::take());
                grown.is_empty()
            };
            if eventually(5 * SECOND, none_left) {
                return;
            }
        }
        panic!("left behind: {grown:?}");
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn first_number(path: &str) -> u64 {
    let text = read(path);
    let number = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("no number in {path}"))
}

fn walk(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.insert(entry.path().display().to_string());
            walk(&entry.path(), found);
        }
    }
}
