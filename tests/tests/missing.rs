//! What is missing of the kernel: system calls, memory that may be executed,
//! namespaces. A start does without or says in one line what it lacks, and no
//! protection that was asked for is ever silently absent.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tests::{
    As, Cmd, Out, Pty, Root, User, assert_no_traces, each_user, host_is_root, root, skip,
    some_users,
};

each_user!(
    starts_without_a_call,
    what_is_made_is_taken_back_without_a_call,
    starts_that_need_a_call,
    what_is_below_sys_is_read_only_too,
    entering_without_a_call,
    no_guard_keeps_what_the_caller_has_open,
    entering_what_has_no_record,
    becoming_root_without_a_call,
    no_guard_that_cannot_kill,
    no_namespaces_for_pseudo,
    no_proc,
);

some_users!(
    a_cgroup_without_a_call: root,
    a_record_where_memory_is_not_executed: root,
);

/// Calls that a kernel may lack, or the filter of a sandbox keep away.
const CALLS: [&str; 15] = [
    "openat2",
    "clone3",
    "pidfd_open",
    "close_range",
    "open_tree",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "memfd_create",
    "faccessat2",
    "statx",
    "copy_file_range",
];

/// A call is missing, or all of them are.
fn cases() -> impl Iterator<Item = String> {
    CALLS
        .into_iter()
        .map(str::to_owned)
        .chain([CALLS.join(",")])
}

/// The command where these calls are missing, with descriptors of the caller's
/// open; None where such a filter takes newuidmap's rights.
fn without(cmd: Cmd, me: &User, calls: &str) -> Option<Cmd> {
    let front = env!("CARGO_BIN_EXE_without");
    let cmd = cmd.under_bash("exec 9</etc/passwd 200</etc/passwd; exec \"$@\"");
    if host_is_root() {
        return Some(cmd.setup(&format!("FRONT='{front} {calls}'")));
    }
    (me.kind == As::Plain).then(|| cmd.under([front, calls]))
}

/// Fails inside when a descriptor of the caller's is there.
const CLOSED: &str = "test ! -e /proc/1/fd/9 && test ! -e /proc/1/fd/200";

/// `contain -c OPTIONS ROOT`, which runs `check` and says fine if that holds.
fn start(me: &User, root: &Root, options: &[&str], check: &str) -> Cmd {
    let cmd = me.contain().arg("-c").args(options).arg(root);
    cmd.args([
        "/bin/sh",
        "-c",
        &format!("{CLOSED} && {check} && echo fine"),
    ])
}

/// A root that has all that a start would make in it, and all that is in it.
fn whole_root(me: &User) -> (Root, BTreeSet<String>) {
    let root = root(me);
    for dir in ["/dev", "/proc", "/sys", "/srv"] {
        root.mkdir(dir);
    }
    root.write("/etc/resolv.conf", "", 0o644);
    let names = names(root.as_ref());
    (root, names)
}

fn names(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir)
        .expect("a directory of the root")
        .flatten()
    {
        found.insert(entry.path().display().to_string());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(names(&entry.path()));
        }
    }
    found
}

#[track_caller]
fn assert_unchanged(root: &Root, before: &BTreeSet<String>) {
    let after = names(root.as_ref());
    let changed: Vec<_> = before.symmetric_difference(&after).collect();
    assert!(changed.is_empty(), "{changed:?}");
}

/// However many the caller may open: a pipe among them would have no end.
fn no_guard_keeps_what_the_caller_has_open(me: &User) {
    let root = root(me);
    let open = "ulimit -n 6000; exec 5000</etc/passwd; exec \"$@\"";
    let start = |cmd: Cmd| Some(without(cmd.under_bash(open), me, "close_range")?.start());
    let contain = me.contain().arg(&root).args(["/bin/sleep", "1000"]);
    let Some(mut running) = start(contain) else {
        skip!("only root can have newuidmap run under a filter");
    };
    running.init();
    let inject = me.inject().arg(running.pid().to_string());
    let inject = start(inject.args(["/bin/sh", "-c", "echo up; sleep 1000"])).unwrap();
    inject.wait_for("up");
    for supervisor in [running.pid(), inject.pid()] {
        let has = |pid: u32| Path::new(&format!("/proc/{pid}/fd/5000")).exists();
        let children = tests::children(supervisor);
        assert!(has(supervisor) && children.len() == 2, "{children:?}");
        for child in children {
            assert!(tests::eventually(tests::SECOND, || !has(child)), "{child}");
        }
    }
}

