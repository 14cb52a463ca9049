//! Limits and cgroups of one's own, as far as any machine shows them: what is
//! refused and how, and what is left of a cgroup. That limits hold is for
//! machines whose controllers are on cgroup v2: tests/kernels.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use tests::{
    Cgroup, Root, Running, SECOND, User, alive, assert_no_traces, children, comm, each_user,
    eventually, kill, record_skip, root, some_users,
};

each_user!(
    nonsense_is_a_usage_error,
    what_cannot_be_had_is_refused,
    an_unknown_setting_is_refused,
    nobody_elses_cgroup_is_within_reach,
    a_cgroup_without_others_is_shown,
);
some_users!(
    the_cgroup_is_the_containers: root,
    a_mount_whose_name_is_no_text: root,
    a_limit_of_the_core_holds: root,
    inject_enters_the_cgroup: root,
    no_end_leaves_a_cgroup: root,
    what_nobody_removed_is_removed: root,
    systemd_has_its_surroundings: root,
    systemd_without_a_cgroup_is_refused: delegated plain,
);

fn nonsense_is_a_usage_error(me: &User) {
    let root = root(me);
    for (option, value) in [
        ("--memory", "5X"),
        ("--memory", "-1"),
        ("--memory", "1.5G"),
        ("--memory", "0"),
        ("--memory", "8388608T"),
        ("--swap", "much"),
        ("--pids", "0"),
        ("--pids", "4294967296"),
        ("--cpus", "0"),
        ("--cpus", "0.001"),
        ("--cpus", "1e3"),
        ("--cgroup", "cpu.weight"),
        ("--cgroup", "weight=1"),
        ("--cgroup", "../x.y=1"),
        ("--cgroup", "cgroup.procs=1"),
        ("--cgroup", "cgroup.freeze=1"),
        ("--cgroup", "cpu.weight="),
    ] {
        let option = format!("{option}={value}");
        let out = me.contain().arg(&option).arg(&root).arg("/bin/true").run();
        out.refused(64);
    }
    assert_no_traces(&root);
}

/// Whether cgroup v2 hands out the controllers, so that limits may be had.
fn has_controllers() -> bool {
    fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")
        .is_ok_and(|names| names.contains("memory"))
}

fn what_cannot_be_had_is_refused(me: &User) {
    if has_controllers() {
        return record_skip("limits may be had here: tests/kernels tries them");
    }
    let root = root(me);
    for (options, controller) in [
        (&["-m", "64M"][..], "memory"),
        (&["--swap", "1G"], "memory"),
        (&["--pids", "100"], "pids"),
        (&["--cpus", "0.5"], "cpu"),
        (&["--cgroup", "io.max=8:0 rbps=1"], "io"),
        (&["--pids", "9", "-c", "--cgroup", "cpu.weight=1"], "cpu"),
    ] {
        let cmd = me.contain().args(options).arg(&root);
        let complaint = cmd.arg("/bin/true").run().refused_naming(1, &[controller]);
        let hint = complaint.hint.expect("a hint");
        assert!(
            hint.contains("boot with") || hint.contains("mount"),
            "{hint}"
        );
        // Nothing can be explained that cannot be done.
        me.contain()
            .arg("--explain")
            .args(options)
            .arg(&root)
            .run()
            .refused(1);
    }
    assert_no_traces(&root);
}

fn an_unknown_setting_is_refused(me: &User) {
    let root = root(me);
    let cmd = me.contain().args(["--cgroup", "nosuch.max=1"]).arg(&root);
    cmd.run().refused_naming(1, &["nosuch"]);
}

/// The cgroup of a process in the hierarchy of version 2, where we may divide
/// it: None with a reason recorded.
fn own_cgroup() -> Option<PathBuf> {
    let top = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .map(Path::new)
        .into_iter()
        .find(|dir| dir.join("cgroup.procs").exists());
    if top.is_none() || Path::new("/run/systemd/system").exists() {
        record_skip("no cgroup v2, or systemd owns it: tests/kernels tries them");
        return None;
    }
    top.map(Path::to_path_buf)
}

/// One of its own, where we may make any and give it to others.
fn cgroup_for_anyone() -> Option<Cgroup> {
    own_cgroup()?;
    let cgroup = Cgroup::with("cgroup.kill");
    if cgroup.is_none() {
        record_skip("only root can give others a cgroup");
    }
    cgroup
}

/// Needs no controller.
const CORE: [&str; 2] = ["--cgroup", "cgroup.max.depth=3"];

