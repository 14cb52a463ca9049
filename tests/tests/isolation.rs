//! Isolation: namespaces, processes, mounts and their propagation, mount
//! flags, the machine's name, devices and network.

use std::fs;
use std::path::Path;

use tests::{
    As, User, assert_no_traces, each_user, host_is_root, namespace, root, scratch_dir, skip,
};

each_user!(
    every_namespace_is_new,
    the_network_is_shared_under_n,
    namespaces_have_the_containers_owner,
    the_hosts_processes_are_invisible,
    nothing_of_the_old_root_is_left,
    mounts_do_not_propagate,
    mounts_do_not_propagate_where_root_is_shared,
    mount_flags,
    the_hosts_name_stays,
    lo_is_up_and_alone,
    no_privilege_over_the_shared_network,
    no_device_can_be_made,
    the_hosts_settings_cannot_be_written,
    root_inside_is_nobody_outside,
);

const SPACES: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/// The namespaces of a container's init: (name, differs from ours).
fn differing(me: &User, options: &[&str]) -> Vec<(&'static str, bool)> {
    let root = root(me);
    let cmd = me.contain().args(options).arg("-c").arg(&root);
    let mut running = cmd.args(["/bin/sh", "-c", "echo up; sleep 1000"]).start();
    running.wait_for("up");
    let init = running.init();
    let own = std::process::id();
    SPACES
        .map(|name| (name, namespace(init, name) != namespace(own, name)))
        .to_vec()
}

fn every_namespace_is_new(me: &User) {
    for (name, differs) in differing(me, &[]) {
        assert!(differs, "{name} is the host's");
    }
}

fn the_network_is_shared_under_n(me: &User) {
    for (name, differs) in differing(me, &["-n"]) {
        assert_eq!(differs, name != "net", "{name}");
    }
}

/// Children of init are in init's own namespaces: none was left for later.
fn namespaces_have_the_containers_owner(me: &User) {
    let root = root(me);
    let mut running = me.sh(&root, "sleep 999 & echo up; wait").start();
    running.wait_for("up");
    let init = running.init();
    let child = tests::children(init)[0];
    for name in SPACES {
        assert_eq!(namespace(child, name), namespace(init, name), "{name}");
    }
    assert_eq!(tests::ns_pid(init), Some(1));
}

fn the_hosts_processes_are_invisible(me: &User) {
    let root = root(me);
    let out = me
        .sh(&root, "echo /proc/[0-9]*; kill -0 2 2>&1; ps -o pid,args")
        .run()
        .ok();
    let pids = out.lines().next().unwrap().split(' ').count();
    assert!(pids <= 3, "{out}");
    assert!(
        !out.contains("cargo") && !out.contains("isolation"),
        "{out}"
    );
}

fn nothing_of_the_old_root_is_left(me: &User) {
    let root = root(me);
    let out = me.sh(&root, "cat /proc/self/mountinfo").run().ok();
    let outside = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let ids = |text: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.split(' ').next().map(str::to_owned))
            .collect()
    };
    let host = ids(&outside);
    let points: Vec<&str> = out
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .collect();
    for id in ids(&out) {
        assert!(!host.contains(&id), "mount {id} is the host's: {out}");
    }
    for point in &points {
        let known = ["/dev", "/proc", "/sys"]
            .iter()
            .any(|top| point.starts_with(top));
        assert!(
            known || *point == "/" || *point == "/etc/resolv.conf",
            "{point} in {out}"
        );
    }
    assert_eq!(
        points.iter().filter(|&&point| point == "/").count(),
        1,
        "{out}"
    );
    // Nor by way of a descriptor, a directory, or the parent of the root.
    let out = me
        .sh(
            &root,
            "ls -l /proc/1/fd /proc/self/cwd /proc/1/root; ls /..; cd /; cd ..; ls",
        )
        .run();
    assert!(!out.ok().contains("contain-tests"), "{out}");
}

fn mounts_do_not_propagate(me: &User) {
    let root = root(me);
    let out = me
        .sh(&root, "awk '{print $5, $7}' /proc/self/mountinfo")
        .run()
        .ok();
    for line in out.lines() {
        assert!(
            !line.contains("shared:") && !line.contains("master:"),
            "{line}"
        );
    }
    let path: &Path = root.as_ref();
    let running = me
        .sh(
            &root,
            "mount -t tmpfs none /mnt && touch /mnt/inside && echo up; sleep 1000",
        )
        .start();
    running.wait_for("up");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(path.to_str().unwrap()), "{mounts}");
    assert!(
        !root.at("/mnt/inside").exists(),
        "the mount is seen outside"
    );
}