/// What every kernel has a way for.
fn starts_without_a_call(me: &User) {
    let (root, before) = whole_root(me);
    let strict = "grep -q '^Seccomp:.2' /proc/self/status && grep -q '^NoNewPrivs:.1' /proc/self/status \
        && grep -q '^CapBnd:.0*$' /proc/self/status && test -z \"$(cat /proc/kcore /proc/keys 2>/dev/null)\" \
        && grep -q '^proc /proc/sys proc ro,' /proc/mounts";
    let host_net = "test -d /sys/class/net && ! mkdir /sys/x 2>/dev/null \
        && grep -q '^sysfs /sys/devices sysfs ro,' /proc/mounts";
    for (options, check) in [
        (
            &[][..],
            "test $$ = 1 && grep -q '^Seccomp:.2' /proc/self/status && tty -s; test $? = 1",
        ),
        (&["-n"], host_net),
        (&["--strict"], strict),
        (&["--init"], "test $$ != 1"),
        (&["--user", "root", "-w", "/srv"], "test $(pwd) = /srv"),
        (&["--tmpfs", "/mnt"], "touch /mnt/x"),
        (
            &["-i", "test -d bin && test -d dev/pts"],
            "test ! -e /dev/outside",
        ),
    ] {
        for calls in cases() {
            let Some(cmd) = without(start(me, &root, options, check), me, &calls) else {
                skip!("only root can have newuidmap run under a filter");
            };
            cmd.run().says("fine");
        }
    }
    assert_no_traces(&root);
    assert_unchanged(&root, &before);
}

/// A root that lacks what a start makes in it.
fn what_is_made_is_taken_back_without_a_call(me: &User) {
    let root = root(me);
    std::fs::remove_dir_all(root.at("/etc")).unwrap();
    root.mkdir("/etc");
    let before = names(root.as_ref());
    for calls in cases() {
        let fails = me.contain().args(["-c", "-n"]).arg(&root);
        let Some(cmd) = without(fails.arg("/bin/nowhere"), me, &calls) else {
            skip!("only root can have newuidmap run under a filter");
        };
        cmd.run().status_is(127);
        assert_unchanged(&root, &before);
    }
    for calls in cases() {
        let cmd = without(start(me, &root, &["-n"], "test -c /dev/null"), me, &calls);
        cmd.expect("as above").run().says("fine");
    }
    assert_no_traces(&root);
}

/// Where there is no other way, and what there is no other way to: the start
/// does it, or names the call.
fn starts_that_need_a_call(me: &User) {
    let (root, _) = whole_root(me);
    let layers = ["open_tree", "move_mount", "fsopen", "fsconfig", "fsmount"];
    let (bind, read_only) = (&layers[..2], ["open_tree", "move_mount", "mount_setattr"]);
    let locked = "! mount -o remount,bind,rw /mnt 2>/dev/null && ! umount /mnt 2>/dev/null";
    let read_only_bind = format!("test -d /mnt/man1 && ! touch /mnt/x 2>/dev/null && {locked}");
    let read_only_root = "! touch /x 2>/dev/null && ! mount -o remount,bind,rw / 2>/dev/null";
    for (options, check, needed) in [
        (&["-x"][..], "touch /bin/made", &layers[..]),
        (&["-b", "/usr/share/man:/mnt"], "test -d /mnt/man1", bind),
        (
            &["-b", "/usr/share/man:/mnt:ro"],
            &read_only_bind,
            &read_only,
        ),
        (&["-r"], read_only_root, &read_only[2..]),
        (
            &["-H"],
            "test -x /usr/bin/id && ! touch /usr/x 2>/dev/null",
            &read_only,
        ),
    ] {
        for calls in cases() {
            let Some(cmd) = without(start(me, &root, options, check), me, &calls) else {
                skip!("only root can have newuidmap run under a filter");
            };
            let lacked: Vec<_> = needed
                .iter()
                .filter(|call| calls.split(',').any(|missing| missing == **call))
                .copied()
                .collect();
            let before = names(root.as_ref());
            let out = cmd.run();
            if lacked.is_empty() {
                out.says("fine");
                continue;
            }
            names_what_is_missing(&out, &lacked);
            assert_unchanged(&root, &before);
        }
    }
    assert_no_traces(&root);
}

