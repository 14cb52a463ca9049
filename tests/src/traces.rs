//! What a container could leave behind: processes and mounts that belong to
//! one root file system or to one test.
//!
//! Tests run in parallel, so each looks for its own: a process counts when
//! its command line or its mount table names the root's path, or when its
//! environment carries the test's mark.

use std::fs;
use std::path::Path;

use crate::proc::{SECOND, alive, all, comm, eventually, kill};

/// The environment variable that every command of a test carries.
pub const MARK: &str = "CONTAIN_TEST_MARK";

/// The running test's own mark.
pub fn mark() -> String {
    let thread = std::thread::current();
    format!("{}-{}", std::process::id(), thread.name().unwrap_or("?"))
}

/// Whether the process carries the running test's mark, or is in a namespace
/// of processes other than ours: for clearing up, not for judging.
pub fn is_ours(pid: u32) -> bool {
    carries_mark(pid)
        || crate::proc::status_field(pid, "NSpid").is_some_and(|ids| ids.contains('\t'))
}

fn carries_mark(pid: u32) -> bool {
    let wanted = format!("{MARK}={}", mark());
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environ
        .split(|&byte| byte == 0)
        .any(|entry| entry == wanted.as_bytes())
}

/// The processes whose command line or mount table names the path.
fn naming(path: &str) -> Vec<u32> {
    let names = |pid: u32, file: &str| {
        let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&text).contains(path)
    };
    let ours = |pid| names(pid, "cmdline") || names(pid, "mountinfo");
    others().filter(|&pid| ours(pid)).collect()
}

fn others() -> impl Iterator<Item = u32> {
    all()
        .into_iter()
        .filter(|&pid| pid != std::process::id() && alive(pid))
}

/// The processes of the containers of `root`, and those of this test.
fn processes(path: &str) -> Vec<u32> {
    let mut found = naming(path);
    found.extend(others().filter(|&pid| carries_mark(pid)));
    found.sort_unstable();
    found.dedup();
    found
}

/// Ends what a failed test has left running in `root`.
pub fn clear(root: &Path) {
    naming(&root.to_string_lossy()).into_iter().for_each(kill);
}

/// What is left of the containers of `root`, in words; empty when nothing is.
#[must_use]
pub fn traces(root: &Path) -> Vec<String> {
    let path = root.to_string_lossy();
    let mut found: Vec<String> = processes(&path)
        .into_iter()
        .map(|pid| format!("process {pid} ({})", comm(pid)))
        .collect();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    found.extend(
        mounts
            .lines()
            .filter(|line| line.contains(&*path))
            .map(str::to_owned),
    );
    found
}

/// Asserts that within a second nothing is left of the containers of `root`,
/// and clears up what is.
///
/// # Panics
/// When something is.
#[track_caller]
pub fn assert_no_traces(root: impl AsRef<Path>) {
    let root = root.as_ref();
    if eventually(SECOND, || traces(root).is_empty()) {
        return;
    }
    let left = traces(root);
    processes(&root.to_string_lossy())
        .into_iter()
        .for_each(kill);
    assert!(
        left.is_empty(),
        "left behind by {}: {left:?}",
        root.display()
    );
}
