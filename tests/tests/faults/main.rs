//! Each system call of a start made to fail once: the start says what it could
//! not do and leaves nothing behind, or init finds all as it is without the
//! failure. Which failures may go unnoticed, and why, is a list.

mod call;
mod harmless;
mod judge;
mod start;

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use start::Start;
use tests::{Cgroup, Root, User, empty_root, install, scratch_dir, skip, some_users};

some_users!(
    a_console: root delegated plain,
    a_terminal: root,
    a_dev_of_the_callers: root delegated plain,
    memory: root delegated plain,
    locked_mounts: root delegated plain,
    strict: root delegated plain,
    the_hosts_network_and_helpers: root delegated plain,
    changes_in_a_directory: root delegated,
    a_root_of_other_ids: root,
    a_cgroup: root,
    a_file_within_reach: root delegated,
    pseudo: root delegated plain,
);

/// A root that holds the probe and nothing else.
fn probe_root(me: &User) -> Root {
    let root = empty_root(me);
    root.install(env!("CARGO_BIN_EXE_probe"), "/probe");
    root
}

/// Checks what `contain OPTIONS ROOT /probe` does beyond `contain ROOT /probe`.
fn check(me: &User, root: &Root, options: &[&str]) {
    Start::new(me, root, options).check_beyond(&Start::new(me, root, &[]));
}

fn a_console(me: &User) {
    Start::new(me, &probe_root(me), &[]).check();
}

fn a_terminal(me: &User) {
    let root = probe_root(me);
    let start = || Start::new(me, &root, &[]);
    start().on_a_terminal().check_beyond(&start());
}

fn a_dev_of_the_callers(me: &User) {
    let root = probe_root(me);
    let start = |options: &[&str]| Start::new(me, &root, options);
    start(&["-b", "/dev"]).check_beyond(&start(&["-c"]));
}

fn memory(me: &User) {
    check(me, &probe_root(me), &["-c", "-x", "-N", "named"]);
}

fn locked_mounts(me: &User) {
    let binds = ["-b", "/usr/share/man:/mnt:ro", "-b", "/etc/passwd:/a/b"];
    let options = [&["-c", "-r"], &binds[..], &["--tmpfs", "/opt"]].concat();
    check(me, &probe_root(me), &options);
}

fn strict(me: &User) {
    let options = ["-c", "--strict", "--user", "0:0", "-w", "/", "--init"];
    check(me, &probe_root(me), &options);
}

fn the_hosts_network_and_helpers(me: &User) {
    let root = probe_root(me);
    root.mkdir("/etc");
    check(me, &root, &["-c", "-n", "-i", "true", "-o", "true"]);
}

fn changes_in_a_directory(me: &User) {
    let upper = scratch_dir(me);
    let options = ["-c", "--upper", upper.to_str().expect("a path")];
    check(me, &probe_root(me), &options);
    fs::remove_dir_all(upper).expect("rmdir");
}

fn a_root_of_other_ids(me: &User) {
    let (own, other) = (probe_root(me), probe_root(me));
    chown(&other, Some(0), Some(0)).expect("chown");
    for options in [&["-c"][..], &["-c", "-x"]] {
        Start::new(me, &other, options).check_beyond(&Start::new(me, &own, &["-c"]));
    }
}

fn a_cgroup(me: &User) {
    let systemd = Path::new("/run/systemd/system").exists();
    if systemd || Cgroup::with("cgroup.max.depth").is_none() {
        skip!("no cgroup v2, or systemd owns it");
    }
    let options = ["-c", "--cgroup", "cgroup.max.depth=3"];
    check(me, &probe_root(me), &options);
}

/// The program's own file belongs to an id of the container.
fn a_file_within_reach(me: &User) {
    let (root, dir) = (probe_root(me), scratch_dir(me));
    let copy = dir.join("contain");
    let bytes = fs::read(me.contain().program()).expect("contain");
    install(&bytes, &copy, 0o755);
    let [user, group] = ["uid", "gid"].map(|which| me.outside(which, 0));
    chown(&copy, user, group).expect("chown");
    let start = Start::new(me, &root, &["-c"]).of(&copy);
    start.check_beyond(&Start::new(me, &root, &[]));
    fs::remove_dir_all(dir).expect("rmdir");
}

fn pseudo(me: &User) {
    Start::new(me, &probe_root(me), &[]).of_pseudo().check();
}
