//! What a thousand-start day would leave behind: mounts, processes, terminals,
//! files in /tmp and cgroups of the whole machine, before and after.
//!
//! One test alone in its program, so that no other test runs beside it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tests::{As, Cmd, Pty, SECOND, User, eventually, kill, record_skip, root};

/// What of the machine could grow.
#[derive(Debug, PartialEq, Eq)]
struct Census {
    mounts: BTreeSet<String>,
    files: BTreeSet<String>,
    cgroups: BTreeSet<String>,
    terminals: usize,
}

impl Census {
    fn take() -> Self {
        let names = |dir: &str| -> Vec<String> {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.path().display().to_string())
                .collect()
        };
        let mut cgroups = BTreeSet::new();
        walk(Path::new("/sys/fs/cgroup"), &mut cgroups);
        Self {
            mounts: fs::read_to_string("/proc/self/mountinfo")
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect(),
            files: ["/tmp", "/dev/shm", "/run", "/var/run", "/dev/mqueue"]
                .iter()
                .flat_map(|dir| names(dir))
                .collect(),
            cgroups,
            terminals: fs::read_to_string("/proc/sys/kernel/pty/nr")
                .unwrap()
                .trim()
                .parse()
                .unwrap(),
        }
    }

    /// What `later` has that this has not.
    fn grown(&self, later: &Self) -> Vec<String> {
        let new = |old: &BTreeSet<String>, new: &BTreeSet<String>| -> Vec<String> {
            new.difference(old).cloned().collect()
        };
        let mut all = new(&self.mounts, &later.mounts);
        all.extend(new(&self.files, &later.files));
        all.extend(new(&self.cgroups, &later.cgroups));
        if later.terminals > self.terminals {
            all.push(format!("{} terminals", later.terminals - self.terminals));
        }
        all
    }
}

fn walk(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.insert(entry.path().display().to_string());
            walk(&entry.path(), found);
        }
    }
}

#[test]
fn nothing_of_the_machine_grows() {
    for kind in [As::Root, As::Delegated, As::Plain] {
        match User::get(kind) {
            Ok(me) => check(&me),
            Err(reason) => record_skip(&format!("{kind:?}: {reason}")),
        }
    }
}

/// Others use the machine too, so what is new in one round may be theirs;
/// what we leave behind is left behind in each.
fn check(me: &User) {
    let root = root(me);
    let mut grown = Vec::new();
    for _ in 0..3 {
        let before = Census::take();
        round(me, &root);
        tests::assert_no_traces(&root);
        eventually(2 * SECOND, || before.grown(&Census::take()).is_empty());
        grown = before.grown(&Census::take());
        if grown.is_empty() {
            return;
        }
    }
    panic!("{:?} leaves behind: {grown:?}", me.kind);
}

/// Starts that work, that fail, and that are killed.
fn round(me: &User, root: &tests::Root) {
    for options in [&[][..], &["-c"], &["-n"]] {
        let start = || me.contain().args(options).arg(root);
        start().arg("/bin/true").run().status_is(0);
        start().arg("/bin/missing").run().status_is(127);
        start()
            .args(["/bin/sh", "-c", "kill -9 $$; exit 9"])
            .run()
            .status_is(9);
        killed(&start().args(["/bin/sh", "-c", "echo up; sleep 1000; :"]));
    }
    me.contain()
        .args(["-i", "exit 3"])
        .arg(root)
        .arg("/bin/true")
        .run()
        .status_is(3);
    me.contain()
        .args(["-o", "exit 4"])
        .arg(root)
        .arg("/bin/true")
        .run()
        .status_is(4);
    me.contain()
        .arg("/no/such/root")
        .arg("/bin/true")
        .run()
        .status_is(1);
    me.pseudo().args(["-m", "true"]).run().status_is(0);
    let pty = Pty::open();
    let mut running =
        pty.run(
            &me.contain()
                .arg(root)
                .args(["/bin/sh", "-c", "echo up; sleep 1000; :"]),
        );
    pty.wait_for("up");
    running.init();
    let second = Pty::open();
    let mut inside = second.run(
        &me.inject()
            .arg(running.pid().to_string())
            .args(["/bin/sh", "-c", "exit 6"]),
    );
    assert!(eventually(20 * SECOND, || inside.try_wait().is_some()));
    inside.finish().status_is(6);
    kill(running.pid());
    assert!(eventually(5 * SECOND, || running.try_wait().is_some()));
}

fn killed(cmd: &Cmd) {
    let running = cmd.start();
    running.wait_for("up");
    kill(running.pid());
    drop(running.finish());
}