/// One line that names one of the calls, and a hint at what keeps it away: this
/// kernel has it.
fn names_what_is_missing(out: &Out, calls: &[&str]) {
    let complaint = out.refused_naming(1, &[&calls.join("|")]);
    let hint = complaint.hint.as_deref().unwrap_or_default();
    assert!(hint.contains("seccomp"), "{out}");
}

/// The host's /sys under -n, where one call would make all of it read-only.
fn what_is_below_sys_is_read_only_too(me: &User) {
    if !host_is_root() {
        skip!("a mount below /sys needs root");
    }
    let root = root(me);
    let mount = "mount -t tmpfs -o mode=1777 tests /sys/class/net";
    for calls in ["mount_setattr", "fspick"] {
        let front = format!("{mount}\nFRONT='{} {calls}'", env!("CARGO_BIN_EXE_without"));
        let check = "grep -q ' /sys/class/net tmpfs' /proc/mounts && ! touch /sys/class/net/x";
        let out = start(me, &root, &["-n"], check).setup(&front).run();
        assert_eq!(out.status_is(0).stdout(), "fine\n", "{out}");
    }
    assert_no_traces(&root);
}

fn entering_without_a_call(me: &User) {
    let root = root(me);
    root.mkdir("/srv");
    let running = me.up(&root, &[]);
    let pid = running.pid().to_string();
    let inject = |options: &[&str], script: &str| {
        let cmd = me.inject().args(options).arg(&pid);
        cmd.args(["/bin/sh", "-c", script])
    };
    let script = "pwd; id -u; ls /proc/$$/fd | grep -c -e '^9$' -e '^200$'";
    for calls in cases() {
        let cmd = inject(&["--user", "root", "-w", "/srv"], script);
        let Some(cmd) = without(cmd, me, &calls) else {
            skip!("only root can have newuidmap run under a filter");
        };
        let out = cmd.run();
        if calls.contains("pidfd_open") {
            names_what_is_missing(&out, &["pidfd_open"]);
        } else {
            assert_eq!(out.stdout(), "/srv\n0\n0\n", "{out}");
        }
    }
    // And through a terminal of its own.
    let rest = CALLS.join(",").replace("pidfd_open,", "");
    let pty = Pty::open();
    let cmd = inject(&[], "tty; exit 5");
    let inside = pty.run(&without(cmd, me, &rest).expect("as above"));
    assert_eq!(inside.ended(), Some(5), "{:?}", pty.screen());
    pty.wait_for("/dev/pts/");
}

/// A container that could publish no record runs, and cannot be entered.
fn entering_what_has_no_record(me: &User) {
    let root = root(me);
    let script = "echo up; sleep 1000; :";
    let Some(cmd) = without(me.sh(&root, script), me, "memfd_create") else {
        skip!("only root can have newuidmap run under a filter");
    };
    let running = cmd.start();
    running.wait_for("up");
    let pid = running.pid().to_string();
    let out = me.inject().args([&*pid, "/bin/touch", "/ran"]).run();
    out.refused_naming(1, &[&pid, "is not a container's"]);
    assert!(!root.at("/ran").exists() && !Path::new("/ran").exists());
}

fn becoming_root_without_a_call(me: &User) {
    for calls in cases() {
        let mounts = "mount -t tmpfs none /mnt && id -u";
        for command in [&["id", "-u"][..], &["-m", "sh", "-c", mounts]] {
            let Some(cmd) = without(me.pseudo().args(command), me, &calls) else {
                skip!("only root can have newuidmap run under a filter");
            };
            cmd.run().says("0");
        }
    }
}