/// Every systemd machine has a shared /; the suite makes one for itself.
fn mounts_do_not_propagate_where_root_is_shared(me: &User) {
    if !host_is_root() {
        skip!("sharing / needs root");
    }
    let root = root(me);
    let dir = scratch_dir(me);
    let path: &Path = root.as_ref();
    let (path, flag) = (path.display(), dir.join("flag"));
    // Inside and outside wait for each other by way of files.
    let inside = "mount -t tmpfs none /mnt; mount -t tmpfs none /tmp; mount -t tmpfs none /dev/shm
        touch /var/ready; i=0
        until [ -e /var/go ] || [ $i = 500 ]; do sleep 0.02; i=$((i+1)); done
        ls /home; cat /proc/self/mountinfo >/var/seen";
    let outside = format!(
        "\"$@\" & c=$!; i=0
        until [ -e {path}/var/ready ] || [ $i = 500 ]; do sleep 0.02; i=$((i+1)); done
        cat /proc/self/mountinfo >{flag}
        mount -t tmpfs none {path}/home; touch {path}/home/from-outside
        touch {path}/var/go; wait $c",
        flag = flag.display()
    );
    let cmd = me.sh(&root, inside);
    let front = dir.join("front");
    let text = format!("#!/bin/sh\n{outside}\n");
    tests::install(text.as_bytes(), &front, 0o755);
    let shared = format!("mount --make-rshared /; FRONT={}", front.display());
    let out = cmd.setup(&shared).run();
    assert_eq!(out.ok(), "", "a mount of the host's appears inside{out}");
    let host = fs::read_to_string(&flag).expect("what the host saw");
    let root_line = host
        .lines()
        .find(|line| line.split(' ').nth(4) == Some("/"))
        .unwrap();
    assert!(
        root_line.contains("shared:"),
        "the test did not share /: {root_line}"
    );
    for line in host.lines() {
        assert!(
            !line.contains(&path.to_string()),
            "a mount of the container's is outside: {line}"
        );
    }
    let seen = fs::read_to_string(root.at("/var/seen")).expect("what the container saw");
    for line in seen.lines() {
        assert!(
            !line.contains("shared:") && !line.contains("master:"),
            "{line}"
        );
    }
    assert_no_traces(&root);
    fs::remove_dir_all(dir).unwrap();
}

fn mount_flags(me: &User) {
    let root = root(me);
    let out = me
        .sh(&root, "awk '{print $5, $6}' /proc/self/mountinfo")
        .run()
        .ok();
    let flags = |point: &str| -> String {
        let line = out
            .lines()
            .rev()
            .find(|line| line.split(' ').next() == Some(point));
        line.unwrap_or_else(|| panic!("no {point} in {out}"))
            .to_owned()
    };
    for (point, wanted) in [
        ("/proc", &["nosuid", "nodev", "noexec"][..]),
        ("/sys", &["nosuid", "nodev", "noexec"]),
        ("/dev", &["nosuid"]),
        ("/dev/pts", &["nosuid", "noexec"]),
        ("/dev/shm", &["nosuid", "nodev"]),
        ("/dev/mqueue", &["nosuid", "nodev", "noexec"]),
    ] {
        let line = flags(point);
        for flag in wanted {
            assert!(line.contains(flag), "{flag} is not set: {line}");
        }
    }
}

fn the_hosts_name_stays(me: &User) {
    let root = root(me);
    let before = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    me.sh(&root, "hostname brian && hostname")
        .run()
        .says("brian");
    assert_eq!(
        before,
        fs::read_to_string("/proc/sys/kernel/hostname").unwrap()
    );
}

fn lo_is_up_and_alone(me: &User) {
    let root = root(me);
    let out = me.sh(&root, "ls /sys/class/net; ip -o addr show dev lo; ip link set lo down; ip link set lo up && echo up").run().ok();
    let up = out
        .lines()
        .filter(|line| line.contains("127.0.0.1/8"))
        .count();
    assert!(
        out.starts_with("lo\n") && up == 1 && out.ends_with("up"),
        "{out}"
    );
    assert_eq!(
        out.lines().filter(|line| !line.contains(' ')).count(),
        2,
        "{out}"
    );
}

fn no_privilege_over_the_shared_network(me: &User) {
    let root = root(me);
    let cmd = me.contain().args(["-cn"]).arg(&root);
    let out = cmd
        .args(["/bin/sh", "-c", "ip link set lo down 2>&1"])
        .run();
    assert_ne!(out.code(), Some(0), "{out}");
    assert!(out.stdout().contains("not permitted"), "{out}");
}

fn no_device_can_be_made(me: &User) {
    let root = root(me);
    let out = me
        .sh(
            &root,
            "mknod /tmp/sda b 8 0 2>&1 || echo refused; cat /dev/mem /dev/kmsg 2>&1",
        )
        .run();
    let text = out.stdout();
    assert!(
        text.contains("refused") && text.contains("not permitted"),
        "{out}"
    );
    assert!(!root.at("/tmp/sda").exists(), "{out}");
}

fn the_hosts_settings_cannot_be_written(me: &User) {
    let root = root(me);
    let files = "/proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/vm/swappiness /proc/sysrq-trigger";
    let script =
        format!("for f in {files}; do [ -w $f ] && (: >>$f) 2>/dev/null && echo $f; done; true");
    me.sh(&root, &script).run().says("");
}

fn root_inside_is_nobody_outside(me: &User) {
    let root = root(me);
    let mut running = me.sh(&root, "echo up; sleep 1000").start();
    running.wait_for("up");
    let init = running.init();
    let wanted = me.outside("uid", 0).unwrap().to_string();
    let ids = tests::status_field(init, "Uid").unwrap();
    assert!(ids.split_whitespace().all(|id| id == wanted), "{ids}");
    if me.kind == As::Root {
        assert_ne!(wanted, "0");
    }
    let groups = tests::status_field(init, "Groups").unwrap();
    let own = me.gid.to_string();
    let kept = groups
        .split_whitespace()
        .all(|group| me.kind == As::Plain && group == own);
    assert!(groups.is_empty() || kept, "supplementary groups: {groups}");
}