fn the_cgroup_is_the_containers(me: &User) {
    let (root, Some(_)) = (root(me), own_cgroup()) else {
        return;
    };
    let script = "sed -n 's/^0:://p' /proc/self/cgroup; cd /sys/fs/cgroup && mkdir ours \
                  && echo $$ >ours/cgroup.procs && sed -n 's/^0:://p' /proc/self/cgroup; stat -c %u .";
    for net in [&[][..], &["-n"]] {
        let cmd = me.contain().arg("-c").args(CORE).args(net).arg(&root);
        cmd.args(["/bin/sh", "-c", script])
            .run()
            .says("/\n/ours\n0");
    }
    let explain = me.contain().arg("--explain").args(CORE).arg(&root).run();
    let plan = explain.ok();
    let at = |step: &str| plan.lines().position(|line| line.starts_with(step));
    // What removes it is there before it.
    let guard = at("fork a guard that kills init and removes its cgroup");
    assert!(guard.is_some() && guard < at("make a cgroup"), "{plan}");
    assert!(at("make a cgroup") < at("clone init"), "{plan}");
    assert_eq!(plan.matches("fork a guard").count(), 1, "{plan}");
    // Without, the caller's is kept and none of it is within reach.
    let ours = fs::read_to_string("/proc/self/cgroup").unwrap();
    let mut plain = me
        .contain()
        .arg("-c")
        .arg(&root)
        .args(["/bin/sleep", "1000"])
        .start();
    assert_eq!(
        fs::read_to_string(format!("/proc/{}/cgroup", plain.init())).unwrap(),
        ours
    );
    drop(plain);
    assert_no_traces(&root);
}

/// Somebody else's mount, which has nothing to do with cgroups.
fn a_mount_whose_name_is_no_text(me: &User) {
    let (root, Some(_)) = (root(me), own_cgroup()) else {
        return;
    };
    let strange = "mount -t tmpfs none /mnt; cd /mnt; d=$(printf '\\377'); \
                   mkdir $d; mount -t tmpfs none $d; cd /";
    let cmd = me
        .contain()
        .args(CORE)
        .arg(&root)
        .args(["/bin/echo", "ran"]);
    cmd.setup(strange).run().says("ran");
    assert_no_traces(&root);
}

/// A process in a cgroup, both this user's.
struct Occupant {
    process: Child,
    _cgroup: Cgroup,
}

impl Occupant {
    fn of(me: &User, cgroup: Cgroup) -> Occupant {
        let process = Command::new("sleep").arg("1000").spawn().unwrap();
        let id = process.id().to_string();
        fs::write(cgroup.path().join("cgroup.procs"), id).unwrap();
        for name in ["", "cgroup.procs", "cgroup.kill"] {
            give(me, &cgroup.path().join(name));
        }
        Occupant {
            process,
            _cgroup: cgroup,
        }
    }
}