/// What ends the container when its supervisor does needs a call without which
/// it could not.
fn no_guard_that_cannot_kill(me: &User) {
    let (root, before) = whole_root(me);
    let running = me.up(&root, &[]);
    let pid = running.pid().to_string();
    let call = "pidfd_send_signal";
    let inject = me.inject().args([&*pid, "/bin/touch", "/ran"]);
    for cmd in [me.sh(&root, "touch /ran"), inject] {
        let Some(cmd) = without(cmd, me, call) else {
            skip!("only root can have newuidmap run under a filter");
        };
        names_what_is_missing(&cmd.run(), &[call]);
    }
    let pseudo = without(me.pseudo().args(["id", "-u"]), me, call).expect("as above");
    pseudo.run().says("0");
    drop(running);
    assert_no_traces(&root);
    assert_unchanged(&root, &before);
}

/// Where the child cannot be made in its cgroup, it goes there first of all.
fn a_cgroup_without_a_call(me: &User) {
    let tops = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let v2 = tops.iter().any(|top| top.join("cgroup.procs").exists());
    if !v2 || Path::new("/run/systemd/system").exists() {
        skip!("no cgroup v2, or systemd owns it: tests/kernels tries them");
    }
    let root = root(me);
    let check = "test \"$(sed -n 's/^0:://p' /proc/self/cgroup)\" = / && mkdir /sys/fs/cgroup/ours";
    for calls in cases() {
        let options = ["--cgroup", "cgroup.max.depth=3"];
        let cmd = without(start(me, &root, &options, check), me, &calls);
        cmd.expect("as root").run().says("fine");
    }
    assert_no_traces(&root);
}

/// The sysctl is of a PID namespace, so the test has one. That the programs
/// themselves are not executed as memory there is among the tests of their file.
fn a_record_where_memory_is_not_executed(me: &User) {
    if !Path::new("/proc/sys/vm/memfd_noexec").exists() {
        skip!("this kernel has no vm.memfd_noexec");
    }
    let root = root(me);
    let script = "echo 2 >/proc/sys/vm/memfd_noexec || exit 5
        \"$0\" -c -N kept \"$2\" /bin/sh -c 'echo up; sleep 1000; :' >/tmp/up.$$ & one=$!
        until grep -q up /tmp/up.$$; do sleep 0.05; done; rm /tmp/up.$$
        \"$1\" kept /bin/sh -c 'id -u; cat /proc/1/comm'; status=$?
        kill -9 $one; wait $one; exit $status";
    let cmd = me
        .command("unshare")
        .args(["-pf", "--mount-proc", "--kill-child"]);
    let (contain, inject) = (me.contain(), me.inject());
    let cmd = cmd.args(["sh", "-c", script]).arg(contain.program());
    let out = cmd.arg(inject.program()).arg(&root).run();
    assert_eq!(out.status_is(0).stdout(), "0\nsh\n", "{out}");
    assert_no_traces(&root);
}

/// The limit of a user namespace made for this: the machine's own stays.
fn no_namespaces_for_pseudo(me: &User) {
    let script = "echo 0 >/proc/sys/user/max_user_namespaces || exit 5; exec \"$@\"";
    let pseudo = me.pseudo();
    let cmd = me
        .command("unshare")
        .args(["-Ur", "sh", "-c", script, "sh"]);
    let out = cmd.arg(pseudo.program()).args(["id", "-u"]).run();
    let complaint = out.refused_naming(1, &["a limit forbids it"]);
    let hint = complaint.hint.unwrap_or_default();
    assert!(hint.starts_with("user.max_user_namespaces is 0"), "{out}");
}

fn no_proc(me: &User) {
    if !host_is_root() {
        skip!("only root can be without /proc");
    }
    let root = root(me);
    let start = me.contain().arg(&root).arg("/bin/true");
    for cmd in [start, me.pseudo().arg("true")] {
        let complaint = cmd.setup("mount -t tmpfs none /proc").run().refused(1);
        assert_eq!(complaint.hint.as_deref(), Some("/proc must be mounted"));
    }
    assert_no_traces(&root);
}