impl Drop for Occupant {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes it the user's; for root somebody's whose ids its container has.
fn give(me: &User, path: &Path) {
    let owner = me.uid.max(1);
    chown(path, Some(owner), Some(owner)).unwrap();
}

/// Ends all that runs in the cgroups that are shown, and names them.
const END_ALL: &str = "find /sys/fs/cgroup -name cgroup.kill | while read f; do echo 1 >$f; \
                       echo $f; done 2>/dev/null";

fn nobody_elses_cgroup_is_within_reach(me: &User) {
    let (root, Some(cgroup)) = (root(me), cgroup_for_anyone()) else {
        return;
    };
    let mut occupant = Occupant::of(me, cgroup);
    for net in [&[][..], &["-n"]] {
        let cmd = me.contain().args(net).arg(&root);
        cmd.args(["/bin/sh", "-c", END_ALL]).run().says("");
    }
    assert_eq!(occupant.process.try_wait().unwrap(), None);
}

/// It says what its processes may have, and container root cannot write to it.
fn a_cgroup_without_others_is_shown(me: &User) {
    let (root, Some(cgroup)) = (root(me), cgroup_for_anyone()) else {
        return;
    };
    let script = "cd /sys/fs/cgroup && cat cgroup.type && ! mkdir x 2>/dev/null && \
                  ! (echo 1 >cgroup.kill) 2>/dev/null";
    let cmd = || me.sh(&root, script).setup(&cgroup.enter());
    cmd().run().says("domain");
    // Its children may be somebody's.
    let child = cgroup.path().join("child");
    fs::create_dir(&child).unwrap();
    cmd().run().status_is(1);
    fs::remove_dir(child).unwrap();
    give(me, cgroup.path());
    cmd().run().status_is(1);
    assert!(cgroup.remove());
    assert_no_traces(&root);
}

/// The limit is on the cgroup around the container's: depth 3 is one for that
/// and two for the container.
fn a_limit_of_the_core_holds(me: &User) {
    let (root, Some(_)) = (root(me), own_cgroup()) else {
        return;
    };
    let script = "cd /sys/fs/cgroup; (echo max >cgroup.max.depth) 2>/dev/null; mkdir a && mkdir a/b && \
                  mkdir a/b/c 2>/dev/null || echo refused";
    let cmd = me.contain().arg("-c").args(CORE).arg(&root);
    cmd.args(["/bin/sh", "-c", script]).run().says("refused");
    assert_no_traces(&root);
}

/// Starts a container with a cgroup and cgroups in that; its directory.
fn start(me: &User, root: &Root, top: &Path) -> (Running, PathBuf) {
    let script = "cd /sys/fs/cgroup && mkdir -p a/b c && echo 1 >a/b/cgroup.procs && echo up; \
                  sleep 1000 & sleep 1000; sleep 1000";
    let cmd = me.contain().arg("-c").args(CORE).arg(root);
    let mut running = cmd.args(["/bin/sh", "-c", script]).start();
    running.wait_for("up");
    let text = fs::read_to_string(format!("/proc/{}/cgroup", running.init())).unwrap();
    let path = text
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .unwrap();
    let inner = path
        .strip_suffix("/container/a/b")
        .expect("the container's own");
    let dir = top.join(inner);
    assert!(dir.is_dir(), "{}", dir.display());
    (running, dir)
}

fn inject_enters_the_cgroup(me: &User) {
    let (root, Some(top)) = (root(me), own_cgroup()) else {
        return;
    };
    let (mut running, dir) = start(me, &root, &top);
    // Init's own: the others are for those inside to use.
    let inject = || me.inject().arg(running.pid().to_string());
    inject()
        .args(["sed", "-n", "s/^0:://p", "/proc/self/cgroup"])
        .run()
        .says("/a/b");
    let shell = inject()
        .args(["/bin/sh", "-c", "echo in; sleep 1000"])
        .start();
    shell.wait_for("in");
    let held = fs::read_to_string(dir.join("container/a/b/cgroup.procs")).unwrap();
    let command = children(shell.pid());
    assert!(
        command
            .iter()
            .any(|pid| held.lines().any(|line| line == pid.to_string()))
    );
    drop(shell);
    kill(running.init());
    running.finish();
    assert!(eventually(5 * SECOND, || !dir.exists()));
    assert_no_traces(&root);
}

fn no_end_leaves_a_cgroup(me: &User) {
    let (root, Some(top)) = (root(me), own_cgroup()) else {
        return;
    };
    let gone = |dir: &Path, how: &str| {
        assert!(
            eventually(5 * SECOND, || !dir.exists()),
            "{how}: {}",
            dir.display()
        );
    };
    let (mut running, dir) = start(me, &root, &top);
    kill(running.init());
    assert_eq!(running.finish().code(), Some(137));
    assert!(!dir.exists(), "{}", dir.display());
    let (running, dir) = start(me, &root, &top);
    kill(running.pid());
    gone(&dir, "supervisor killed");
    // The guard: the one child of contain that is not init.
    let (mut running, dir) = start(me, &root, &top);
    let init = running.init();
    let guard: Vec<u32> = children(running.pid())
        .into_iter()
        .filter(|&pid| pid != init)
        .collect();
    assert_eq!(guard.len(), 1);
    assert_eq!(comm(guard[0]), "nscore");
    kill(guard[0]);
    assert!(eventually(SECOND, || !alive(guard[0])));
    kill(init);
    running.finish();
    gone(&dir, "guard killed");
    // A start that fails: a value the kernel does not take, no such program.
    let left_by = |options: [&str; 2], command, status| {
        let cmd = me.contain().args(options).arg(&root).arg(command);
        let mut running = cmd.start();
        let prefix = format!("contain-{}-", running.pid());
        let _ = running.try_wait();
        running.finish().refused(status);
        let names = fs::read_dir(&top)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with(&prefix))
            .count()
    };
    assert_eq!(
        left_by(["--cgroup", "cgroup.max.depth=x"], "/bin/true", 1),
        0
    );
    assert_eq!(left_by(CORE, "no-such-command", 127), 0);
    assert_no_traces(&root);
}

/// Where supervisor and guard were killed at once, the next end does their work.
fn what_nobody_removed_is_removed(me: &User) {
    let (root, Some(top)) = (root(me), own_cgroup()) else {
        return;
    };
    let (mut running, dir) = start(me, &root, &top);
    let init = running.init();
    // Stopped, it does not see the end of the guard.
    running.signal(libc::SIGSTOP);
    let mut guard = children(running.pid());
    guard.retain(|&pid| pid != init);
    assert_eq!(guard.len(), 1);
    kill(guard[0]);
    kill(running.pid());
    drop(running);
    assert!(eventually(5 * SECOND, || !alive(init)));
    // Its name says that it is new; by another it is old, or somebody's.
    let name = dir.file_name().unwrap().to_str().unwrap();
    let pid = name.split('-').nth(1).unwrap();
    let make = |name: &str| {
        let dir = top.join(name);
        fs::create_dir_all(dir.join("container/a")).unwrap();
        dir
    };
    let old = make(&format!("contain-{pid}-1"));
    let alive = make(&format!("contain-{}-1", std::process::id()));
    let busy = make("contain-4194305-1");
    let mut sleeper = std::process::Command::new("/bin/sleep")
        .arg("1000")
        .spawn()
        .unwrap();
    fs::write(
        busy.join("container/cgroup.procs"),
        sleeper.id().to_string(),
    )
    .unwrap();
    let run = || {
        let cmd = me.contain().arg("-c").args(CORE).arg(&root);
        cmd.arg("/bin/true").run().says("");
    };
    run();
    assert!(!old.exists());
    assert!(dir.exists() && alive.exists() && busy.join("container/a").exists());
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    run();
    assert!(!busy.exists());
    for left in [dir, alive] {
        for below in [
            "container/a/b",
            "container/a",
            "container/c",
            "container",
            "",
        ] {
            let _ = fs::remove_dir(left.join(below));
        }
        assert!(!left.exists());
    }
    assert_no_traces(&root);
}

/// A root whose init is systemd by its name, and a shell in fact.
fn with_systemd(root: &Root) {
    root.write("/usr/lib/systemd/systemd", SYSTEMD, 0o755);
    std::fs::remove_file(root.at("/bin/init")).unwrap();
    root.link("usr/lib", "/lib")
        .link("/lib/systemd/systemd", "/bin/init");
}

const SYSTEMD: &str = r#"#!/bin/sh
echo "$container $container_uuid" | sed 's/[0-9a-f]\{4,\}/X/g'
cat /run/host/container-manager
awk '$2 == "/run" || $2 == "/sys" || $2 == "/sys/fs/cgroup" { print $2, $3, substr($4, 1, 2) }' \
    /proc/self/mounts | sort
test -c /dev/console && echo console
for file in . cgroup.procs cgroup.subtree_control cgroup.threads; do
    stat -c %u:%g /sys/fs/cgroup/$file
done | uniq
"#;

fn systemd_has_its_surroundings(me: &User) {
    let (root, Some(_)) = (root(me), own_cgroup()) else {
        return;
    };
    let wanted = "contain X-X-X-X-X\ncontain\n/run tmpfs rw\n/sys sysfs ro\n\
                  /sys/fs/cgroup cgroup2 rw\nconsole\n0:0";
    with_systemd(&root);
    for command in ["/sbin/init", "init", "/usr/lib/systemd/systemd"] {
        me.contain().arg(&root).arg(command).run().says(wanted);
    }
    // A file of the caller's in place of ours says what is to be said.
    root.write("/srv/manager", "mine\n", 0o644);
    let file = root.at("/srv/manager");
    let bind = format!("{}:/run/host/container-manager", file.display());
    let run = me
        .contain()
        .args(["-b", &bind])
        .arg(&root)
        .arg("/sbin/init");
    run.run().says(&wanted.replace("\ncontain\n", "\nmine\n"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine\n");
    assert_no_traces(&root);
}

fn systemd_without_a_cgroup_is_refused(me: &User) {
    let (root, Some(_)) = (root(me), own_cgroup()) else {
        return;
    };
    with_systemd(&root);
    let complaint = me.contain().arg(&root).arg("/sbin/init").run();
    let hint = complaint
        .refused_naming(1, &["cgroup"])
        .hint
        .expect("a hint");
    assert!(
        hint.contains("systemd-run --user --scope -p Delegate=yes"),
        "{hint}"
    );
    assert_no_traces(&root);
}
